//! The plugin's part of weir.toml, as it is written. What it means is worked out in `matchers` and
//! `actions`; nothing here is checked beyond its shape.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use weir_sdk::{Input, Refusal};

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Conditions by the name under which `when` refers to them.
    #[serde(rename = "match")]
    pub matchers: BTreeMap<String, Matcher>,
    /// What to do with connections, before anything is made of their bytes. The rules apply in order until one
    /// ends the search.
    #[serde(rename = "connection_rule")]
    pub connection_rules: Vec<ConnectionRule>,
    /// What to do with requests. The rules apply in order until one ends the search.
    #[serde(rename = "rule")]
    pub rules: Vec<Rule>,
    /// What to do with the servers' responses. All rules apply, in order.
    #[serde(rename = "response_rule")]
    pub response_rules: Vec<ResponseRule>,
}

/// A condition: an expression over matcher names, or a matcher written in place.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum Condition {
    Expression(String),
    Matcher(Box<Matcher>),
}

/// One value or a list of values, any of which will do.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

/// What a request or response must look like. Keys that stand beside each other must all hold;
/// `any`, `all` and `not` stand alone.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Matcher {
    /// At least one of these holds.
    pub any: Option<Vec<Condition>>,
    /// All of these hold.
    pub all: Option<Vec<Condition>>,
    /// This does not hold.
    pub not: Option<Condition>,
    /// The path, normalised: dot segments and doubled slashes removed, `%61` read as `a`.
    pub path: Option<PathText>,
    /// The path as the client sent it.
    pub raw_path: Option<PathText>,
    /// All after the `?`, as the client sent it.
    pub query: Option<Text>,
    /// The first query parameter of that name, decoded.
    pub query_param: Option<NamedText>,
    /// Such as `GET`; any of a list.
    pub method: Option<OneOrMany<String>>,
    /// The host asked for, in lower case and without port.
    pub host: Option<HostText>,
    /// `http` or `https`.
    pub scheme: Option<OneOrMany<String>>,
    /// A request header field: all fields of that name joined, or any comma-separated part.
    pub header: Option<NamedText>,
    /// A cookie of the request.
    pub cookie: Option<NamedText>,
    /// Addresses and networks, one of which the client is in.
    pub client: Option<OneOrMany<String>>,
    /// The port that the client connected to.
    pub listener_port: Option<OneOrMany<u16>>,
    /// The name that the client asked for in its TLS handshake, in lower case.
    pub tls_sni: Option<Text>,
    /// What both sides agreed to speak: `h2` or `http/1.1`.
    pub tls_alpn: Option<Text>,
    /// `TLSv1.2` or `TLSv1.3`.
    pub tls_version: Option<Text>,
    /// The cipher suite, as OpenSSL calls it.
    pub tls_cipher: Option<Text>,
    /// `true` if the client has shown a certificate, `false` if not.
    pub tls_client_verified: Option<Text>,
    /// The subject of the client's certificate: `CN=ada,O=Example`.
    pub tls_client_subject: Option<Text>,
    /// Its alternative names: `DNS:a.example, URI:spiffe://b`.
    pub tls_client_san: Option<Text>,
    /// Its SHA-256 in lower-case hexadecimal digits.
    pub tls_client_fingerprint: Option<Text>,
    /// A variable that an earlier filter has set.
    pub var: Option<NamedText>,
    /// What a granted map says about a fact of the request.
    pub lookup: Option<Lookup>,
    /// What converters make of a fact.
    pub value: Option<ValueText>,
    /// Holds always (`true`) or never (`false`), whatever the request.
    pub always: Option<bool>,
    /// The response's status: `404` or a class such as `"5xx"`. Response rules only.
    pub status: Option<OneOrMany<Status>>,
    /// A response header field. Response rules only.
    pub response_header: Option<NamedText>,
}

// The keys of texts stand in each of these tables anew: what serde flattens into another table cannot refuse
// keys that it does not know.

