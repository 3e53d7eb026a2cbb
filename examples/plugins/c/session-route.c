/* Persistence by the application's own session cookie: Tomcat and its like end it with the name of the server that
 * has the session, `JSESSIONID=8C2F.web-b`. Clients without a session are balanced; nothing is added to answers. */
#include "weir_plugin.h"

static const char SCHEMA[] =
    "{\"type\":\"object\",\"required\":[\"cookie\"],\"additionalProperties\":false,\"properties\":{"
    "\"cookie\":{\"type\":\"string\",\"minLength\":1,\"description\":\"The session cookie's name.\"}}}";

static size_t session;

void exports_weir_plugin_lifecycle_describe(weir_info *info) {
  weir_describe(info, "session-route", "0.1.0", "Follows the server that a session cookie ends with", SCHEMA);
}

bool exports_weir_plugin_lifecycle_configure(plugin_string_t *config, weir_needs *needs, plugin_string_t *error) {
  (void)error; /* What does not fit the schema never comes here. */
  memset(needs, 0, sizeof *needs);
  weir_text cookie = weir_json_text(WEIR_TEXT(*config), "cookie");
  session = weir_input(needs, "lookup", "cookie", cookie);
  weir_feature(needs, "repeatable");
  free((void *)cookie.ptr);
  plugin_string_free(config);
  return true;
}

/* What stands after the last dot, if anything does. */
static weir_text route(weir_text session) {
  for (size_t at = session.len; at-- > 0;) {
    if (session.ptr[at] == '.') return (weir_text){session.ptr + at + 1, session.len - at - 1};
  }
  return (weir_text){NULL, 0};
}

void exports_weir_plugin_persistence_lookup(plugin_list_option_string_t *values,
                                            exports_weir_plugin_persistence_found_t *found) {
  memset(found, 0, sizeof *found);
  weir_text server = route(weir_value(values, session));
  found->server.is_some = server.len > 0;
  if (found->server.is_some) found->server.val = weir_copy(server);
  plugin_list_option_string_free(values);
}

void exports_weir_plugin_persistence_assigned(plugin_string_t *server, plugin_list_option_string_t *values,
                                              exports_weir_plugin_persistence_list_edit_t *edits) {
  *edits = (exports_weir_plugin_persistence_list_edit_t){NULL, 0};
  plugin_string_free(server);
  plugin_list_option_string_free(values);
}
