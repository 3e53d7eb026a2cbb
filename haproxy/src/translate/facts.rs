//! HAProxy's facts (sample fetches) and what the plugin `rules` calls them.

use std::collections::BTreeSet;

use crate::{file::Call, nearest::nearest};

use super::maps::Maps;

/// What a rule or text depends on besides itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Used {
    /// Facts that earlier rules could have changed: `path`, `header:x-tier`, `var:txn.a`.
    pub reads: BTreeSet<String>,
    /// Maps that must be granted.
    pub maps: BTreeSet<String>,
    /// User lists whose users must have been asked for.
    pub users: BTreeSet<String>,
    /// Whether it needs a response.
    pub response: bool,
    /// Whether it needs to know what a TLS handshake or a request comes to.
    pub request: bool,
    /// Differences to HAProxy.
    pub notes: BTreeSet<String>,
}

impl Used {
    fn read(&mut self, fact: &str) {
        self.reads.insert(fact.to_owned());
    }

    /// Whether all of it is known as soon as there is a connection.
    pub fn is_of_connection(&self) -> bool {
        let of_request = |fact: &String| !fact.starts_with("var:");
        !self.request
            && !self.response
            && self.users.is_empty()
            && !self.reads.iter().any(of_request)
    }
}

/// Why something has no equivalent.
pub type Reason = String;

/// A fact by the name that templates of `rules` have for it, without braces; texts are in quotes.
///
/// # Errors
/// Why it has none.
pub fn fact(fetch: &Call, maps: &Maps, used: &mut Used) -> Result<String, Reason> {
    let name = fetch.name.as_str();
    let named = |kind: &str| {
        let argument = fetch
            .argument(0)
            .ok_or_else(|| format!("`{name}` needs a name in parentheses"))?;
        if argument.contains(['(', ')', '{', '}', '|', '"']) {
            return Err(format!("`{argument}` cannot be a name"));
        }
        Ok(format!("{kind}({argument})"))
    };
    let plain = |fact: &str| Ok(fact.to_owned());
    match name {
        "path" | "capture.req.uri_path" => {
            used.read("path");
            plain("raw_path")
        }
        "pathq" | "url" | "capture.req.uri" => {
            used.reads.extend(["path", "query"].map(str::to_owned));
            plain("url")
        }
        "query" => {
            used.read("query");
            plain("query")
        }
        "base" => {
            used.reads
                .extend(["path", "header:host"].map(str::to_owned));
            plain("base")
        }
        "method" | "capture.req.method" => {
            used.read("method");
            plain("method")
        }
        "src" => plain("client_address"),
        "ssl_fc_sni" | "req.ssl_sni" | "req_ssl_sni" => plain("tls_sni"),
        "ssl_fc_alpn" | "req.ssl_alpn" => plain("tls_alpn"),
        "ssl_fc_cipher" => {
            used.request = true;
            plain("tls_cipher")
        }
        "ssl_fc_protocol" => {
            used.request = true;
            plain("tls_version")
        }
        "ssl_c_s_dn" if fetch.arguments.is_empty() => {
            used.request = true;
            plain("tls_client_subject")
        }
        "req.payload" | "payload" => first_bytes(fetch),
        "src_port" => plain("client_port"),
        "dst" | "fc_dst" => plain("listener_address"),
        "dst_port" | "fc_dst_port" => plain("listener_port"),
        "fe_name" => plain("frontend_name"),
        "unique-id" | "uuid" => plain("request_id"),
        "req.ver" | "req_ver" => {
            used.request = true;
            plain("version")
        }
        "hdr" | "req.hdr" | "fhdr" | "req.fhdr" => header(fetch, "header", used),
        "res.hdr" | "shdr" | "res.fhdr" => {
            used.response = true;
            header(fetch, "response_header", used)
        }
        "cook" | "req.cook" | "req.cookie" => {
            used.read("header:cookie");
            named("cookie")
        }
        "res.cook" | "scook" => {
            used.response = true;
            named("response_cookie")
        }
        "urlp" | "url_param" => {
            used.read("query");
            named("query_param")
        }
        "status" | "res.status" => {
            used.response = true;
            plain("status")
        }
        "var" => {
            let var = named("var")?;
            used.read(&format!("var:{}", fetch.argument(0).unwrap_or_default()));
            Ok(var)
        }
        "http_auth_group" => {
            let list = fetch
                .argument(0)
                .ok_or("`http_auth_group` needs a userlist")?;
            used.users.insert(list.to_owned());
            Ok(format!("var({})", super::auth::user_var(list, maps)))
        }
        "str" | "int" | "bool" => match fetch.argument(0) {
            Some(text) => Ok(quoted(text)),
            None => Ok(quoted("")),
        },
        _ => {
            if let Some(fact) = maps.captures.fact(fetch) {
                let fact = fact?;
                used.response |= name == "capture.res.hdr";
                let kept = fact.trim_end_matches(')');
                used.read(&kept.replacen('(', ":", 1));
                return Ok(fact);
            }
            if let Some(fact) = maps.proxies.fact(fetch, used) {
                return fact;
            }
            match maps.tables.variable(fetch) {
                Some(variable) => {
                    let variable = variable?;
                    used.read(&format!("var:{variable}"));
                    Ok(format!("var({variable})"))
                }
                None => Err(unknown(name)),
            }
        }
    }
}