/// How a text must look. Keys that stand beside each other must all hold; of a list, one is enough.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Text {
    pub exact: Option<OneOrMany<String>>,
    pub prefix: Option<OneOrMany<String>>,
    pub suffix: Option<OneOrMany<String>>,
    pub contains: Option<OneOrMany<String>>,
    /// A regular expression that matches somewhere in the text; `^` and `$` tie it to the ends.
    pub regex: Option<OneOrMany<String>>,
    /// Whether it is there at all.
    pub present: Option<bool>,
    /// A and a are the same; ASCII letters only.
    pub ignore_case: bool,
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PathText {
    pub exact: Option<OneOrMany<String>>,
    pub prefix: Option<OneOrMany<String>>,
    /// Like `prefix`, but only up to a `/`: `/app` holds for `/app` and `/app/x`, not for `/apple`.
    pub segment: Option<OneOrMany<String>>,
    pub suffix: Option<OneOrMany<String>>,
    pub contains: Option<OneOrMany<String>>,
    pub regex: Option<OneOrMany<String>>,
    pub ignore_case: bool,
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HostText {
    pub exact: Option<OneOrMany<String>>,
    pub prefix: Option<OneOrMany<String>>,
    pub suffix: Option<OneOrMany<String>>,
    /// The name itself and all names below it: `example.com` holds for `a.example.com`, not for
    /// `badexample.com`.
    pub domain: Option<OneOrMany<String>>,
    pub contains: Option<OneOrMany<String>>,
    pub regex: Option<OneOrMany<String>>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NamedText {
    /// Of the header, cookie, parameter or variable.
    pub name: String,
    pub exact: Option<OneOrMany<String>>,
    pub prefix: Option<OneOrMany<String>>,
    pub suffix: Option<OneOrMany<String>>,
    pub contains: Option<OneOrMany<String>>,
    pub regex: Option<OneOrMany<String>>,
    /// Addresses and networks, for values that are addresses.
    pub network: Option<OneOrMany<String>>,
    pub present: Option<bool>,
    #[serde(default)]
    pub ignore_case: bool,
}

/// A template's only part, `{fact|converter|…}`, and how it must look.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ValueText {
    /// Such as `{header(Host)|host_only|lower}`.
    pub of: String,
    pub exact: Option<OneOrMany<String>>,
    pub prefix: Option<OneOrMany<String>>,
    pub suffix: Option<OneOrMany<String>>,
    pub contains: Option<OneOrMany<String>>,
    pub regex: Option<OneOrMany<String>>,
    /// Addresses and networks, for values that are addresses.
    pub network: Option<OneOrMany<String>>,
    /// The value is a whole number and not below this one.
    pub at_least: Option<i64>,
    /// The value is a whole number and not above this one.
    pub at_most: Option<i64>,
    /// Whether there is a value at all.
    pub present: Option<bool>,
    #[serde(default)]
    pub ignore_case: bool,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lookup {
    /// The map's name. It must be granted to this filter.
    pub map: String,
    /// The fact that is looked up: `"client_address"`, `"path"`, `{ cookie = "SID" }` or the like.
    pub key: Input,
    pub exact: Option<OneOrMany<String>>,
    pub prefix: Option<OneOrMany<String>>,
    pub suffix: Option<OneOrMany<String>>,
    pub contains: Option<OneOrMany<String>>,
    pub regex: Option<OneOrMany<String>>,
    /// Whether the map has the key.
    pub present: Option<bool>,
    #[serde(default)]
    pub ignore_case: bool,
}

/// A status or a class of them.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum Status {
    Code(u16),
    /// Such as `5xx`.
    Class(String),
}

/// What to do with a request. `use`, `deny`, `reply` and `redirect` end the search; a rule with none
/// of them edits the request and leaves the rest to the rules that follow.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// When the rule applies; always, if left out.
    pub when: Option<Condition>,
    /// The backend to use.
    #[serde(rename = "use")]
    pub use_backend: Option<String>,
    /// The backend to use is worked out; if it is none of a list, the search goes on.
    pub use_one_of: Option<UseOneOf>,
    /// Ends the search without deciding anything.
    #[serde(default)]
    pub stop: bool,
    /// Answer with the proxy's error page for this status, 400 to 599.
    pub deny: Option<u16>,
    pub reply: Option<Reply>,
    pub redirect: Option<Redirect>,
    /// Replaces all request header fields of that name. Values are templates.
    pub set_header: BTreeMap<String, String>,
    /// Appends request header fields.
    pub add_header: BTreeMap<String, OneOrMany<String>>,
    pub remove_header: Option<OneOrMany<String>>,
    /// Replaces the value of fields that a regular expression matches.
    pub replace_header: BTreeMap<String, Replacement>,
    /// As `set_header`, on the answer that the client gets.
    pub set_response_header: BTreeMap<String, String>,
    pub add_response_header: BTreeMap<String, OneOrMany<String>>,
    pub remove_response_header: Option<OneOrMany<String>>,
    /// A template for the path, without query.
    pub set_path: Option<String>,
    /// Replaces the path as sent, if a regular expression matches it.
    pub replace_path: Option<Replacement>,
    /// A template for the query, without `?`; empty removes it.
    pub set_query: Option<String>,
    pub set_method: Option<String>,
    /// Variables for later filters, the balancer, persistence and the log. Values are templates.
    pub set_var: BTreeMap<String, String>,
}

