#include "plugin.h"
#include "weir_test.h"
#include "weir.c"

WEIR_TEST_STRINGS(plugin)

#include "../plugin.c"

typedef exports_weir_plugin_request_filter_decision_t decision;

static decision ask(const char *value) {
  plugin_list_option_string_t values = {calloc(1, sizeof *values.ptr), 1};
  if (value) values.ptr[0] = (plugin_option_string_t){true, copy(value)};
  decision answer;
  exports_weir_plugin_request_filter_on_request(&values, &answer);
  return answer;
}

int main(void) {
  plugin_string_t config = copy("{\"header\": \"x-tier\", \"gold\": \"fast\"}"), error;
  weir_needs needs;
  assert(exports_weir_plugin_lifecycle_configure(&config, &needs, &error));
  assert(weir_equal(WEIR_TEXT(needs.inputs.ptr[0].inputs.ptr[0]), "header(x-tier)"));
  assert(weir_equal(WEIR_TEXT(needs.backends.ptr[0]), "fast"));

  /* Gold goes to its own backend. */
  decision answer = ask("gold");
  assert(answer.verdict.tag == EXPORTS_WEIR_PLUGIN_REQUEST_FILTER_VERDICT_USE_BACKEND);
  assert(answer.verdict.val.use_backend == 0);

  /* Others pass. */
  assert(ask("silver").verdict.tag == EXPORTS_WEIR_PLUGIN_REQUEST_FILTER_VERDICT_PASS);
  assert(ask(NULL).verdict.tag == EXPORTS_WEIR_PLUGIN_REQUEST_FILTER_VERDICT_PASS);
  puts("@name@: ok");
}
