//! HAProxy's tests (`path_beg -i /static`) as matchers of the plugin `rules`.

use std::path::Path;

use crate::{
    file::{Matching, Test},
    surroundings::Surroundings,
    weir::{Table, Value},
};

use super::{
    auth,
    condition::Names,
    draft::{Mode, default_matching},
    facts::{Reason, Used},
    maps::{MapMatching, Maps},
    ranges::{Range, numbers_of, ranges, statuses},
    template,
};

/// What a matcher needs to be made.
pub struct Matchers<'m> {
    pub maps: &'m mut Maps,
    pub around: &'m dyn Surroundings,
    /// Files whose patterns became part of the configuration.
    pub read: &'m mut Vec<std::path::PathBuf>,
    /// The names given to tests that had none.
    pub named: &'m mut Names,
    /// Of the proxy whose rule it is for.
    pub mode: Mode,
}

/// Where a matcher looks, as it is written: `raw_path = { … }`, `header = { name = "x", … }`.
struct Place {
    key: &'static str,
    name: Option<String>,
}

impl Matchers<'_> {
    /// A matcher for one test.
    ///
    /// # Errors
    /// Why there is none.
    pub fn matcher(&mut self, test: &Test, used: &mut Used) -> Result<Value, Reason> {
        let fetch = &test.sample.fetch;
        let name = fetch.name.as_str();
        if test.sample.converters.is_empty() {
            match name {
                "always_true" => return Ok(Table::of("always", true).into()),
                "always_false" => return Ok(Table::of("always", false).into()),
                "ssl_fc" | "fc_ssl" => {
                    used.request = true;
                    return Ok(Table::of("scheme", "https").into());
                }
                "req.proto_http" | "req_proto_http" => return Ok(self.speaks_http()),
                "req.ssl_hello_type" | "req_ssl_hello_type" => return greets(&test.patterns),
                "req.len" | "req_len" => return has_bytes(&test.patterns),
                "http_auth" => return auth::logged_in(fetch.argument(0), self.maps, used),
                "http_auth_group" if !test.patterns.is_empty() => {
                    return auth::in_group(fetch.argument(0), &test.patterns, self.maps, used);
                }
                "hdr_cnt" | "req.hdr_cnt" => return counted_header(test, used),
                _ => {}
            }
        }
        let matching = test
            .matching
            .unwrap_or_else(|| match test.sample.converters.last() {
                Some(last) if is_number(&last.name) => Matching::Integer,
                Some(last) if last.name == "ipmask" => Matching::Address,
                Some(_) => Matching::Exact,
                None => default_matching(name),
            });
        if matching != Matching::Found && test.patterns.is_empty() && test.files.is_empty() {
            return match matching {
                Matching::Bool if name == "srv_is_up" => {
                    self.compared(test, used, Table::of("exact", "true"))
                }
                Matching::Bool => {
                    self.compared(test, used, Table::of("exact", list_of(["1", "true"])))
                }
                _ => Ok(Table::of("always", false).into()),
            };
        }
        if !test.files.is_empty()
            && let Some(lookup) = self.lookup(test, matching, used)?
        {
            return Ok(lookup);
        }
        let patterns = match matching {
            Matching::Found => Vec::new(),
            _ => self.patterns(test, used)?,
        };
        self.with_patterns(test, matching, &patterns, used)
    }

    /// Whether a client speaks HTTP: in front of HTTP it does, else it is seen by how it begins.
    fn speaks_http(&self) -> Value {
        match self.mode {
            Mode::Http => Table::of("always", true).into(),
            Mode::Tcp => {
                let regex = "^(GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|TRACE|CONNECT) ";
                first(8, Table::of("regex", regex))
            }
        }
    }

    fn with_patterns(
        &mut self,
        test: &Test,
        matching: Matching,
        patterns: &[String],
        used: &mut Used,
    ) -> Result<Value, Reason> {
        let text = |key: &str, patterns: Vec<String>| {
            let table = Table::of(key, patterns);
            if test.ignore_case {
                table.with("ignore_case", true)
            } else {
                table
            }
        };
        let condition = match matching {
            Matching::Found => Table::of("present", true),
            Matching::Exact => text("exact", patterns.to_vec()),
            Matching::Prefix => text("prefix", patterns.to_vec()),
            Matching::Suffix => text("suffix", patterns.to_vec()),
            Matching::Contains => text("contains", patterns.to_vec()),
            Matching::Regex => {
                for pattern in patterns {
                    template::regular(pattern, test.ignore_case)?;
                }
                text("regex", patterns.to_vec())
            }
            Matching::Directory => text("regex", delimited(patterns, "[/?]")),
            Matching::Domain => text("regex", delimited(patterns, "[/?.:]")),
            Matching::Length => {
                let mut longer = test.clone();
                longer.sample.converters.push(crate::file::Call {
                    name: "length".to_owned(),
                    arguments: Vec::new(),
                });
                return self.numbers(&longer, patterns, used);
            }
            Matching::Integer => return self.numbers(test, patterns, used),
            Matching::Address => Table::of("network", patterns.to_vec()),
            Matching::Bool => Table::of("exact", list_of(["1", "true"])),
            Matching::Binary => text("exact", bytes_of(patterns)?),
        };
        self.compared(test, used, condition)
    }

    /// `condition` on what the test looks at.
    fn compared(
        &mut self,
        test: &Test,
        used: &mut Used,
        condition: Table,
    ) -> Result<Value, Reason> {
        if let Some(place) = plain_place(test, &condition, used)? {
            return Ok(placed(place, condition));
        }
        let of = template::sample(&test.sample, self.maps, used)?;
        let mut table = Table::of("of", of);
        for (key, value) in condition.iter() {
            table.set(key, value.clone());
        }
        Ok(Table::of("value", table).into())
    }

    /// `lt 5`, `10:20`, `200`.
    fn numbers(
        &mut self,
        test: &Test,
        patterns: &[String],
        used: &mut Used,
    ) -> Result<Value, Reason> {
        let ranges = ranges(patterns)?;
        let fetch = test.sample.fetch.name.as_str();
        if test.sample.converters.is_empty() {
            let exact: Option<Vec<i64>> = ranges
                .iter()
                .map(|(least, most)| least.filter(|_| least == most))
                .collect();
            match (fetch, exact) {
                ("dst_port" | "fc_dst_port", Some(ports))
                    if ports.iter().all(|port| (0..=65_535).contains(port)) =>
                {
                    return Ok(Table::of("listener_port", numbers_of(&ports)).into());
                }
                ("status" | "res.status", _) => {
                    if let Some(statuses) = statuses(&ranges) {
                        used.response = true;
                        return Ok(Table::of("status", statuses).into());
                    }
                }
                _ => {}
            }
        }
        let of = template::sample(&test.sample, self.maps, used)?;
        let one = |(least, most): &Range| {
            let mut table = Table::of("of", of.as_str());
            if let Some(least) = least {
                table.set("at_least", *least);
            }
            if let Some(most) = most {
                table.set("at_most", *most);
            }
            Value::from(Table::of("value", table))
        };
        let mut all: Vec<Value> = ranges.iter().map(one).collect();
        Ok(if all.len() == 1 {
            all.remove(0)
        } else {
            Table::of("any", all).into()
        })
    }

    /// The patterns said in place and those in files, which are read now.
    fn patterns(&mut self, test: &Test, used: &mut Used) -> Result<Vec<String>, Reason> {
        let mut patterns = test.patterns.clone();
        for file in &test.files {
            let path = Path::new(&file.text);
            let text = self.around.file(path).map_err(|error| {
                format!("the patterns in {} cannot be read: {error}", file.text)
            })?;
            let lines = text
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty() && !line.starts_with('#'));
            patterns.extend(lines.map(str::to_owned));
            self.read.push(path.to_owned());
            used.notes.insert(format!(
                "the patterns of {} are read once, when it is imported",
                file.text
            ));
        }
        if patterns.is_empty() {
            return Err("there are no patterns in its files".to_owned());
        }
        Ok(patterns)
    }

    /// A file of patterns as a map, so that it is read again when it changes.
    fn lookup(
        &mut self,
        test: &Test,
        matching: Matching,
        used: &mut Used,
    ) -> Result<Option<Value>, Reason> {
        let matching = match matching {
            Matching::Exact if !test.ignore_case => MapMatching::Exact,
            Matching::Prefix if !test.ignore_case => MapMatching::Prefix,
            Matching::Address => MapMatching::Cidr,
            _ => return Ok(None),
        };
        // A list of fields may hold the pattern in any part; a map is asked about the whole.
        if test.sample.fetch.name.contains("hdr")
            && test
                .sample
                .fetch
                .argument(0)
                .is_some_and(|name| name.contains("forwarded"))
        {
            return Ok(None);
        }
        let inside = template::sample(&test.sample, self.maps, used)?;
        let inside = inside
            .trim_start_matches('{')
            .trim_end_matches('}')
            .to_owned();
        let mut any = Vec::new();
        for file in &test.files {
            let map = self.maps.name_of(&file.text, matching);
            used.maps.insert(map.clone());
            let of = format!("{{{inside}|map({map})}}");
            any.push(Value::from(Table::of(
                "value",
                Table::of("of", of).with("present", true),
            )));
        }
        if !test.patterns.is_empty() {
            let place = test
                .matching
                .unwrap_or_else(|| default_matching(&test.sample.fetch.name));
            any.push(self.with_patterns(test, place, &test.patterns, used)?);
        }
        Ok(Some(if any.len() == 1 {
            any.remove(0)
        } else {
            Table::of("any", any).into()
        }))
    }
}