/// A backend by a name that is worked out.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UseOneOf {
    /// A template for the backend's name.
    pub name: String,
    /// The backends that it may come to.
    pub backends: Vec<String>,
}

/// What takes the place of a text.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Replacement {
    /// Matches anywhere; the whole text is replaced.
    pub regex: String,
    /// A template; `\1` is the first group of the expression.
    pub with: String,
}

/// A complete answer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// 200 to 599.
    pub status: u16,
    /// Values are templates.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Sent as it stands; not a template.
    #[serde(default)]
    pub body: String,
    /// A body with facts in it.
    pub body_template: Option<String>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// A template for the `Location` field.
    pub to: String,
    /// 301, 302 (if left out), 303, 307 or 308.
    pub status: Option<u16>,
}

/// What to do with a connection. `use`, `use_one_of`, `stop` and `refuse` end the search.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectionRule {
    /// When the rule applies; always, if left out.
    pub when: Option<Condition>,
    /// The backend to use; in front of HTTP for all requests of the connection that no rule sends elsewhere.
    #[serde(rename = "use")]
    pub use_backend: Option<String>,
    /// The backend to use is worked out; if it is none of a list, the search goes on.
    pub use_one_of: Option<UseOneOf>,
    /// Ends the search without deciding anything.
    pub stop: bool,
    /// Ends the connection.
    pub refuse: Option<Refuse>,
    /// Variables for whoever is asked about the connection later. Values are templates.
    pub set_var: BTreeMap<String, String>,
}

/// How a connection is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Refuse {
    /// In the ordinary way.
    Close,
    /// With a reset, which costs the proxy least.
    Reset,
}

impl From<Refuse> for Refusal {
    fn from(refuse: Refuse) -> Self {
        match refuse {
            Refuse::Close => Self::Close,
            Refuse::Reset => Self::Reset,
        }
    }
}

/// What to do with a response.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResponseRule {
    /// When the rule applies; always, if left out.
    pub when: Option<Condition>,
    pub set_header: BTreeMap<String, String>,
    pub add_header: BTreeMap<String, OneOrMany<String>>,
    pub remove_header: Option<OneOrMany<String>>,
    pub replace_header: BTreeMap<String, Replacement>,
    /// 200 to 599.
    pub set_status: Option<u16>,
    pub set_var: BTreeMap<String, String>,
}

impl<T> OneOrMany<T> {
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

// Written out instead of `#[serde(untagged)]`, whose errors only say that nothing fitted.

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ConditionVisitor;

        impl<'de> Visitor<'de> for ConditionVisitor {
            type Value = Condition;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an expression over matcher names, or a matcher as a table")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Condition, E> {
                Ok(Condition::Expression(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Condition, A::Error> {
                Matcher::deserialize(MapAccessDeserializer::new(map))
                    .map(|matcher| Condition::Matcher(Box::new(matcher)))
            }
        }

        deserializer.deserialize_any(ConditionVisitor)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value or a list of values")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<OneOrMany<T>, E> {
                T::deserialize(de::value::StrDeserializer::new(text)).map(OneOrMany::One)
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<OneOrMany<T>, E> {
                T::deserialize(de::value::U64Deserializer::new(number)).map(OneOrMany::One)
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<OneOrMany<T>, E> {
                T::deserialize(de::value::I64Deserializer::new(number)).map(OneOrMany::One)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany<T>, A::Error> {
                let mut many = Vec::new();
                while let Some(one) = list.next_element()? {
                    many.push(one);
                }
                Ok(OneOrMany::Many(many))
            }
        }

        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StatusVisitor;

        impl Visitor<'_> for StatusVisitor {
            type Value = Status;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a status such as 404 or a class such as \"5xx\"")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Status, E> {
                u16::try_from(number)
                    .map(Status::Code)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Status, E> {
                Ok(Status::Class(text.to_owned()))
            }
        }

        deserializer.deserialize_any(StatusVisitor)
    }
}