/// `req.payload(0,LENGTH)`.
fn first_bytes(fetch: &Call) -> Result<String, Reason> {
    let number = |position| fetch.argument(position)?.parse::<u16>().ok();
    match (number(0), number(1)) {
        (Some(0), Some(length @ 1..=4096)) => Ok(format!("first_bytes({length})")),
        _ => Err(format!(
            "`{fetch}`: of a connection its first 1 to 4096 bytes can be looked at"
        )),
    }
}

fn header(fetch: &Call, kind: &str, used: &mut Used) -> Result<String, Reason> {
    let name = fetch
        .argument(0)
        .ok_or_else(|| format!("`{}` without a name means all fields", fetch.name))?;
    let name = name.to_ascii_lowercase();
    if kind == "header" {
        used.read(&format!("header:{name}"));
    }
    match fetch.argument(1) {
        None | Some("-1") => {}
        Some("1") => used.notes.extend([format!(
            "of several `{name}` fields the last counts, not the first"
        )]),
        Some(other) => {
            return Err(format!(
                "field number {other} of several cannot be asked for"
            ));
        }
    }
    // HAProxy takes the last of a comma-separated list, unless asked for the full field.
    let full = fetch.name.ends_with("fhdr") || !is_list(&name);
    let last = match (full, fetch.argument(1)) {
        (true, _) => "",
        (false, Some("1")) => "|field(1,\",\")|trim",
        (false, _) => "|field(-1,\",\")|trim",
    };
    Ok(format!("{kind}({name}){last}"))
}

/// Fields that are lists, and that people ask for one member of.
fn is_list(name: &str) -> bool {
    name.starts_with("accept")
        || matches!(
            name,
            "x-forwarded-for"
                | "x-forwarded-proto"
                | "x-forwarded-host"
                | "via"
                | "forwarded"
                | "cache-control"
                | "vary"
        )
}

/// A text that stands where a fact could.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Facts that HAProxy has and Weir has not, and why.
const ABSENT: [(&str, &str); 16] = [
    (
        "dst_conn",
        "connections are counted for a frontend, not for each of its addresses",
    ),
    (
        "srv_conn_free",
        "free places are known of a backend, not of each server",
    ),
    (
        "be_sess_rate",
        "rates are counted where a `stick-table` says so",
    ),
    (
        "fe_sess_rate",
        "rates are counted where a `stick-table` says so; `tcp-request connection track-sc0 fe_name` counts a frontend's",
    ),
    (
        "fe_req_rate",
        "rates are counted where a `stick-table` says so; `http-request track-sc0 fe_name` counts a frontend's",
    ),
    (
        "srv_sess_rate",
        "rates are counted where a `stick-table` says so",
    ),
    (
        "rand",
        "rules are not given random numbers; a balancer with weights spreads traffic",
    ),
    ("date", "rules are not given the time"),
    ("hostname", "rules are not given the machine's name"),
    ("env", "weir.toml has no variables"),
    ("be_name", "at that time no backend has been chosen"),
    ("srv_name", "at that time no server has been chosen"),
    ("req.body", "bodies pass through and are not looked at"),
    ("res.body", "bodies pass through and are not looked at"),
    (
        "req.body_param",
        "bodies pass through and are not looked at",
    ),
    (
        "req.len",
        "it is known whether there are bytes, not how many",
    ),
];

