#include "plugin.h"
#include "weir_test.h"
#include "weir.c"

WEIR_TEST_STRINGS(plugin)

void plugin_list_u32_free(plugin_list_u32_t *list) { free(list->ptr); }

void exports_weir_plugin_balancer_list_server_free(exports_weir_plugin_balancer_list_server_t *list) {
  free(list->ptr);
}

#include "../shuffle-shard.c"

static void update(size_t length, const uint32_t *weights) {
  exports_weir_plugin_balancer_list_server_t list = {calloc(length + 1, sizeof *list.ptr), length};
  for (size_t at = 0; at < length; at++) {
    list.ptr[at].id = (uint32_t)at + 1;
    list.ptr[at].weight = weights ? weights[at] : 1;
  }
  exports_weir_plugin_balancer_update(&list);
}

static numbers of(size_t length, const uint32_t *from) {
  numbers list = {malloc(length * sizeof *from + 1), length};
  if (length) memcpy(list.ptr, from, length * sizeof *from);
  return list;
}

/* The pick, or -1. */
static int pick(uint64_t turn, const char *tenant, size_t n, const uint32_t *loads, size_t m, const uint32_t *tried) {
  plugin_list_option_string_t values = {calloc(1, sizeof *values.ptr), 1};
  if (tenant) values.ptr[0] = (plugin_option_string_t){true, copy(tenant)};
  numbers load_list = of(n, loads), tried_list = of(m, tried);
  uint32_t picked;
  bool found = exports_weir_plugin_balancer_pick(turn, &values, n ? &load_list : NULL, m ? &tried_list : NULL, &picked);
  if (!n) free(load_list.ptr);
  if (!m) free(tried_list.ptr);
  return found ? (int)picked : -1;
}

static uint32_t hand(const char *tenant) {
  uint32_t reached = 0;
  for (uint64_t turn = 0; turn < 20; turn++) reached |= 1u << pick(turn, tenant, 0, NULL, 0, NULL);
  return reached;
}

static void configure(const char *config) {
  plugin_string_t text = copy(config), error;
  exports_weir_plugin_lifecycle_needs_t needs;
  assert(exports_weir_plugin_lifecycle_configure(&text, &needs, &error));
  assert(weir_equal(WEIR_TEXT(needs.inputs.ptr[0].inputs.ptr[0]), "header(X-Tenant)"));
}

int main(void) {
  configure("{\"hand\": 2, \"tenant\": \"X-Tenant\"}");

  /* A tenant stays with its hand and takes turns within it; tenants have different hands. */
  update(8, NULL);
  assert(__builtin_popcount(hand("acme")) == 2 && hand("acme") == hand("acme"));
  assert(hand("acme") != hand("globex") || hand("acme") != hand("initech"));

  /* Without a tenant all servers share. */
  assert(hand(NULL) == 0xff && hand("") == 0xff);

  /* A hand that was tried falls back to the other servers; and to itself when all were. */
  uint32_t tried[8], tries = 0;
  for (uint32_t at = 0; at < 8; at++) {
    if (hand("acme") >> at & 1) tried[tries++] = at;
  }
  int other = pick(0, "acme", 0, NULL, tries, tried);
  assert(other >= 0 && !(hand("acme") >> other & 1));
  for (tries = 0; tries < 8; tries++) tried[tries] = tries;
  assert(hand("acme") >> pick(0, "acme", 0, NULL, tries, tried) & 1);

  /* The least busy is picked, by weight. */
  update(2, (uint32_t[]){1, 3});
  assert(pick(0, "x", 2, (uint32_t[]){1, 2}, 0, NULL) == 1);
  assert(pick(0, "x", 2, (uint32_t[]){0, 5}, 0, NULL) == 0);

  /* No server is no pick. */
  update(0, NULL);
  assert(pick(0, "x", 0, NULL, 0, NULL) == -1);
  puts("shuffle-shard: ok");
}
