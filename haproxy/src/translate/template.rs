//! HAProxy's expressions and log-format texts as templates of the plugin `rules`.

use crate::file::{Call, Format, Part, Sample};

use super::{
    facts::{Reason, Used, fact, quoted},
    maps::{Maps, matching_of_map},
};

/// The address that the client connected to.
pub const LISTENER_ADDRESS: &str = "{listener_address}";

/// A text for a place that takes templates: braces are doubled.
pub fn literal(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

/// A log-format text that holds no facts, as it would be written.
pub fn constant(text: &str) -> Option<String> {
    let parts = Format::parse(text).ok()?.parts;
    let plain = parts.into_iter().map(|part| match part {
        Part::Text(text) => Some(text),
        Part::Sample(_) | Part::Variable(_) => None,
    });
    plain.collect()
}

/// One expression in braces.
///
/// # Errors
/// Why it has no equivalent.
pub fn sample(sample: &Sample, maps: &mut Maps, used: &mut Used) -> Result<String, Reason> {
    Ok(format!("{{{}}}", inside(sample, maps, used)?))
}

fn inside(sample: &Sample, maps: &mut Maps, used: &mut Used) -> Result<String, Reason> {
    let mut text = match (sample.fetch.name.as_str(), sample.converters.as_slice()) {
        // How people ask for the scheme.
        ("ssl_fc", [Call { name, arguments }])
            if name == "iif" && arguments == &["https", "http"] =>
        {
            return Ok("scheme".to_owned());
        }
        _ => fact(&sample.fetch, maps, used)?,
    };
    for converter in &sample.converters {
        text.push('|');
        text.push_str(&self::converter(converter, maps, used)?);
    }
    Ok(text)
}

fn converter(call: &Call, maps: &mut Maps, used: &mut Used) -> Result<String, Reason> {
    let name = call.name.as_str();
    if let Some(matching) = matching_of_map(name) {
        let file = call
            .argument(0)
            .ok_or_else(|| format!("`{name}` needs a file"))?;
        let (matching, converter) = matching?;
        let map = maps.name_of(file, matching);
        used.maps.insert(map.clone());
        return Ok(match call.arguments.get(1) {
            Some(default) => format!("{converter}({map},{})", quoted(default)),
            None => format!("{converter}({map})"),
        });
    }
    match name {
        "lower" | "upper" | "url_dec" | "base64" | "b64dec" | "length" | "hex" | "md5" | "sha1"
        | "sha2" | "field" | "word" | "bytes" | "ltrim" | "rtrim" | "ipmask" | "add" | "sub"
        | "mul" | "div" | "mod" | "neg" | "even" | "odd" | "not" | "bool" | "iif" | "host_only"
        | "port_only" | "url_enc" | "crc32" | "djb2" | "sdbm" => {
            let name = if name == "sha2" { "sha2" } else { name };
            let arguments: Vec<String> = call
                .arguments
                .iter()
                .map(|argument| quoted(argument))
                .collect();
            if arguments.is_empty() {
                return Ok(name.to_owned());
            }
            let plain = |text: &str| {
                !text.is_empty()
                    && text
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || "-._/".contains(c))
            };
            let arguments: Vec<String> = call
                .arguments
                .iter()
                .zip(arguments)
                .map(|(bare, quoted)| if plain(bare) { bare.clone() } else { quoted })
                .collect();
            Ok(format!("{name}({})", arguments.join(",")))
        }
        "regsub" => {
            let pattern = call.argument(0).ok_or("`regsub` needs an expression")?;
            regular(
                pattern,
                call.arguments
                    .get(2)
                    .is_some_and(|flags| flags.contains('i')),
            )?;
            let to = call.arguments.get(1).map_or("", String::as_str);
            let flags = call
                .arguments
                .get(2)
                .map(|flags| format!(",{flags}"))
                .unwrap_or_default();
            Ok(format!("regsub({},{}{flags})", quoted(pattern), quoted(to)))
        }
        "concat" => concat(call, used),
        _ => Err(format!("`{name}`: Weir has no such converter")),
    }
}

/// `concat(START,VAR,END)`.
fn concat(call: &Call, used: &mut Used) -> Result<String, Reason> {
    let part = |position: usize| call.arguments.get(position).map_or("", String::as_str);
    if part(1).is_empty() {
        return Ok(format!(
            "append({})",
            quoted(&format!("{}{}", part(0), part(2)))
        ));
    }
    used.reads.insert(format!("var:{}", part(1)));
    Err("`concat` with a variable has no equivalent in one expression; write the parts one after the other".to_owned())
}

/// A log-format text.
///
/// # Errors
/// Why it has no equivalent.
pub fn format(text: &str, maps: &mut Maps, used: &mut Used) -> Result<String, Reason> {
    let format = Format::parse(text)?;
    let mut template = String::new();
    for part in &format.parts {
        match part {
            Part::Text(text) => template.push_str(&literal(text)),
            Part::Sample(sample) => template.push_str(&self::sample(sample, maps, used)?),
            Part::Variable(name) => template.push_str(variable(name, used)?),
        }
    }
    Ok(template)
}

fn variable(name: &str, used: &mut Used) -> Result<&'static str, Reason> {
    let mut read = |facts: &[&str]| {
        used.reads
            .extend(facts.iter().map(|fact| (*fact).to_owned()))
    };
    Ok(match name {
        "ci" => "{client_address}",
        "cp" => "{client_port}",
        "fi" => "{listener_address}",
        "fp" => "{listener_port}",
        "f" | "ft" => "{frontend_name}",
        "ID" => "{request_id}",
        "HM" => {
            read(&["method"]);
            "{method}"
        }
        "HP" => {
            read(&["path"]);
            "{raw_path}"
        }
        "HPO" | "HU" => {
            read(&["path", "query"]);
            "{url}"
        }
        "HQ" => {
            read(&["query"]);
            "{?query}"
        }
        "HV" => "{version}",
        "ST" => {
            used.response = true;
            "{status}"
        }
        _ => return Err(format!("`%{name}` is only known once the request is over")),
    })
}

/// Whether the plugin `rules` would take this regular expression.
///
/// # Errors
/// Why not.
pub fn regular(pattern: &str, ignore_case: bool) -> Result<(), Reason> {
    let built = regex::bytes::RegexBuilder::new(pattern)
        .unicode(false)
        .case_insensitive(ignore_case)
        .size_limit(4 << 20)
        .build();
    match built {
        Ok(_) => Ok(()),
        Err(error) => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            let last = last.strip_prefix("error: ").unwrap_or(last);
            Err(format!(
                "the expression `{pattern}` does not work here: {last}"
            ))
        }
    }
}
