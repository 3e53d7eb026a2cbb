#include "plugin.h"
#include "weir_test.h"
#include "weir.c"

WEIR_TEST_STRINGS(plugin)

#include "../plugin.c"

static bool configure(const char *text) {
  plugin_string_t config = copy(text), error;
  weir_needs needs;
  return exports_weir_plugin_lifecycle_configure(&config, &needs, &error);
}

static exports_weir_plugin_persistence_found_t lookup(const char *value) {
  plugin_list_option_string_t values = {calloc(1, sizeof *values.ptr), 1};
  if (value) values.ptr[0] = (plugin_option_string_t){true, copy(value)};
  exports_weir_plugin_persistence_found_t found;
  exports_weir_plugin_persistence_lookup(&values, &found);
  return found;
}

int main(void) {
  /* A cookie needs a name. */
  assert(!configure("{\"cookie\": \"\"}"));
  assert(configure("{\"cookie\": \"SERVER\"}"));

  /* A client with a cookie has its server. */
  assert(weir_equal(WEIR_TEXT(lookup("web-b").server.val), "web-b"));
  assert(!lookup(NULL).server.is_some);

  /* A client that got a server is told. */
  plugin_string_t server = copy("web-a");
  plugin_list_option_string_t none = {calloc(1, 1), 0};
  exports_weir_plugin_persistence_list_edit_t edits;
  exports_weir_plugin_persistence_assigned(&server, &none, &edits);
  assert(edits.len == 1 && edits.ptr[0].tag == WEIR_PLUGIN_TYPES_EDIT_ADD_HEADER);
  assert(weir_equal(WEIR_TEXT(edits.ptr[0].val.add_header.name), "set-cookie"));
  assert(weir_equal(WEIR_TEXT(edits.ptr[0].val.add_header.value), "SERVER=web-a; Path=/"));
  puts("@name@: ok");
}
