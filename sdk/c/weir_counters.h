/* The tables of counters that weir.toml grants: for plugins whose plugin.toml imports `counters`. All workers share
 * them, so what one adds the others see at once. */
#ifndef WEIR_COUNTERS_H
#define WEIR_COUNTERS_H

#include "weir_plugin.h"

/* A counter of a table. Both names have to stay where they are. */
typedef struct {
  weir_text table;
  weir_text name;
} weir_counter;

static inline weir_counter weir_counter_of(const char *table, const char *name) {
  return (weir_counter){weir_text_of(table), weir_text_of(name)};
}

/* Whether weir.toml grants such a table with such a counter, and over how many milliseconds it looks back; 0 is a
 * total. For `configure`, which can say then what is missing. */
static inline bool weir_counter_declared(weir_counter counter, uint64_t *window) {
  plugin_string_t table = weir_lent(counter.table);
  plugin_list_tuple2_string_u64_t all = {NULL, 0};
  if (!weir_plugin_counters_declared(&table, &all)) return false;
  bool found = false;
  for (size_t at = 0; at < all.len; at++) {
    plugin_string_t name = all.ptr[at].f0;
    if (name.len == counter.name.len && (!name.len || !memcmp(name.ptr, counter.name.ptr, name.len))) {
      found = true;
      *window = all.ptr[at].f1;
    }
    free(name.ptr);
  }
  free(all.ptr);
  return found;
}

/* Adds to a key's counter and says what it then is: the rate over its window, or the total. Adding 0 only uses the
 * key. False if there is no such counter, or its table is full and refuses new keys. */
static inline bool weir_counter_add(weir_counter counter, weir_text key, uint64_t amount, uint64_t *count) {
  plugin_string_t table = weir_lent(counter.table), name = weir_lent(counter.name), of = weir_lent(key);
  return weir_plugin_counters_add(&table, &name, &of, amount, count);
}

/* The same without using the key. False if it is not there. */
static inline bool weir_counter_read(weir_counter counter, weir_text key, uint64_t *count) {
  plugin_string_t table = weir_lent(counter.table), name = weir_lent(counter.name), of = weir_lent(key);
  return weir_plugin_counters_read(&table, &name, &of, count);
}

/* In how many milliseconds it will be at most `most`, for Retry-After. False if never. */
static inline bool weir_counter_falls_to(weir_counter counter, weir_text key, uint64_t most, uint64_t *milliseconds) {
  plugin_string_t table = weir_lent(counter.table), name = weir_lent(counter.name), of = weir_lent(key);
  return weir_plugin_counters_falls_to(&table, &name, &of, most, milliseconds);
}

/* The text that is kept with a key, in new memory, which is the caller's to free; its `ptr` is NULL if there is
 * none. An empty text has memory too. */
static inline weir_text weir_table_value(weir_text table, weir_text key) {
  plugin_string_t name = weir_lent(table), of = weir_lent(key), value = {NULL, 0};
  if (!weir_plugin_counters_value(&name, &of, &value)) return (weir_text){NULL, 0};
  if (!value.ptr) value.ptr = weir_grown(NULL, 0, 1);
  return WEIR_TEXT(value);
}

/* Keeps a text of up to 256 bytes with a key. False if it is longer or found no place. */
static inline bool weir_table_set_value(weir_text table, weir_text key, weir_text value) {
  plugin_string_t name = weir_lent(table), of = weir_lent(key), text = weir_lent(value);
  return weir_plugin_counters_set_value(&name, &of, &text);
}

/* Forgets a key. False if there was none. */
static inline bool weir_table_remove(weir_text table, weir_text key) {
  plugin_string_t name = weir_lent(table), of = weir_lent(key);
  return weir_plugin_counters_remove(&name, &of);
}

#endif
