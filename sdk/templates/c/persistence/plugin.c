/* @summary@. */
#include "weir_plugin.h"

/* What weir.toml may say under `config`. */
static const char SCHEMA[] =
    "{\"type\":\"object\",\"required\":[\"cookie\"],\"additionalProperties\":false,\"properties\":{"
    "\"cookie\":{\"type\":\"string\",\"description\":\"The cookie's name.\"}}}";

static weir_text cookie;
static size_t had;

void exports_weir_plugin_lifecycle_describe(weir_info *info) {
  weir_describe(info, "@name@", "0.1.0", "@summary@", SCHEMA);
}

bool exports_weir_plugin_lifecycle_configure(plugin_string_t *config, weir_needs *needs, plugin_string_t *error) {
  cookie = weir_json_text(WEIR_TEXT(*config), "cookie");
  plugin_string_free(config);
  if (cookie.len == 0) {
    *error = weir_copy(weir_text_of("/cookie: a cookie needs a name"));
    return false;
  }
  memset(needs, 0, sizeof *needs);
  had = weir_input(needs, "lookup", "cookie", cookie);
  /* Both answers follow from what they are given: the proxy need not ask twice. */
  weir_feature(needs, "repeatable");
  return true;
}

/* The server that the client had, if it says so. The proxy uses it if it is up. */
void exports_weir_plugin_persistence_lookup(plugin_list_option_string_t *values,
                                            exports_weir_plugin_persistence_found_t *found) {
  memset(found, 0, sizeof *found);
  weir_text server = weir_value(values, had);
  found->server.is_some = server.ptr != NULL;
  if (server.ptr) found->server.val = weir_copy(server);
  plugin_list_option_string_free(values);
}

/* The client got this server, and not the one it had. */
void exports_weir_plugin_persistence_assigned(plugin_string_t *server, plugin_list_option_string_t *values,
                                              exports_weir_plugin_persistence_list_edit_t *edits) {
  *edits = (exports_weir_plugin_persistence_list_edit_t){NULL, 0};
  plugin_string_t value = WEIR_JOINED(cookie, weir_text_of("="), WEIR_TEXT(*server), weir_text_of("; Path=/"));
  WEIR_ADD_EDIT(edits, add_header, ADD_HEADER, weir_copy(weir_text_of("set-cookie")), value);
  plugin_string_free(server);
  plugin_list_option_string_free(values);
}
