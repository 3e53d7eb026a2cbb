/* The contract's types made handy: for plugins whose bindings are of the world `plugin`, as
 * `weir plugin build` makes them. What is put into an answer is the proxy's to free from then on. */
#ifndef WEIR_PLUGIN_H
#define WEIR_PLUGIN_H

#include "plugin.h"
#include "weir.h"

#include <stdlib.h>
#include <string.h>

typedef exports_weir_plugin_lifecycle_plugin_info_t weir_info;
typedef exports_weir_plugin_lifecycle_needs_t weir_needs;

/* Room for `count` things of `size` bytes, with what was there before; never NULL. */
static inline void *weir_grown(void *before, size_t count, size_t size) {
  void *grown = realloc(before, count * size + 1);
  if (!grown) abort();
  return grown;
}

static inline weir_text weir_text_of(const char *text) {
  return (weir_text){(const uint8_t *)text, strlen(text)};
}

/* A copy for an answer. */
static inline plugin_string_t weir_copy(weir_text text) {
  plugin_string_t copy;
  /* What is not there is copied as an empty text. */
  plugin_string_dup_n(&copy, text.ptr ? (const char *)text.ptr : "", text.len);
  return copy;
}

/* For a call of the proxy, which only reads it. */
static inline plugin_string_t weir_lent(weir_text text) {
  return (plugin_string_t){(uint8_t *)text.ptr, text.len};
}

/* Writes to the plugin's log, of which 20 messages a second are kept: `weir_log(WEIR_PLUGIN_LOG_LEVEL_INFO, text)`. */
static inline void weir_log(weir_plugin_log_level_t level, weir_text message) {
  plugin_string_t text = weir_lent(message);
  weir_plugin_log_write(level, &text);
}

/* The texts joined, for an answer. */
static inline plugin_string_t weir_joined(size_t count, const weir_text *texts) {
  plugin_string_t joined = {NULL, 0};
  for (size_t at = 0; at < count; at++) joined.len += texts[at].len;
  uint8_t *to = joined.ptr = weir_grown(NULL, joined.len, 1);
  for (size_t at = 0; at < count; at++) {
    if (texts[at].len) memcpy(to, texts[at].ptr, texts[at].len);
    to += texts[at].len;
  }
  return joined;
}
#define WEIR_JOINED(...)                                              \
  weir_joined(sizeof((weir_text[]){__VA_ARGS__}) / sizeof(weir_text), \
              (weir_text[]){__VA_ARGS__})

/* What `describe` answers. */
static inline void weir_describe(weir_info *info, const char *name, const char *version, const char *summary,
                                 const char *schema) {
  info->name = weir_copy(weir_text_of(name));
  info->version = weir_copy(weir_text_of(version));
  info->summary = weir_copy(weir_text_of(summary));
  info->config_schema = weir_copy(weir_text_of(schema));
}

static inline void weir_add_text(plugin_list_string_t *list, plugin_string_t text) {
  list->ptr = weir_grown(list->ptr, list->len + 1, sizeof *list->ptr);
  list->ptr[list->len++] = text;
}

/* Asks for an input of a hook: `weir_input(needs, "on-request", "header", name)` for `header(NAME)`, and
 * `weir_input(needs, "pick", "path", (weir_text){0})` for one without a name. Answers with where its value
 * stands when the hook is called. `needs` begins as zeros. */
static inline size_t weir_input(weir_needs *needs, const char *hook, const char *input, weir_text name) {
  exports_weir_plugin_lifecycle_hook_inputs_t *of = NULL;
  for (size_t at = 0; at < needs->inputs.len; at++) {
    if (weir_equal(WEIR_TEXT(needs->inputs.ptr[at].hook), hook)) of = &needs->inputs.ptr[at];
  }
  if (!of) {
    needs->inputs.ptr = weir_grown(needs->inputs.ptr, needs->inputs.len + 1, sizeof *of);
    of = &needs->inputs.ptr[needs->inputs.len++];
    of->hook = weir_copy(weir_text_of(hook));
    of->inputs = (plugin_list_string_t){NULL, 0};
  }
  bool named = name.ptr != NULL;
  weir_add_text(&of->inputs, WEIR_JOINED(weir_text_of(input), weir_text_of(named ? "(" : ""), name,
                                         weir_text_of(named ? ")" : "")));
  return of->inputs.len - 1;
}

/* Names a backend that a verdict may choose. Answers with what `use_backend` says then. */
static inline uint32_t weir_backend(weir_needs *needs, weir_text name) {
  weir_add_text(&needs->backends, weir_copy(name));
  return (uint32_t)(needs->backends.len - 1);
}

/* Asks for `loads`, `repeatable` or `always-assigned`. */
static inline void weir_feature(weir_needs *needs, const char *feature) {
  weir_add_text(&needs->features, weir_copy(weir_text_of(feature)));
}

/* The value of an input; its `ptr` is NULL where the exchange has no such thing. It goes with the list. */
static inline weir_text weir_value(const plugin_list_option_string_t *values, size_t input) {
  if (!values || input >= values->len || !values->ptr[input].is_some) return (weir_text){NULL, 0};
  plugin_string_t value = values->ptr[input].val;
  /* An empty text is one all the same. */
  return (weir_text){value.len ? value.ptr : (const uint8_t *)"", value.len};
}

/* Adds an edit of two texts or of one to any list of edits:
 * `WEIR_ADD_EDIT(&answer->edits, set_header, SET_HEADER, name, value)`,
 * `WEIR_ADD_EDIT_OF(&answer->edits, remove_header, REMOVE_HEADER, name)`; the texts are the proxy's then. */
#define WEIR_NEW_EDIT(list, kind)                                                       \
  ((list)->ptr = weir_grown((list)->ptr, (list)->len + 1, sizeof *(list)->ptr),         \
   (list)->ptr[(list)->len].tag = WEIR_PLUGIN_TYPES_EDIT_##kind, &(list)->ptr[(list)->len++])
#define WEIR_ADD_EDIT(list, field, kind, header_name, header_value) \
  (WEIR_NEW_EDIT(list, kind)->val.field = (weir_plugin_types_header_t){header_name, header_value})
#define WEIR_ADD_EDIT_OF(list, field, kind, text) (WEIR_NEW_EDIT(list, kind)->val.field = (text))

#endif
