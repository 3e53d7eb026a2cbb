/* @summary@. */
#include "weir_plugin.h"

/* What weir.toml may say under `config`. */
static const char SCHEMA[] =
    "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
    "\"prefer\":{\"type\":\"string\","
    "\"description\":\"Servers whose names begin so are taken while all others are busier.\"}}}";

static weir_text prefer;
static bool *preferred;
static size_t count;

void exports_weir_plugin_lifecycle_describe(weir_info *info) {
  weir_describe(info, "@name@", "0.1.0", "@summary@", SCHEMA);
}

bool exports_weir_plugin_lifecycle_configure(plugin_string_t *config, weir_needs *needs, plugin_string_t *error) {
  (void)error; /* What does not fit the schema never comes here. */
  prefer = weir_json_text(WEIR_TEXT(*config), "prefer");
  plugin_string_free(config);
  memset(needs, 0, sizeof *needs);
  /* Without this there would be no `loads`. */
  weir_feature(needs, "loads");
  return true;
}

/* Called when a server comes or goes: the place for expensive preparation. */
void exports_weir_plugin_balancer_update(exports_weir_plugin_balancer_list_server_t *servers) {
  count = servers->len;
  preferred = weir_grown(preferred, count, sizeof *preferred);
  for (size_t at = 0; at < count; at++) {
    weir_text name = WEIR_TEXT(servers->ptr[at].name);
    preferred[at] = prefer.ptr && name.len >= prefer.len && memcmp(name.ptr, prefer.ptr, prefer.len) == 0;
  }
  exports_weir_plugin_balancer_list_server_free(servers);
}

static bool has(const plugin_list_u32_t *list, size_t server) {
  for (size_t at = 0; list && at < list->len; at++) {
    if (list->ptr[at] == server) return true;
  }
  return false;
}

/* The smaller, the better. */
static uint64_t rank(size_t server, const plugin_list_u32_t *loads, const plugin_list_u32_t *tried) {
  uint64_t load = loads && server < loads->len ? loads->ptr[server] : 0;
  return (uint64_t)has(tried, server) << 40 | load << 1 | !preferred[server];
}

/* The server with the fewest exchanges; among equals a preferred one, else each in its turn. What this
 * exchange has already failed on comes last. */
bool exports_weir_plugin_balancer_pick(uint64_t turn, plugin_list_option_string_t *values, plugin_list_u32_t *loads,
                                       plugin_list_u32_t *tried, uint32_t *picked) {
  (void)values; /* None were asked for. */
  uint64_t best = UINT64_MAX;
  for (size_t n = 0; n < count; n++) {
    size_t server = (size_t)((turn % count + n) % count);
    uint64_t found = rank(server, loads, tried);
    if (found >= best) continue;
    best = found;
    *picked = (uint32_t)server;
  }
  if (loads) plugin_list_u32_free(loads);
  if (tried) plugin_list_u32_free(tried);
  return count > 0;
}
