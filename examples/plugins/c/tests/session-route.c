#include "plugin.h"
#include "weir_test.h"
#include "weir.c"

WEIR_TEST_STRINGS(plugin)

#include "../session-route.c"

typedef exports_weir_plugin_persistence_found_t found;

static found lookup(const char *value) {
  plugin_list_option_string_t values = {calloc(1, sizeof *values.ptr), 1};
  if (value) values.ptr[0] = (plugin_option_string_t){true, copy(value)};
  found answer;
  exports_weir_plugin_persistence_lookup(&values, &answer);
  return answer;
}

static bool leads_to(const char *value, const char *server) {
  found answer = lookup(value);
  return answer.server.is_some && weir_equal(WEIR_TEXT(answer.server.val), server) && answer.edits.len == 0;
}

int main(void) {
  plugin_string_t config = copy("{\"cookie\": \"JSESSIONID\"}"), error;
  weir_needs needs;
  assert(exports_weir_plugin_lifecycle_configure(&config, &needs, &error));
  assert(weir_equal(WEIR_TEXT(needs.inputs.ptr[0].inputs.ptr[0]), "cookie(JSESSIONID)"));

  /* A session leads to the server that it ends with. */
  assert(leads_to("8C2F.web-b", "web-b") && leads_to("8C.2F.web-b", "web-b"));

  /* Without one, or with one that names nobody, the balancer picks. */
  const char *nobody[] = {NULL, "", "8C2F", "8C2F."};
  for (size_t at = 0; at < sizeof nobody / sizeof *nobody; at++) assert(!lookup(nobody[at]).server.is_some);

  /* Answers stay as they are. */
  plugin_string_t server = copy("web-a");
  plugin_list_option_string_t none = {malloc(1), 0};
  exports_weir_plugin_persistence_list_edit_t edits;
  exports_weir_plugin_persistence_assigned(&server, &none, &edits);
  assert(edits.len == 0);
  puts("session-route: ok");
}
