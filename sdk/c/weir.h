/* What a plugin in C is written with, beside the bindings that wit-bindgen makes of the contract.
 *
 * The proxy checks a config against the plugin's schema before the plugin sees it, so members that the
 * schema requires are there and have the types that it names. */
#ifndef WEIR_H
#define WEIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that belong to somebody else; not ended by a zero. */
typedef struct {
  const uint8_t *ptr;
  size_t len;
} weir_text;

/* A text of the bindings as one of these. */
#define WEIR_TEXT(string) ((weir_text){(string).ptr, (string).len})

bool weir_equal(weir_text one, const char *other);

/* Finds the member `key` of a JSON object. `value` is its JSON text. False if there is none, or if
 * `json` is no object. Keys with escapes are not found. */
bool weir_json_member(weir_text json, const char *key, weir_text *value);

/* Finds element `number` of a JSON array. False past its end. */
bool weir_json_element(weir_text json, size_t number, weir_text *value);

/* Decodes a JSON string to UTF-8 in new memory, which is the caller's to free. False if `json` is no
 * string, or has half of a surrogate pair in it. */
bool weir_json_string(weir_text json, uint8_t **text, size_t *length);

/* The text of a string member, decoded to new memory, which is the caller's to free. Its `ptr` is NULL if
 * there is no such member or it is no string. */
weir_text weir_json_text(weir_text json, const char *key);

/* Reads a JSON integer. False if `json` is none or does not fit. */
bool weir_json_integer(weir_text json, int64_t *number);

/* FNV-1a with MurmurHash3's last mixing: begin with WEIR_HASH, add bytes, and mix at the end. */
#define WEIR_HASH 0x811c9dc5u
uint32_t weir_hash_add(uint32_t hash, weir_text bytes);
uint32_t weir_hash_end(uint32_t hash);

#endif