/// Families of facts, by how their names begin.
const ABSENT_FAMILIES: [(&str, &str); 16] = [
    ("sc", "Weir's tables have no such counter"),
    ("src_", "Weir's tables have no such counter"),
    ("ssl_", "rules are not given this fact of TLS"),
    ("req.ssl_", "rules are not given this fact of TLS"),
    ("req_ssl_", "rules are not given this fact of TLS"),
    ("rdp_", "Weir does not read RDP"),
    ("req.rdp_", "Weir does not read RDP"),
    ("req.", "Weir has no such fact"),
    ("res.", "Weir has no such fact"),
    ("table_", "rules cannot ask how full a table is"),
    ("fc_", "rules are not given facts of the connection"),
    (
        "bc_",
        "rules are not given facts of the server's connection",
    ),
    ("be_", "rules cannot ask for the state of a backend"),
    ("fe_", "rules cannot ask for the state of a frontend"),
    ("lua.", "Lua becomes a plugin of your own"),
    ("http_", "Weir has no such fact"),
];

/// All that HAProxy 2.6 knows and that is not said elsewhere here, for telling slips from gaps.
const OTHERS: [&str; 50] = [
    "base32",
    "base32+src",
    "baseq",
    "bin",
    "capture.req.hdr",
    "capture.res.hdr",
    "capture.req.ver",
    "capture.res.ver",
    "cook_cnt",
    "cook_val",
    "cpu_calls",
    "cpu_ns_avg",
    "cpu_ns_tot",
    "cur_server_timeout",
    "cur_tunnel_timeout",
    "date_us",
    "distcc_body",
    "distcc_param",
    "dst_is_local",
    "hdr_cnt",
    "hdr_ip",
    "hdr_val",
    "hdr_names",
    "internal.htx.data",
    "ipv4",
    "ipv6",
    "last_rule_file",
    "last_rule_line",
    "lat_ns_avg",
    "lat_ns_tot",
    "meth",
    "mqtt",
    "nbproc",
    "nbthread",
    "proc",
    "payload",
    "payload_lv",
    "pid",
    "prio_class",
    "prio_offset",
    "scook_cnt",
    "scook_val",
    "set-cookie",
    "so_id",
    "so_name",
    "stopping",
    "thread",
    "txn",
    "url32",
    "url_ip",
];

/// Why a fact has no equivalent.
pub fn unknown(name: &str) -> Reason {
    let family = || {
        ABSENT_FAMILIES
            .iter()
            .find(|(start, _)| name.starts_with(start))
    };
    match ABSENT
        .iter()
        .find(|(known, _)| *known == name)
        .or_else(family)
    {
        Some((_, why)) => format!("`{name}`: {why}"),
        None => format!("`{name}`: Weir has no such fact"),
    }
}

/// Whether HAProxy would know the fact; if not, which one may be meant.
pub fn check_known(name: &str) -> Result<(), String> {
    const HERE: [&str; 52] = [
        "nbsrv",
        "be_conn",
        "be_conn_free",
        "connslots",
        "queue",
        "avg_queue",
        "srv_is_up",
        "srv_conn",
        "srv_queue",
        "fe_conn",
        "req.payload",
        "req_ssl_sni",
        "req_ssl_hello_type",
        "req.ssl_hello_type",
        "req_ssl_ver",
        "req_len",
        "req_proto_http",
        "req.proto_http",
        "rep_ssl_hello_type",
        "path",
        "pathq",
        "url",
        "query",
        "base",
        "method",
        "src",
        "src_port",
        "dst",
        "dst_port",
        "fe_name",
        "unique-id",
        "uuid",
        "hdr",
        "req.hdr",
        "fhdr",
        "req.fhdr",
        "res.hdr",
        "shdr",
        "res.fhdr",
        "cook",
        "req.cook",
        "res.cook",
        "scook",
        "urlp",
        "url_param",
        "status",
        "var",
        "http_auth",
        "str",
        "int",
        "bool",
        "always_true",
    ];
    let in_family = ABSENT_FAMILIES
        .iter()
        .any(|(start, _)| name.starts_with(start));
    let known = HERE
        .iter()
        .chain(&OTHERS)
        .chain(&["always_false", "url_port", "urlp_val"]);
    let mut known = known.copied().chain(ABSENT.iter().map(|(name, _)| *name));
    if in_family
        || known.any(|known| known == name)
        || name.starts_with("capture.")
        || name.starts_with("mqtt")
    {
        return Ok(());
    }
    let candidates = HERE.into_iter().chain(ABSENT.map(|(name, _)| name)).chain([
        "http_auth_group",
        "ssl_fc",
        "path_beg",
        "path_end",
        "path_reg",
        "path_sub",
        "hdr_beg",
        "hdr_dom",
        "hdr_end",
    ]);
    Err(match nearest(name, candidates) {
        Some(meant) => format!("HAProxy has no fact `{name}`; did you mean `{meant}`?"),
        None => format!("HAProxy has no fact `{name}`"),
    })
}
