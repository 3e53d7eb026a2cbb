/* @summary@. */
#include "weir_plugin.h"

/* What weir.toml may say under `config`. */
static const char SCHEMA[] =
    "{\"type\":\"object\",\"required\":[\"header\",\"gold\"],\"additionalProperties\":false,\"properties\":{"
    "\"header\":{\"type\":\"string\",\"description\":\"The header that names the tier.\"},"
    "\"gold\":{\"type\":\"string\",\"description\":\"The backend of those whose tier is `gold`.\"}}}";

static size_t tier;
static uint32_t gold;

void exports_weir_plugin_lifecycle_describe(weir_info *info) {
  weir_describe(info, "@name@", "0.1.0", "@summary@", SCHEMA);
}

/* Says once what the decision will need: the inputs it is called with, the backends it may choose. */
bool exports_weir_plugin_lifecycle_configure(plugin_string_t *config, weir_needs *needs, plugin_string_t *error) {
  /* The proxy has checked the config against the schema: both are there. */
  weir_text header = weir_json_text(WEIR_TEXT(*config), "header");
  weir_text backend = weir_json_text(WEIR_TEXT(*config), "gold");
  plugin_string_free(config);
  if (!header.ptr || !backend.ptr) {
    *error = weir_copy(weir_text_of("`header` and `gold` are texts"));
    return false;
  }
  memset(needs, 0, sizeof *needs);
  tier = weir_input(needs, "on-request", "header", header);
  gold = weir_backend(needs, backend);
  return true;
}

void exports_weir_plugin_request_filter_on_request(plugin_list_option_string_t *values,
                                                   exports_weir_plugin_request_filter_decision_t *decision) {
  memset(decision, 0, sizeof *decision);
  if (weir_equal(weir_value(values, tier), "gold")) {
    decision->verdict.tag = EXPORTS_WEIR_PLUGIN_REQUEST_FILTER_VERDICT_USE_BACKEND;
    decision->verdict.val.use_backend = gold;
  } else {
    decision->verdict.tag = EXPORTS_WEIR_PLUGIN_REQUEST_FILTER_VERDICT_PASS;
  }
  plugin_list_option_string_free(values);
}
