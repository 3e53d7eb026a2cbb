/* weir.h, and for Wasm the little of a C library that is needed: nothing in it imports anything. */
#include "weir.h"

#include <stdlib.h>
#include <string.h>

bool weir_equal(weir_text one, const char *other) {
  return one.len == strlen(other) && memcmp(one.ptr, other, one.len) == 0;
}

/* A place in a JSON text. */
typedef struct {
  const uint8_t *at;
  const uint8_t *end;
} reader;

static reader read_from(weir_text json) {
  reader from = {json.ptr, json.ptr + json.len};
  return from;
}

static void skip_blanks(reader *from) {
  while (from->at < from->end &&
         (*from->at == ' ' || *from->at == '\t' || *from->at == '\n' || *from->at == '\r')) {
    from->at++;
  }
}

static bool take(reader *from, uint8_t byte) {
  skip_blanks(from);
  if (from->at == from->end || *from->at != byte) return false;
  from->at++;
  return true;
}

/* Past a string; `inside` is what is between the quotes. */
static bool take_string(reader *from, weir_text *inside) {
  if (!take(from, '"')) return false;
  const uint8_t *start = from->at;
  while (from->at < from->end && *from->at != '"') {
    from->at += *from->at == '\\' && from->end - from->at > 1 ? 2 : 1;
  }
  if (from->at >= from->end) return false;
  *inside = (weir_text){start, (size_t)(from->at - start)};
  from->at++;
  return true;
}

/* Past a value of any kind. */
static bool take_value(reader *from, weir_text *value) {
  skip_blanks(from);
  const uint8_t *start = from->at;
  size_t depth = 0;
  do {
    skip_blanks(from);
    if (from->at == from->end) return false;
    uint8_t byte = *from->at;
    weir_text inside;
    if (byte == '"') {
      if (!take_string(from, &inside)) return false;
    } else if (byte == '{' || byte == '[') {
      depth++;
      from->at++;
    } else if (byte == '}' || byte == ']') {
      if (depth == 0) return false;
      depth--;
      from->at++;
    } else if (byte == ',' || byte == ':') {
      if (depth == 0) return false;
      from->at++;
    } else {
      /* A number, true, false or null. */
      while (from->at < from->end && *from->at != ',' && *from->at != '}' &&
             *from->at != ']' && *from->at != ':' && *from->at > ' ') {
        from->at++;
      }
    }
  } while (depth > 0);
  *value = (weir_text){start, (size_t)(from->at - start)};
  return value->len > 0;
}

bool weir_json_member(weir_text json, const char *key, weir_text *value) {
  reader from = read_from(json);
  if (!take(&from, '{')) return false;
  weir_text name;
  while (take_string(&from, &name)) {
    if (!take(&from, ':') || !take_value(&from, value)) return false;
    if (weir_equal(name, key)) return true;
    if (!take(&from, ',')) return false;
  }
  return false;
}

bool weir_json_element(weir_text json, size_t number, weir_text *value) {
  reader from = read_from(json);
  if (!take(&from, '[')) return false;
  for (size_t passed = 0; take_value(&from, value); passed++) {
    if (passed == number) return true;
    if (!take(&from, ',')) return false;
  }
  return false;
}

static bool hexadecimal(const uint8_t *digits, uint32_t *value) {
  *value = 0;
  for (int place = 0; place < 4; place++) {
    uint8_t digit = digits[place];
    uint32_t nibble = digit >= '0' && digit <= '9'   ? digit - '0' + 0u
                      : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10u
                      : digit >= 'A' && digit <= 'F' ? digit - 'A' + 10u
                                                     : 16u;
    if (nibble == 16) return false;
    *value = *value << 4 | nibble;
  }
  return true;
}

static size_t put_utf8(uint8_t *to, uint32_t code) {
  if (code < 0x80) {
    to[0] = (uint8_t)code;
    return 1;
  }
  size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  static const uint8_t first[] = {0, 0, 0xc0, 0xe0, 0xf0};
  for (size_t place = length; place-- > 1; code >>= 6) to[place] = (uint8_t)(0x80 | (code & 0x3f));
  to[0] = (uint8_t)(first[length] | code);
  return length;
}

/* Decodes what follows `\u`: four digits, and a second escape if they are half of a pair. */
static bool take_unicode(reader *from, uint32_t *code) {
  if (from->end - from->at < 4 || !hexadecimal(from->at, code)) return false;
  from->at += 4;
  if (*code < 0xd800 || *code > 0xdfff) return true;
  uint32_t low;
  if (*code > 0xdbff || from->end - from->at < 6 || from->at[0] != '\\' || from->at[1] != 'u' ||
      !hexadecimal(from->at + 2, &low) || low < 0xdc00 || low > 0xdfff) {
    return false;
  }
  from->at += 6;
  *code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
  return true;
}

static bool decode(weir_text inside, uint8_t *to, size_t *length) {
  reader from = read_from(inside);
  uint8_t *start = to;
  while (from.at < from.end) {
    uint8_t byte = *from.at++;
    if (byte != '\\') {
      *to++ = byte;
      continue;
    }
    if (from.at == from.end) return false;
    uint32_t code = *from.at++;
    switch (code) {
      case '"': case '\\': case '/': break;
      case 'b': code = '\b'; break;
      case 'f': code = '\f'; break;
      case 'n': code = '\n'; break;
      case 'r': code = '\r'; break;
      case 't': code = '\t'; break;
      case 'u':
        if (!take_unicode(&from, &code)) return false;
        break;
      default: return false;
    }
    to += put_utf8(to, code);
  }
  *length = (size_t)(to - start);
  return true;
}

