#include "plugin.h"
#include "weir_test.h"
#include "weir.c"

WEIR_TEST_STRINGS(plugin)

#include "../tenant.c"

typedef exports_weir_plugin_request_filter_decision_t decision;

static decision ask(const char *host) {
  plugin_list_option_string_t values = {calloc(1, sizeof *values.ptr), 1};
  if (host) values.ptr[0] = (plugin_option_string_t){true, copy(host)};
  decision answer;
  exports_weir_plugin_request_filter_on_request(&values, &answer);
  return answer;
}

static bool names(const char *host, const char *tenant) {
  decision answer = ask(host);
  weir_plugin_types_edit_t *edit = answer.edits.ptr;
  return answer.edits.len == 1 && edit->tag == WEIR_PLUGIN_TYPES_EDIT_SET_HEADER &&
         weir_equal(WEIR_TEXT(edit->val.set_header.name), "X-Tenant") &&
         weir_equal(WEIR_TEXT(edit->val.set_header.value), tenant);
}

static bool is_denied(const char *host) {
  decision answer = ask(host);
  return answer.verdict.tag == EXPORTS_WEIR_PLUGIN_REQUEST_FILTER_VERDICT_DENY && answer.verdict.val.deny == 404;
}

static bool loses_the_header(const char *host) {
  decision answer = ask(host);
  return answer.verdict.tag == EXPORTS_WEIR_PLUGIN_REQUEST_FILTER_VERDICT_PASS && answer.edits.len == 1 &&
         answer.edits.ptr->tag == WEIR_PLUGIN_TYPES_EDIT_REMOVE_HEADER;
}

static bool configure(const char *config) {
  string text = copy(config), error;
  exports_weir_plugin_lifecycle_needs_t needs;
  return exports_weir_plugin_lifecycle_configure(&text, &needs, &error);
}

int main(void) {
  assert(!configure("{\"domain\": \".com\", \"header\": \"x\"}"));
  assert(configure("{\"domain\": \"example.com\", \"header\": \"X-Tenant\"}"));

  assert(names("acme.example.com", "acme") && names("a-1.example.com", "a-1"));
  assert(is_denied("-.example.com") && is_denied("a.b.example.com") && is_denied("a_b.example.com"));

  /* Who is below no domain has no tenant, whatever it claims. */
  assert(loses_the_header("example.com") && loses_the_header(".example.com"));
  assert(loses_the_header("acme.example.org") && loses_the_header("badexample.com") && loses_the_header(NULL));
  puts("tenant: ok");
}
