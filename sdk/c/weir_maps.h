/* The maps that weir.toml grants: for plugins whose plugin.toml imports `maps`. */
#ifndef WEIR_MAPS_H
#define WEIR_MAPS_H

#include "weir_plugin.h"

/* The value of a key, in new memory, which is the caller's to free; its `ptr` is NULL if there is none. An empty
 * value has memory too. */
static inline weir_text weir_map_lookup(weir_text map, weir_text key) {
  plugin_string_t name = weir_lent(map), text = weir_lent(key), value = {NULL, 0};
  if (!weir_plugin_maps_lookup(&name, &text, &value)) return (weir_text){NULL, 0};
  if (!value.ptr) value.ptr = weir_grown(NULL, 0, 1);
  return WEIR_TEXT(value);
}

/* Changes with the contents: for plugins that make something of their own out of `weir_plugin_maps_entries`. */
static inline uint64_t weir_map_version(weir_text map) {
  plugin_string_t name = weir_lent(map);
  return weir_plugin_maps_version(&name);
}

#endif
