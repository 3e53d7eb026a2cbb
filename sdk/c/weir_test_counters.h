/* The proxy's tables of counters for tests that are programs of this machine: include it after weir_test.h. There is
 * one table, of which the test says the name and the only counter; time does not pass, so it is a total. */
#ifndef WEIR_TEST_COUNTERS_H
#define WEIR_TEST_COUNTERS_H

#include "plugin.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WEIR_TEST_KEYS 64

static struct {
  /* Those that are granted; NULL: nothing is. */
  const char *table, *counter;
  struct {
    char key[257];
    bool is_used, has_value;
    uint64_t count;
    char value[257];
  } keys[WEIR_TEST_KEYS];
} weir_test_counters;

static bool weir_test_is(plugin_string_t *text, const char *name) {
  return name && text->len == strlen(name) && !memcmp(text->ptr, name, text->len);
}

/* The key's position; with `make` it is there afterwards. -1 if it is not. */
static int weir_test_key(plugin_string_t *table, plugin_string_t *key, bool make) {
  if (!weir_test_is(table, weir_test_counters.table)) return -1;
  int found = -1;
  for (int at = 0; at < WEIR_TEST_KEYS; at++) {
    bool used = weir_test_counters.keys[at].is_used;
    if (used && weir_test_is(key, weir_test_counters.keys[at].key)) return at;
    if (!used && make && found < 0) found = at;
  }
  if (found < 0) return -1;
  memset(&weir_test_counters.keys[found], 0, sizeof weir_test_counters.keys[found]);
  weir_test_counters.keys[found].is_used = true;
  snprintf(weir_test_counters.keys[found].key, 257, "%.*s", (int)key->len, (char *)key->ptr);
  return found;
}

bool weir_plugin_counters_declared(plugin_string_t *table, plugin_list_tuple2_string_u64_t *list) {
  if (!weir_test_is(table, weir_test_counters.table)) return false;
  list->ptr = malloc(sizeof *list->ptr);
  list->len = 1;
  plugin_string_dup(&list->ptr->f0, weir_test_counters.counter);
  list->ptr->f1 = 0;
  return true;
}

bool weir_plugin_counters_add(plugin_string_t *table, plugin_string_t *counter, plugin_string_t *key, uint64_t amount,
                              uint64_t *count) {
  if (!weir_test_is(counter, weir_test_counters.counter)) return false;
  int at = weir_test_key(table, key, true);
  if (at >= 0) *count = weir_test_counters.keys[at].count += amount;
  return at >= 0;
}

bool weir_plugin_counters_read(plugin_string_t *table, plugin_string_t *counter, plugin_string_t *key,
                               uint64_t *count) {
  if (!weir_test_is(counter, weir_test_counters.counter)) return false;
  int at = weir_test_key(table, key, false);
  if (at >= 0) *count = weir_test_counters.keys[at].count;
  return at >= 0;
}

bool weir_plugin_counters_falls_to(plugin_string_t *table, plugin_string_t *counter, plugin_string_t *key,
                                   uint64_t most, uint64_t *milliseconds) {
  uint64_t count = 0;
  *milliseconds = 0;
  return !weir_plugin_counters_read(table, counter, key, &count) || count <= most;
}

bool weir_plugin_counters_value(plugin_string_t *table, plugin_string_t *key, plugin_string_t *value) {
  int at = weir_test_key(table, key, false);
  if (at < 0 || !weir_test_counters.keys[at].has_value) return false;
  plugin_string_dup(value, weir_test_counters.keys[at].value);
  return true;
}

bool weir_plugin_counters_set_value(plugin_string_t *table, plugin_string_t *key, plugin_string_t *value) {
  int at = value->len > 256 ? -1 : weir_test_key(table, key, true);
  if (at < 0) return false;
  weir_test_counters.keys[at].has_value = true;
  snprintf(weir_test_counters.keys[at].value, 257, "%.*s", (int)value->len, (char *)value->ptr);
  return true;
}

bool weir_plugin_counters_remove(plugin_string_t *table, plugin_string_t *key) {
  int at = weir_test_key(table, key, false);
  if (at >= 0) weir_test_counters.keys[at].is_used = false;
  return at >= 0;
}

#endif
