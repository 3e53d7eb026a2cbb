/* Names the tenant by the host: `acme.example.com` becomes `X-Tenant: acme`, whatever the client wrote
 * there. A name that no tenant can have gets 404; other hosts pass without a tenant. */
#include "plugin.h"
#include "weir.h"

#include <stdlib.h>
#include <string.h>

typedef plugin_string_t string;

static uint8_t *domain;
static size_t domain_length;
static uint8_t *header;
static size_t header_length;

static const char SCHEMA[] =
    "{\"type\":\"object\",\"required\":[\"domain\",\"header\"],\"additionalProperties\":false,\"properties\":{"
    "\"domain\":{\"type\":\"string\",\"description\":\"Tenants are the names right below it.\"},"
    "\"header\":{\"type\":\"string\",\"description\":\"Gets the tenant's name.\"}}}";

void exports_weir_plugin_lifecycle_describe(exports_weir_plugin_lifecycle_plugin_info_t *info) {
  plugin_string_dup(&info->name, "tenant");
  plugin_string_dup(&info->version, "0.1.0");
  plugin_string_dup(&info->summary, "Names the tenant by the host");
  plugin_string_dup(&info->config_schema, SCHEMA);
}

bool exports_weir_plugin_lifecycle_configure(string *config, exports_weir_plugin_lifecycle_needs_t *needs,
                                             string *error) {
  weir_text json = WEIR_TEXT(*config), value;
  bool sound = weir_json_member(json, "domain", &value) && weir_json_string(value, &domain, &domain_length) &&
               weir_json_member(json, "header", &value) && weir_json_string(value, &header, &header_length);
  plugin_string_free(config);
  if (!sound || domain_length == 0 || domain[0] == '.') {
    plugin_string_dup(error, "/domain: a name such as `example.com`, without a dot in front");
    return false;
  }
  memset(needs, 0, sizeof *needs);
  needs->inputs.len = 1;
  needs->inputs.ptr = malloc(sizeof *needs->inputs.ptr);
  exports_weir_plugin_lifecycle_hook_inputs_t *hook = needs->inputs.ptr;
  plugin_string_dup(&hook->hook, "on-request");
  hook->inputs.len = 1;
  hook->inputs.ptr = malloc(sizeof *hook->inputs.ptr);
  plugin_string_dup(&hook->inputs.ptr[0], "host");
  return true;
}

/* The part of the host below the domain, without the dot between them. */
static bool below_domain(weir_text host, weir_text *name) {
  if (host.len <= domain_length + 1) return false;
  size_t length = host.len - domain_length - 1;
  if (host.ptr[length] != '.' || memcmp(host.ptr + length + 1, domain, domain_length) != 0) return false;
  *name = (weir_text){host.ptr, length};
  return true;
}

/* Letters and digits, and hyphens between them. */
static bool is_tenant(weir_text name) {
  for (size_t at = 0; at < name.len; at++) {
    uint8_t c = name.ptr[at];
    bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    bool inside = c == '-' && at > 0 && at + 1 < name.len;
    if (!plain && !inside) return false;
  }
  return name.len > 0 && name.len <= 63;
}

static weir_plugin_types_edit_t edit(uint8_t kind, weir_text value) {
  weir_plugin_types_edit_t edit;
  edit.tag = kind;
  if (kind == WEIR_PLUGIN_TYPES_EDIT_REMOVE_HEADER) {
    plugin_string_dup_n(&edit.val.remove_header, (const char *)header, header_length);
  } else {
    plugin_string_dup_n(&edit.val.set_header.name, (const char *)header, header_length);
    plugin_string_dup_n(&edit.val.set_header.value, (const char *)value.ptr, value.len);
  }
  return edit;
}

void exports_weir_plugin_request_filter_on_request(plugin_list_option_string_t *values,
                                                   exports_weir_plugin_request_filter_decision_t *decision) {
  memset(decision, 0, sizeof *decision);
  decision->verdict.tag = EXPORTS_WEIR_PLUGIN_REQUEST_FILTER_VERDICT_PASS;
  weir_text host = {NULL, 0}, name = {NULL, 0};
  if (values->ptr[0].is_some) host = WEIR_TEXT(values->ptr[0].val);
  bool below = below_domain(host, &name);
  if (below && !is_tenant(name)) {
    decision->verdict.tag = EXPORTS_WEIR_PLUGIN_REQUEST_FILTER_VERDICT_DENY;
    decision->verdict.val.deny = 404;
  } else {
    decision->edits.len = 1;
    decision->edits.ptr = malloc(sizeof *decision->edits.ptr);
    decision->edits.ptr[0] =
        edit(below ? WEIR_PLUGIN_TYPES_EDIT_SET_HEADER : WEIR_PLUGIN_TYPES_EDIT_REMOVE_HEADER, name);
  }
  plugin_list_option_string_free(values);
}