/// Facts that matchers have keys for.
fn plain_place(test: &Test, condition: &Table, used: &mut Used) -> Result<Option<Place>, Reason> {
    let fetch = &test.sample.fetch;
    if !test.sample.converters.is_empty() {
        return Ok(None);
    }
    let network = condition.get("network").is_some();
    let name = fetch.name.as_str();
    let place = |key| Ok(Some(Place { key, name: None }));
    let mut read = |fact: String| used.reads.insert(fact);
    match name {
        "src" if network => place("client"),
        "path" if !network && sound_path(condition) => {
            read("path".to_owned());
            place("raw_path")
        }
        "query" if !network => {
            read("query".to_owned());
            place("query")
        }
        "ssl_fc_sni" | "req.ssl_sni" | "req_ssl_sni" if !network => place("tls_sni"),
        "method" if condition.get("exact").is_some() && condition.len() == 1 => {
            read("method".to_owned());
            place("method")
        }
        "hdr" | "req.hdr" | "fhdr" | "req.fhdr" if fetch.argument(1).is_none() => {
            match fetch.argument(0) {
                None => Ok(None),
                Some(header) => {
                    read(format!("header:{}", header.to_ascii_lowercase()));
                    Ok(Some(Place {
                        key: "header",
                        name: Some(header.to_owned()),
                    }))
                }
            }
        }
        "res.hdr" | "shdr" | "res.fhdr" if fetch.argument(1).is_none() => {
            used.response = true;
            Ok(fetch.argument(0).map(|header| Place {
                key: "response_header",
                name: Some(header.to_owned()),
            }))
        }
        "cook" | "req.cook" => {
            read("header:cookie".to_owned());
            Ok(fetch.argument(0).map(|cookie| Place {
                key: "cookie",
                name: Some(cookie.to_owned()),
            }))
        }
        "urlp" | "url_param" if !network => {
            read("query".to_owned());
            Ok(fetch.argument(0).map(|param| Place {
                key: "query_param",
                name: Some(param.to_owned()),
            }))
        }
        "var" if !network => {
            let var = fetch.argument(0).ok_or("`var` needs a name")?;
            read(format!("var:{var}"));
            Ok(Some(Place {
                key: "var",
                name: Some(var.to_owned()),
            }))
        }
        _ => Ok(None),
    }
}

