/* What plugins call of the bindings, for tests that are programs of this machine: include it after the
 * bindings' header and before the plugin. */
#ifndef WEIR_TEST_H
#define WEIR_TEST_H

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The texts of a world, such as `WEIR_TEST_STRINGS(balancer_plugin)`. */
#define WEIR_TEST_STRINGS(world)                                                            \
  void world##_string_dup_n(world##_string_t *to, const char *from, size_t length) {        \
    to->ptr = malloc(length + 1);                                                           \
    memcpy(to->ptr, from, length);                                                          \
    to->len = length;                                                                       \
  }                                                                                         \
  void world##_string_dup(world##_string_t *to, const char *from) {                         \
    world##_string_dup_n(to, from, strlen(from));                                           \
  }                                                                                         \
  void world##_string_free(world##_string_t *text) { free(text->ptr); }                     \
  static inline world##_string_t copy(const char *from) {                                   \
    world##_string_t text;                                                                  \
    world##_string_dup(&text, from);                                                        \
    return text;                                                                            \
  }                                                                                         \
  void world##_list_option_string_free(world##_list_option_string_t *list) {                \
    for (size_t at = 0; at < list->len; at++) {                                             \
      if (list->ptr[at].is_some) free(list->ptr[at].val.ptr);                               \
    }                                                                                       \
    free(list->ptr);                                                                        \
  }

#endif