bool weir_json_string(weir_text json, uint8_t **text, size_t *length) {
  reader from = read_from(json);
  weir_text inside;
  if (!take_string(&from, &inside)) return false;
  /* What is decoded is never longer than what was written. */
  *text = malloc(inside.len + 1);
  if (decode(inside, *text, length)) return true;
  free(*text);
  *text = NULL;
  return false;
}

weir_text weir_json_text(weir_text json, const char *key) {
  weir_text value;
  uint8_t *text = NULL;
  size_t length = 0;
  bool found = weir_json_member(json, key, &value) && weir_json_string(value, &text, &length);
  return found ? (weir_text){text, length} : (weir_text){NULL, 0};
}

bool weir_json_integer(weir_text json, int64_t *number) {
  reader from = read_from(json);
  bool negative = take(&from, '-');
  const uint8_t *start = from.at;
  int64_t value = 0;
  while (from.at < from.end && *from.at >= '0' && *from.at <= '9') {
    if (value > (INT64_MAX - 9) / 10) return false;
    value = value * 10 + (*from.at++ - '0');
  }
  if (from.at == start) return false;
  skip_blanks(&from);
  *number = negative ? -value : value;
  return from.at == from.end;
}

uint32_t weir_hash_add(uint32_t hash, weir_text bytes) {
  for (size_t at = 0; at < bytes.len; at++) hash = (hash ^ bytes.ptr[at]) * 0x01000193u;
  return hash;
}

uint32_t weir_hash_end(uint32_t hash) {
  hash = (hash ^ hash >> 16) * 0x85ebca6bu;
  hash = (hash ^ hash >> 13) * 0xc2b2ae35u;
  return hash ^ hash >> 16;
}

#ifdef __wasm__

/* Blocks of powers of two, each kind on a list of its own once it was freed. A plugin allocates few sizes,
 * over and over: what the proxy hands over in calls. */
typedef union block {
  size_t kind;
  union block *next;
  uint64_t aligned;
} block;

enum { SMALLEST = 4, LARGEST = 31, PAGE = 65536 };

extern uint8_t __heap_base;
static block *freed[LARGEST + 1];
static uintptr_t top;

static size_t kind_of(size_t size) {
  size_t kind = SMALLEST;
  while (kind <= LARGEST && ((size_t)1 << kind) - sizeof(block) < size) kind++;
  return kind;
}

void *malloc(size_t size) {
  size_t kind = kind_of(size);
  if (kind > LARGEST) return NULL;
  block *found = freed[kind];
  if (found) {
    freed[kind] = found->next;
  } else {
    if (top == 0) top = ((uintptr_t)&__heap_base + sizeof(block) - 1) & ~(sizeof(block) - 1);
    size_t length = (size_t)1 << kind;
    size_t there = __builtin_wasm_memory_size(0) * PAGE;
    if (there - top < length) {
      size_t pages = (length - (there - top) + PAGE - 1) / PAGE;
      if (__builtin_wasm_memory_grow(0, pages) == (size_t)-1) return NULL;
    }
    found = (block *)top;
    top += length;
  }
  found->kind = kind;
  return found + 1;
}

void free(void *memory) {
  if (!memory) return;
  block *given = (block *)memory - 1;
  size_t kind = given->kind;
  given->next = freed[kind];
  freed[kind] = given;
}

void *calloc(size_t count, size_t size) {
  if (size != 0 && count > SIZE_MAX / size) return NULL;
  void *memory = malloc(count * size);
  return memory ? memset(memory, 0, count * size) : NULL;
}

void *realloc(void *old, size_t size) {
  if (!old) return malloc(size);
  size_t room = ((size_t)1 << ((block *)old - 1)->kind) - sizeof(block);
  if (size <= room) return old;
  void *memory = malloc(size);
  if (!memory) return NULL;
  memcpy(memory, old, room);
  free(old);
  return memory;
}

_Noreturn void abort(void) { __builtin_trap(); }

/* Loops that the compiler must not turn into calls of what they are. */
#define PLAIN __attribute__((no_builtin))

PLAIN void *memcpy(void *restrict to, const void *restrict from, size_t length) {
  uint8_t *into = to;
  const uint8_t *out_of = from;
  while (length--) *into++ = *out_of++;
  return to;
}

PLAIN void *memmove(void *to, const void *from, size_t length) {
  uint8_t *into = to;
  const uint8_t *out_of = from;
  if (into <= out_of) return memcpy(to, from, length);
  while (length--) into[length] = out_of[length];
  return to;
}

PLAIN void *memset(void *to, int byte, size_t length) {
  uint8_t *into = to;
  while (length--) *into++ = (uint8_t)byte;
  return to;
}

PLAIN int memcmp(const void *one, const void *other, size_t length) {
  const uint8_t *a = one, *b = other;
  for (size_t at = 0; at < length; at++) {
    if (a[at] != b[at]) return a[at] < b[at] ? -1 : 1;
  }
  return 0;
}

PLAIN size_t strlen(const char *text) {
  size_t length = 0;
  while (text[length]) length++;
  return length;
}

#endif