/// `raw_path` refuses patterns that no path can match; HAProxy takes them, so they become a general
/// comparison, which does.
fn sound_path(condition: &Table) -> bool {
    let sound = |pattern: &Value, begins: bool| match pattern {
        Value::Text(text) => {
            !text.is_empty()
                && text
                    .chars()
                    .all(|c| c.is_ascii_graphic() && !matches!(c, '?' | '#'))
                && (!begins || text.starts_with('/') || text == "*")
        }
        _ => false,
    };
    condition.iter().all(|(key, value)| {
        let begins = matches!(key, "exact" | "prefix");
        match (key, value) {
            ("regex" | "ignore_case", _) => true,
            ("present", _) => false,
            (_, Value::List(list)) => list.iter().all(|pattern| sound(pattern, begins)),
            (_, pattern) => sound(pattern, begins),
        }
    })
}

fn placed(place: Place, condition: Table) -> Value {
    match place {
        Place { key: "client", .. } => match condition.get("network") {
            Some(networks) => Table::of("client", networks.clone()).into(),
            None => Table::of("client", condition).into(),
        },
        Place { key: "method", .. } => match condition.get("exact") {
            Some(methods) => Table::of("method", methods.clone()).into(),
            None => Table::of("method", condition).into(),
        },
        Place { key, name: None } if key == "tls_sni" => {
            Table::of(key, in_lower_case(condition)).into()
        }
        Place { key, name: None } => Table::of(key, condition).into(),
        Place {
            key,
            name: Some(name),
        } => {
            let mut table = Table::of("name", name);
            for (inner, value) in condition.iter() {
                table.set(inner, value.clone());
            }
            Table::of(key, table).into()
        }
    }
}

