/* weir.h as a program of this machine. */
#include "weir.c"

#include <assert.h>
#include <stdio.h>

static weir_text text(const char *text) {
  return (weir_text){(const uint8_t *)text, strlen(text)};
}

static void members_are_found_wherever_they_stand(void) {
  weir_text config = text("{ \"a\": {\"b\": [1, \"}\"]}, \"c\" :\"x\\\"y\", \"d\":-17,\"e\":true}");
  weir_text value, inner;
  assert(weir_json_member(config, "a", &value) && weir_json_member(value, "b", &inner));
  assert(weir_equal(inner, "[1, \"}\"]"));
  assert(weir_json_element(inner, 1, &value) && weir_equal(value, "\"}\""));
  assert(!weir_json_element(inner, 2, &value));
  assert(weir_json_member(config, "e", &value) && weir_equal(value, "true"));
  assert(!weir_json_member(config, "b", &value));
  assert(!weir_json_member(text("[]"), "b", &value));
}

static void strings_are_decoded(void) {
  uint8_t *decoded;
  size_t length;
  assert(weir_json_string(text("\"x\\\"\\u00e4\\ud83d\\ude00\\n\""), &decoded, &length));
  assert(length == 9 && memcmp(decoded, "x\"\xc3\xa4\xf0\x9f\x98\x80\n", 9) == 0);
  free(decoded);
  const char *bad[] = {"5", "\"", "\"\\u12\"", "\"\\ud83d\"", "\"\\ude00\"", "\"\\q\"", "\"\\ud83d\\u0041\""};
  for (size_t at = 0; at < sizeof bad / sizeof *bad; at++) {
    assert(!weir_json_string(text(bad[at]), &decoded, &length));
  }
}

static void integers_are_read_if_they_fit(void) {
  int64_t number;
  assert(weir_json_integer(text(" -17 "), &number) && number == -17);
  const char *bad[] = {"", "-", "1.5", "1e3", "99999999999999999999", "true"};
  for (size_t at = 0; at < sizeof bad / sizeof *bad; at++) {
    assert(!weir_json_integer(text(bad[at]), &number));
  }
}

static void a_text_that_is_cut_off_anywhere_is_no_danger(void) {
  const char *whole = "{\"a\": {\"b\": [1, \"\\u00e4\\\\\"]}, \"c\": \"\\\"\", \"d\": -1}";
  for (size_t length = 0; length <= strlen(whole); length++) {
    /* In memory of that very length, so that the sanitizer sees a step too far. */
    uint8_t *part = malloc(length ? length : 1);
    memcpy(part, whole, length);
    weir_text value, inner, json = {part, length};
    if (weir_json_member(json, "a", &value)) weir_json_member(value, "b", &inner);
    weir_json_member(json, "nowhere", &value);
    free(part);
  }
}

int main(void) {
  members_are_found_wherever_they_stand();
  strings_are_decoded();
  integers_are_read_if_they_fit();
  a_text_that_is_cut_off_anywhere_is_no_danger();
  puts("json: ok");
}
