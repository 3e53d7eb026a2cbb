#include "plugin.h"
#include "weir_test.h"
#include "weir.c"

WEIR_TEST_STRINGS(plugin)

#include "weir_test_counters.h"

#include "../roles.c"

static char last_line[256];

void weir_plugin_log_write(weir_plugin_log_level_t level, plugin_string_t *message) {
  assert(level == WEIR_PLUGIN_LOG_LEVEL_INFO);
  snprintf(last_line, sizeof last_line, "%.*s", (int)message->len, (char *)message->ptr);
}

uint64_t weir_plugin_clock_now(void) { return 1; }
uint64_t weir_plugin_random_get_u64(void) {
  static uint64_t next;
  return next++;
}

bool weir_plugin_maps_lookup(plugin_string_t *name, plugin_string_t *key, plugin_string_t *value) {
  if (!weir_equal(WEIR_TEXT(*name), "tiers") || !weir_equal(WEIR_TEXT(*key), "/gold")) return false;
  plugin_string_dup(value, "fast");
  return true;
}
uint64_t weir_plugin_maps_version(plugin_string_t *name) { return weir_equal(WEIR_TEXT(*name), "tiers"); }

void exports_weir_plugin_balancer_list_server_free(exports_weir_plugin_balancer_list_server_t *list) { (void)list; }
void plugin_list_u32_free(plugin_list_u32_t *list) { (void)list; }

static bool configure(void) {
  plugin_string_t config = copy("{}"), error;
  weir_needs needs;
  return exports_weir_plugin_lifecycle_configure(&config, &needs, &error);
}

static const char *tier_of(const char *target) {
  plugin_list_option_string_t values = {calloc(2, sizeof *values.ptr), 2};
  values.ptr[path] = (plugin_option_string_t){true, copy(target)};
  exports_weir_plugin_request_filter_decision_t decision;
  exports_weir_plugin_request_filter_on_request(&values, &decision);
  assert(decision.edits.len == 4);
  assert(weir_equal(WEIR_TEXT(decision.edits.ptr[3].val.set_header.value), "true"));
  return weir_equal(WEIR_TEXT(decision.edits.ptr[2].val.set_header.value), "fast") ? "fast" : "none";
}

int main(void) {
  assert(configure());
  exports_weir_plugin_balancer_feedback_observe(1, EXPORTS_WEIR_PLUGIN_BALANCER_FEEDBACK_OUTCOME_SUCCESS, 5);
  assert(!*last_line);
  weir_test_counters.table = "seen";
  weir_test_counters.counter = "outcomes";
  assert(configure());

  assert(!strcmp(tier_of("/gold"), "fast") && !strcmp(tier_of("/"), "none"));
  assert(weir_map_version(weir_text_of("tiers")) == 1);

  exports_weir_plugin_balancer_feedback_observe(1, EXPORTS_WEIR_PLUGIN_BALANCER_FEEDBACK_OUTCOME_SUCCESS, 5);
  exports_weir_plugin_balancer_feedback_observe(0, EXPORTS_WEIR_PLUGIN_BALANCER_FEEDBACK_OUTCOME_SUCCESS, 5);
  assert(!strcmp(last_line, "server 0: success, 2 so far"));

  /* What the helpers say of keys and of what is not there. */
  weir_counter outcomes = weir_counter_of("seen", "outcomes"), missing = weir_counter_of("seen", "other");
  weir_text key = weir_text_of("success"), table = weir_text_of("seen");
  uint64_t count = 0, wait = 7;
  assert(weir_counter_read(outcomes, key, &count) && count == 2);
  assert(!weir_counter_read(missing, key, &count) && !weir_counter_add(missing, key, 1, &count));
  assert(!weir_counter_declared(missing, &wait) && weir_counter_declared(outcomes, &wait) && wait == 0);
  assert(weir_counter_falls_to(outcomes, key, 2, &wait) && !weir_counter_falls_to(outcomes, key, 1, &wait));
  assert(!weir_table_value(table, key).ptr);
  assert(weir_table_set_value(table, key, weir_text_of("kept")));
  weir_text value = weir_table_value(table, key);
  assert(weir_equal(value, "kept"));
  free((void *)value.ptr);
  assert(weir_table_remove(table, key) && !weir_table_remove(table, key));
  assert(!weir_counter_read(outcomes, key, &count));
  puts("roles: ok");
}
