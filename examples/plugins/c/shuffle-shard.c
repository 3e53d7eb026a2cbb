/* Shuffle sharding: each tenant has a hand of a few servers, dealt by hashing, and its requests go to the
 * least busy of them. A tenant that brings servers down brings down its own hand; with 8 servers and
 * hands of 2, only one tenant in 28 has the same hand. */
#include "plugin.h"
#include "weir.h"

#include <stdlib.h>
#include <string.h>

typedef plugin_list_u32_t numbers;

typedef struct {
  uint32_t id;
  uint32_t weight;
  uint32_t score;
  bool in_hand;
} server;

static server *servers;
static size_t count;
static int64_t hand_size;
static uint8_t *input;
static size_t input_length;

static const char SCHEMA[] =
    "{\"type\":\"object\",\"required\":[\"tenant\",\"hand\"],\"additionalProperties\":false,\"properties\":{"
    "\"tenant\":{\"type\":\"string\",\"description\":\"The header that names the tenant.\"},"
    "\"hand\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":64,\"description\":\"Servers per tenant.\"}}}";

void exports_weir_plugin_lifecycle_describe(exports_weir_plugin_lifecycle_plugin_info_t *info) {
  plugin_string_dup(&info->name, "shuffle-shard");
  plugin_string_dup(&info->version, "0.1.0");
  plugin_string_dup(&info->summary,
                             "Gives each tenant a few of the servers, and picks the least busy of them");
  plugin_string_dup(&info->config_schema, SCHEMA);
}

/* `header(NAME)`, of the header that the config names. */
static bool read_tenant(weir_text config) {
  weir_text value;
  uint8_t *name;
  size_t length;
  if (!weir_json_member(config, "tenant", &value) || !weir_json_string(value, &name, &length)) return false;
  input_length = length + 8;
  input = malloc(input_length);
  memcpy(input, "header(", 7);
  memcpy(input + 7, name, length);
  input[input_length - 1] = ')';
  free(name);
  return true;
}

bool exports_weir_plugin_lifecycle_configure(plugin_string_t *config,
                                             exports_weir_plugin_lifecycle_needs_t *needs,
                                             plugin_string_t *error) {
  weir_text json = WEIR_TEXT(*config), value;
  bool sound = read_tenant(json) && weir_json_member(json, "hand", &value) && weir_json_integer(value, &hand_size);
  plugin_string_free(config);
  if (!sound) {
    plugin_string_dup(error, "`tenant` is a text and `hand` a number");
    return false;
  }
  needs->inputs.len = 1;
  needs->inputs.ptr = malloc(sizeof *needs->inputs.ptr);
  exports_weir_plugin_lifecycle_hook_inputs_t *pick = needs->inputs.ptr;
  plugin_string_dup(&pick->hook, "pick");
  pick->inputs.len = 1;
  pick->inputs.ptr = malloc(sizeof *pick->inputs.ptr);
  plugin_string_dup_n(&pick->inputs.ptr[0], (const char *)input, input_length);
  needs->backends = (plugin_list_string_t){NULL, 0};
  needs->features.len = 1;
  needs->features.ptr = malloc(sizeof *needs->features.ptr);
  plugin_string_dup(&needs->features.ptr[0], "loads");
  return true;
}

void exports_weir_plugin_balancer_update(exports_weir_plugin_balancer_list_server_t *eligible) {
  free(servers);
  count = eligible->len;
  servers = calloc(count ? count : 1, sizeof *servers);
  for (size_t at = 0; at < count; at++) {
    servers[at].id = eligible->ptr[at].id;
    servers[at].weight = eligible->ptr[at].weight;
  }
  exports_weir_plugin_balancer_list_server_free(eligible);
}

static uint32_t score(weir_text tenant, uint32_t id) {
  uint8_t end[5] = {0, (uint8_t)id, (uint8_t)(id >> 8), (uint8_t)(id >> 16), (uint8_t)(id >> 24)};
  return weir_hash_end(weir_hash_add(weir_hash_add(WEIR_HASH, tenant), (weir_text){end, sizeof end}));
}

/* Marks the tenant's servers; without a tenant all of them. */
static void deal(weir_text tenant) {
  bool all = tenant.len == 0 || (uint64_t)hand_size >= count;
  for (size_t at = 0; at < count; at++) {
    servers[at].in_hand = all;
    if (!all) servers[at].score = score(tenant, servers[at].id);
  }
  for (int64_t dealt = 0; !all && dealt < hand_size; dealt++) {
    server *best = NULL;
    for (size_t at = 0; at < count; at++) {
      if (!servers[at].in_hand && (!best || servers[at].score > best->score)) best = &servers[at];
    }
    best->in_hand = true;
  }
}

static bool has(const numbers *list, size_t number) {
  for (size_t at = 0; list && at < list->len; at++) {
    if (list->ptr[at] == number) return true;
  }
  return false;
}

static uint64_t load(const numbers *loads, size_t at) {
  return (loads && at < loads->len ? loads->ptr[at] : 0) + (uint64_t)1;
}

/* Below 0 if `one` is less busy for its weight than `other`, above if it is busier. */
static int compare(const numbers *loads, size_t one, size_t other) {
  uint64_t a = load(loads, one) * servers[other].weight, b = load(loads, other) * servers[one].weight;
  return a < b ? -1 : a > b;
}

enum choice { HAND, ANY };

static bool may_use(enum choice choice, const numbers *tried, size_t at) {
  return (choice == ANY || servers[at].in_hand) && !has(tried, at);
}

/* The least busy that may be used; equals take turns. */
static bool least_busy(enum choice choice, const numbers *tried, const numbers *loads, uint64_t turn, uint32_t *picked) {
  size_t least = 0, equals = 0;
  for (size_t at = 0; at < count; at++) {
    if (!may_use(choice, tried, at)) continue;
    int order = equals ? compare(loads, at, least) : -1;
    if (order < 0) {
      least = at;
      equals = 1;
    } else if (order == 0) {
      equals++;
    }
  }
  if (!equals) return false;
  uint64_t left = turn % equals;
  for (size_t at = least; at < count; at++) {
    if (may_use(choice, tried, at) && compare(loads, at, least) == 0 && left-- == 0) {
      *picked = (uint32_t)at;
      return true;
    }
  }
  return false;
}

bool exports_weir_plugin_balancer_pick(uint64_t turn, plugin_list_option_string_t *values, numbers *loads,
                                       numbers *tried, uint32_t *picked) {
  weir_text tenant = {NULL, 0};
  if (values && values->ptr[0].is_some) tenant = WEIR_TEXT(values->ptr[0].val);
  deal(tenant);
  bool found = least_busy(HAND, tried, loads, turn, picked) || least_busy(ANY, tried, loads, turn, picked) ||
               least_busy(HAND, NULL, loads, turn, picked);
  if (values) plugin_list_option_string_free(values);
  if (loads) plugin_list_u32_free(loads);
  if (tried) plugin_list_u32_free(tried);
  return found;
}