/// The name in a hello is shown in lower case.
fn in_lower_case(condition: Table) -> Table {
    let is_regex = condition.get("regex").is_some();
    let lower = |value: &Value| match value {
        Value::Text(text) => Value::Text(text.to_ascii_lowercase()),
        other => other.clone(),
    };
    let mut lowered = Table::new();
    for (key, value) in condition.iter() {
        match value {
            // An expression may have `\S` in it, so its case is left alone.
            _ if is_regex => lowered.set(key, value.clone()),
            Value::Bool(_) if key == "ignore_case" => {}
            Value::List(list) => lowered.set(key, Value::List(list.iter().map(lower).collect())),
            value => lowered.set(key, lower(value)),
        }
    }
    lowered
}

/// A condition on the first so many bytes of a connection.
fn first(count: u16, condition: Table) -> Value {
    let mut table = Table::of("of", format!("{{first_bytes({count})}}"));
    for (key, value) in condition.iter() {
        table.set(key, value.clone());
    }
    Table::of("value", table).into()
}

/// `req_ssl_hello_type 1`: whether the client begins with a TLS hello.
fn greets(patterns: &[String]) -> Result<Value, Reason> {
    match patterns {
        [one] if one == "1" => Ok(first(6, Table::of("regex", r"(?s)^\x16\x03.{3,6}\x01"))),
        _ => Err("of a TLS handshake only the client's hello (1) is known".to_owned()),
    }
}

/// `req_len gt 0`: whether the client has sent anything.
fn has_bytes(patterns: &[String]) -> Result<Value, Reason> {
    match ranges(patterns)?.as_slice() {
        [(Some(1), None)] => Ok(first(1, Table::of("present", true))),
        [(Some(0) | None, Some(0))] => Ok(first(1, Table::of("present", false))),
        _ => Err("it is known whether the client has sent bytes, not how many".to_owned()),
    }
}

/// Bytes in hexadecimal as the text that they are shown as.
fn bytes_of(patterns: &[String]) -> Result<Vec<String>, Reason> {
    let byte = |pair: &[u8]| {
        let digits = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(digits, 16).ok().map(char::from)
    };
    let one = |pattern: &String| {
        let digits: Vec<u8> = pattern.bytes().filter(|byte| *byte != b' ').collect();
        let whole = digits.len().is_multiple_of(2);
        let text: Option<String> = digits.chunks(2).map(byte).collect();
        text.filter(|_| whole)
            .ok_or_else(|| format!("`{pattern}` is no hexadecimal number"))
    };
    patterns.iter().map(one).collect()
}

/// `hdr_cnt(x) eq 0` and its like: whether there is such a field.
fn counted_header(test: &Test, used: &mut Used) -> Result<Value, Reason> {
    let header = test
        .sample
        .fetch
        .argument(0)
        .ok_or("all fields together cannot be counted")?;
    let present = match ranges(&test.patterns)?.as_slice() {
        [(Some(0) | None, Some(0))] => false,
        [(Some(1), None)] => true,
        _ => return Err("fields cannot be counted, only found or not".to_owned()),
    };
    used.reads
        .insert(format!("header:{}", header.to_ascii_lowercase()));
    Ok(Table::of("header", Table::of("name", header).with("present", present)).into())
}

fn list_of<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}

/// Patterns that must stand between delimiters.
fn delimited(patterns: &[String], delimiters: &str) -> Vec<String> {
    let one = |pattern: &String| {
        let pattern = regex::escape(pattern.trim_matches(|c| delimiters.contains(c)));
        format!("(^|{delimiters}){pattern}({delimiters}|$)")
    };
    patterns.iter().map(one).collect()
}

fn is_number(converter: &str) -> bool {
    matches!(
        converter,
        "length"
            | "add"
            | "sub"
            | "mul"
            | "div"
            | "mod"
            | "neg"
            | "even"
            | "odd"
            | "crc32"
            | "djb2"
            | "sdbm"
            | "port_only"
    ) || converter.ends_with("_int")
}
