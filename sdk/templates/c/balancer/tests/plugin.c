#include "plugin.h"
#include "weir_test.h"
#include "weir.c"

WEIR_TEST_STRINGS(plugin)

void plugin_list_u32_free(plugin_list_u32_t *list) { free(list->ptr); }

void exports_weir_plugin_balancer_list_server_free(exports_weir_plugin_balancer_list_server_t *list) {
  for (size_t at = 0; at < list->len; at++) free(list->ptr[at].name.ptr);
  free(list->ptr);
}

#include "../plugin.c"

/* Three servers: `a`, `b` and `near-c`. */
static void begin(const char *text) {
  plugin_string_t config = copy(text), error;
  weir_needs needs;
  assert(exports_weir_plugin_lifecycle_configure(&config, &needs, &error));
  assert(weir_equal(WEIR_TEXT(needs.features.ptr[0]), "loads"));
  exports_weir_plugin_balancer_list_server_t servers = {calloc(3, sizeof *servers.ptr), 3};
  const char *names[] = {"a", "b", "near-c"};
  for (size_t at = 0; at < 3; at++) servers.ptr[at].name = copy(names[at]);
  exports_weir_plugin_balancer_update(&servers);
}

static plugin_list_u32_t of(size_t length, const uint32_t *from) {
  plugin_list_u32_t list = {malloc(length * sizeof *from + 1), length};
  memcpy(list.ptr, from, length * sizeof *from);
  return list;
}

static uint32_t pick(uint64_t turn, const uint32_t *loads, size_t tries, const uint32_t *tried) {
  plugin_list_u32_t three = of(3, loads);
  uint32_t picked;
  if (!tries) {
    assert(exports_weir_plugin_balancer_pick(turn, NULL, &three, NULL, &picked));
    return picked;
  }
  plugin_list_u32_t failed = of(tries, tried);
  assert(exports_weir_plugin_balancer_pick(turn, NULL, &three, &failed, &picked));
  return picked;
}

int main(void) {
  /* The least loaded is picked, and equals take turns. */
  begin("{}");
  assert(pick(0, (uint32_t[]){2, 1, 2}, 0, NULL) == 1);
  assert(pick(0, (uint32_t[]){1, 1, 1}, 0, NULL) == 0);
  assert(pick(1, (uint32_t[]){1, 1, 1}, 0, NULL) == 1);

  /* A server that failed comes last. */
  assert(pick(0, (uint32_t[]){0, 1, 1}, 1, (uint32_t[]){0}) == 1);

  /* Among equals the preferred comes first. */
  begin("{\"prefer\": \"near-\"}");
  assert(pick(0, (uint32_t[]){1, 1, 1}, 0, NULL) == 2);
  assert(pick(0, (uint32_t[]){1, 1, 2}, 0, NULL) == 0);
  puts("@name@: ok");
}
