/* Plays every role that there is, each so that it shows in what clients and servers get. */
#include "weir_counters.h"
#include "weir_maps.h"

static size_t address, path, from, status, had;
static uint32_t calls, servers;
/* Whether there is a table to count in: tools that look at a component grant none. */
static bool counts;

static const weir_text NOTHING = {NULL, 0};

void exports_weir_plugin_lifecycle_describe(weir_info *info) {
  weir_describe(info, "roles", "0.1.0", "Plays every role", "");
}

bool exports_weir_plugin_lifecycle_configure(plugin_string_t *config, weir_needs *needs, plugin_string_t *error) {
  (void)error;
  plugin_string_free(config);
  uint64_t window;
  counts = weir_counter_declared(weir_counter_of("seen", "outcomes"), &window);
  memset(needs, 0, sizeof *needs);
  address = weir_input(needs, "on-connection", "client-address", NOTHING);
  path = weir_input(needs, "on-request", "path", NOTHING);
  from = weir_input(needs, "on-request", "var", weir_text_of("from"));
  status = weir_input(needs, "on-response", "status", NOTHING);
  had = weir_input(needs, "lookup", "header", weir_text_of("x-server"));
  weir_feature(needs, "repeatable");
  return true;
}

void exports_weir_plugin_connection_filter_on_connection(plugin_list_option_string_t *values,
                                                         exports_weir_plugin_connection_filter_decision_t *decision) {
  memset(decision, 0, sizeof *decision);
  decision->verdict.tag = EXPORTS_WEIR_PLUGIN_CONNECTION_FILTER_VERDICT_PASS;
  decision->vars.ptr = weir_grown(NULL, 1, sizeof *decision->vars.ptr);
  decision->vars.len = 1;
  decision->vars.ptr->name = weir_copy(weir_text_of("from"));
  decision->vars.ptr->value = weir_copy(weir_value(values, address));
  plugin_list_option_string_free(values);
}

/* A number of up to ten digits, for an answer. */
static plugin_string_t number(uint64_t value) {
  uint8_t digits[20];
  size_t first = sizeof digits;
  do digits[--first] = (uint8_t)('0' + value % 10);
  while ((value /= 10) && first);
  return weir_copy((weir_text){digits + first, sizeof digits - first});
}

static plugin_string_t text(const char *of) { return weir_copy(weir_text_of(of)); }

void exports_weir_plugin_request_filter_on_request(plugin_list_option_string_t *values,
                                                   exports_weir_plugin_request_filter_decision_t *decision) {
  memset(decision, 0, sizeof *decision);
  decision->verdict.tag = EXPORTS_WEIR_PLUGIN_REQUEST_FILTER_VERDICT_PASS;
  WEIR_ADD_EDIT(&decision->edits, set_header, SET_HEADER, text("X-From"), weir_copy(weir_value(values, from)));
  WEIR_ADD_EDIT(&decision->edits, set_header, SET_HEADER, text("X-Calls"), number(++calls));
  weir_text tier = weir_map_lookup(weir_text_of("tiers"), weir_value(values, path));
  WEIR_ADD_EDIT(&decision->edits, set_header, SET_HEADER, text("X-Tier"), tier.ptr ? weir_copy(tier) : text("none"));
  free((void *)tier.ptr);
  bool differ = weir_plugin_random_get_u64() != weir_plugin_random_get_u64();
  const char *time = differ && weir_plugin_clock_now() ? "true" : "false";
  WEIR_ADD_EDIT(&decision->edits, set_header, SET_HEADER, text("X-Time"), text(time));
  plugin_list_option_string_free(values);
}

void exports_weir_plugin_response_filter_on_response(plugin_list_option_string_t *values,
                                                     exports_weir_plugin_response_filter_list_edit_t *edits) {
  memset(edits, 0, sizeof *edits);
  WEIR_ADD_EDIT(edits, set_header, SET_HEADER, text("X-Status"), weir_copy(weir_value(values, status)));
  plugin_list_option_string_free(values);
}

void exports_weir_plugin_balancer_update(exports_weir_plugin_balancer_list_server_t *there) {
  servers = (uint32_t)there->len;
  exports_weir_plugin_balancer_list_server_free(there);
}

bool exports_weir_plugin_balancer_pick(uint64_t turn, plugin_list_option_string_t *values, plugin_list_u32_t *loads,
                                       plugin_list_u32_t *tried, uint32_t *picked) {
  if (values) plugin_list_option_string_free(values);
  if (loads) plugin_list_u32_free(loads);
  if (tried) plugin_list_u32_free(tried);
  if (!servers) return false;
  *picked = (uint32_t)(turn % servers);
  return true;
}

void exports_weir_plugin_balancer_ahead_picks(uint64_t first, uint32_t count, plugin_list_option_u32_t *picks) {
  picks->ptr = weir_grown(NULL, count, sizeof *picks->ptr);
  picks->len = count;
  for (uint32_t ahead = 0; ahead < count; ahead++) {
    picks->ptr[ahead].is_some = servers > 0;
    picks->ptr[ahead].val = servers ? (uint32_t)((first + ahead) % servers) : 0;
  }
}

void exports_weir_plugin_balancer_feedback_observe(uint32_t index,
                                                   exports_weir_plugin_balancer_feedback_outcome_t outcome,
                                                   uint64_t microseconds) {
  static const char *const OUTCOMES[] = {"success", "connect-failed", "timed-out", "server-error", "aborted"};
  (void)microseconds;
  weir_text key = weir_text_of(OUTCOMES[outcome]);
  uint64_t count = 0;
  if (!counts) return;
  weir_counter_add(weir_counter_of("seen", "outcomes"), key, 1, &count);
  plugin_string_t server = number(index), times = number(count);
  plugin_string_t line = WEIR_JOINED(weir_text_of("server "), WEIR_TEXT(server), weir_text_of(": "), key,
                                     weir_text_of(", "), WEIR_TEXT(times), weir_text_of(" so far"));
  weir_log(WEIR_PLUGIN_LOG_LEVEL_INFO, WEIR_TEXT(line));
  plugin_string_free(&server);
  plugin_string_free(&times);
  plugin_string_free(&line);
}

void exports_weir_plugin_persistence_lookup(plugin_list_option_string_t *values,
                                            exports_weir_plugin_persistence_found_t *found) {
  memset(found, 0, sizeof *found);
  weir_text server = weir_value(values, had);
  found->server.is_some = server.ptr != NULL;
  if (server.ptr) found->server.val = weir_copy(server);
  plugin_list_option_string_free(values);
}

void exports_weir_plugin_persistence_assigned(plugin_string_t *server, plugin_list_option_string_t *values,
                                              exports_weir_plugin_persistence_list_edit_t *edits) {
  memset(edits, 0, sizeof *edits);
  WEIR_ADD_EDIT(edits, set_header, SET_HEADER, text("X-Assigned"), weir_copy(WEIR_TEXT(*server)));
  plugin_string_free(server);
  plugin_list_option_string_free(values);
}
