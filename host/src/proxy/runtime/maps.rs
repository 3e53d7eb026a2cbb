//! Commands about maps. HAProxy tells maps from ACLs; here an ACL is a map whose entries have no values.

use std::{fmt::Write, path::PathBuf};

use super::Asked;
use crate::{
    config::MapMatch,
    plugin::maps::{BadEntry, Edited, parse},
    proxy::map_desk::{self, NoVersion, Sheet, Which, reference, sheets},
};

/// By which of HAProxy's words it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Called {
    Map,
    Acl,
}

impl Called {
    fn as_str(self) -> &'static str {
        match self {
            Self::Map => "map",
            Self::Acl => "ACL",
        }
    }

    fn unknown(self) -> String {
        let what = self.as_str();
        format!("Unknown {what} identifier. Please use #<id> or <file>.\n")
    }
}

/// What a command is about: `[@VERSION] MAP …`.
struct About<'a> {
    version: Option<u32>,
    sheet: Option<Sheet>,
    rest: &'a [String],
    named: bool,
}

impl<'a> About<'a> {
    fn of(asked: &Asked<'a>) -> Self {
        let mut rest = asked.arguments;
        let mut version = None;
        if let Some((first, others)) = rest.split_first()
            && let Some(number) = first.strip_prefix('@')
        {
            // What is no number is no version that anybody has prepared.
            version = Some(number.parse().unwrap_or(u32::MAX));
            rest = others;
        }
        let name = rest.first();
        let generation = asked.admin.current.borrow();
        let sheet = name.and_then(|name| map_desk::find(&generation.maps, &base(asked), name));
        Self {
            version,
            sheet,
            named: name.is_some(),
            rest: rest.get(1..).unwrap_or_default(),
        }
    }
}

/// Where paths start that are relative in the configuration.
fn base(asked: &Asked<'_>) -> PathBuf {
    let config = asked.admin.config.borrow();
    let folder = config.file.parent();
    folder.map_or_else(PathBuf::new, PathBuf::from)
}

pub fn show(asked: &Asked<'_>, called: Called) -> String {
    let about = About::of(asked);
    if !about.named {
        return list(asked, called);
    }
    let Some(sheet) = about.sheet else {
        return called.unknown();
    };
    let mut out = String::new();
    if let Some(version) = about.version {
        for (key, value) in asked.admin.desk.entries(&sheet, version) {
            entry_line(&mut out, None, &key, &value);
        }
        return out;
    }
    for entry in sheet.entries().iter() {
        entry_line(&mut out, Some(reference(entry)), &entry.0, &entry.1);
    }
    out
}

fn entry_line(out: &mut String, reference: Option<usize>, key: &str, value: &str) {
    let reference = reference.unwrap_or_default();
    let blank = if value.is_empty() { "" } else { " " };
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{reference:#x} {key}{blank}{value}");
}

fn list(asked: &Asked<'_>, called: Called) -> String {
    let mut out = "# id (file) description\n".to_owned();
    for sheet in sheets(&asked.admin.current.borrow().maps) {
        if called == Called::Acl && sheet.has_values() {
            continue;
        }
        let names: Vec<&str> = sheet.maps.iter().map(|map| map.name()).collect();
        let (current, next) = asked.admin.desk.versions(&sheet);
        let edited = match sheet.maps.iter().any(|map| map.is_edited()) {
            true => ", edited since",
            false => "",
        };
        let file = sheet.file.display();
        let _ = writeln!(
            out,
            "{} ({file}) pattern loaded from file '{file}' used by map '{}'{edited}. curr_ver={current} \
             next_ver={next} entry_cnt={}",
            sheet.id,
            names.join("', '"),
            sheet.entries().len(),
        );
    }
    out
}

pub fn get(asked: &Asked<'_>, called: Called) -> String {
    let about = About::of(asked);
    let Some(key) = about.rest.first() else {
        return format!("Missing {} identifier and/or key.\n", called.as_str());
    };
    let Some(sheet) = about.sheet else {
        return called.unknown();
    };
    let mut out = String::new();
    for map in &sheet.maps {
        let how = match map.matching() {
            MapMatch::Exact => "str",
            MapMatch::Prefix => "beg",
            MapMatch::Cidr => "ip",
        };
        let found = map.find(key);
        let yes = if found.is_some() { "yes" } else { "no" };
        let _ = match called {
            Called::Map => write!(out, "type={how}, case=sensitive, found={yes}"),
            Called::Acl => write!(out, "type={how}, case=sensitive, match={yes}"),
        };
        if let Some((key, value)) = found {
            let _ = match called {
                Called::Map => write!(
                    out,
                    ", idx=tree, key=\"{key}\", value=\"{value}\", type=\"str\""
                ),
                Called::Acl => write!(out, ", idx=tree, pattern=\"{key}\""),
            };
        }
        out.push('\n');
    }
    out
}

pub fn add(asked: &Asked<'_>, called: Called) -> String {
    let about = About::of(asked);
    let entries = match (called, about.rest, asked.payload) {
        (_, [], Some(payload)) if about.named => match parse(payload) {
            Ok(entries) => entries
                .iter()
                .map(|(key, value)| (key.to_string(), value.to_string()))
                .collect(),
            Err(bad) => {
                let first = bad.first();
                let (line, why) =
                    first.map_or((0, String::new()), |bad| (bad.line, bad.fault.to_string()));
                return format!("Line {line} of the text: {why}.\n");
            }
        },
        (Called::Map, [key, value, ..], None) => vec![(key.clone(), value.clone())],
        (Called::Acl, [key, ..], None) => vec![(key.clone(), String::new())],
        (Called::Map, ..) => {
            return "'add map' expects three parameters (map identifier, key and value) or one parameter \
                    (map identifier) and a payload\n"
                .to_owned();
        }
        (Called::Acl, ..) => {
            return "'add acl' expects two parameters: ACL identifier and pattern.\n".to_owned();
        }
    };
    let Some(sheet) = about.sheet else {
        return called.unknown();
    };
    if called == Called::Acl && sheet.has_values() {
        return "This ACL is shared with a map containing samples. You must use the command 'add map' to add \
                values.\n"
            .to_owned();
    }
    let done = match about.version {
        Some(version) => asked.admin.desk.add(&sheet, version, &entries),
        None => Ok(sheet.add(&entries)),
    };
    match done {
        Ok(Ok(_)) => String::new(),
        Ok(Err(bad)) => objection(&bad),
        Err(no) => no_version(no, called),
    }
}

pub fn set(asked: &Asked<'_>) -> String {
    let about = About::of(asked);
    let [key, value, ..] = about.rest else {
        return "'set map' expects three parameters: map identifier, key and value.\n".to_owned();
    };
    let Some(sheet) = about.sheet else {
        return Called::Map.unknown();
    };
    let Some(which) = which(key) else {
        return "Malformed identifier. Please use #<id> or <file>.\n".to_owned();
    };
    match (sheet.set(&which, value), which) {
        (Ok(Edited::Entries(_)), _) => String::new(),
        (Ok(Edited::Nothing), Which::Reference(_)) => "key or pattern not found.\n".to_owned(),
        (Ok(Edited::Nothing), _) => "entry not found.\n".to_owned(),
        (Err(bad), _) => objection(&bad),
    }
}

pub fn remove(asked: &Asked<'_>, called: Called) -> String {
    let about = About::of(asked);
    let Some(key) = about.rest.first() else {
        return format!(
            "This command expects two parameters: {} identifier and key.\n",
            called.as_str()
        );
    };
    let Some(sheet) = about.sheet else {
        return called.unknown();
    };
    let Some(which) = which(key) else {
        return "Malformed identifier. Please use #<id> or <file>.\n".to_owned();
    };
    match sheet.remove(&which) {
        Ok(Edited::Entries(_)) => String::new(),
        Ok(Edited::Nothing) => "Key not found.\n".to_owned(),
        Err(bad) => objection(&bad),
    }
}

pub fn clear(asked: &Asked<'_>, called: Called) -> String {
    let about = About::of(asked);
    if !about.named {
        return format!("Missing {} identifier.\n", called.as_str());
    }
    let Some(sheet) = about.sheet else {
        return called.unknown();
    };
    let done = match about.version {
        Some(version) => asked.admin.desk.clear(&sheet, version),
        None => Ok(sheet.remove(&Which::All)),
    };
    match done {
        Ok(Ok(_)) => String::new(),
        Ok(Err(bad)) => objection(&bad),
        Err(no) => no_version(no, called),
    }
}

pub fn prepare(asked: &Asked<'_>, called: Called) -> String {
    let Some(sheet) = About::of(asked).sheet else {
        return called.unknown();
    };
    match asked.admin.desk.prepare(&sheet) {
        Ok(version) => format!("New version created: {version}\n"),
        Err(no) => no_version(no, called),
    }
}

pub fn commit(asked: &Asked<'_>, called: Called) -> String {
    let about = About::of(asked);
    let Some(version) = about.version else {
        return "Missing version number.\n".to_owned();
    };
    let Some(sheet) = about.sheet else {
        return called.unknown();
    };
    match asked.admin.desk.commit(&sheet, version) {
        Ok(Ok(())) => String::new(),
        Ok(Err(bad)) => objection(&bad),
        Err(_) => "Version number out of range.\n".to_owned(),
    }
}

/// `KEY`, or `#0x1234` as `show map` has it.
fn which(text: &str) -> Option<Which> {
    let Some(reference) = text.strip_prefix('#') else {
        return Some(Which::Key(text.to_owned()));
    };
    let digits = reference.strip_prefix("0x").unwrap_or(reference);
    let reference = usize::from_str_radix(digits, 16).ok()?;
    Some(Which::Reference(reference))
}

fn objection(bad: &BadEntry) -> String {
    match bad {
        BadEntry::NotANetwork(key) => {
            format!("'{key}' is not a valid IPv4 or IPv6 address.\n")
        }
        BadEntry::NoKey | BadEntry::Control(_) | BadEntry::Full => format!("{bad}\n"),
    }
}

fn no_version(no: NoVersion, called: Called) -> String {
    match no {
        NoVersion::InTheFuture => {
            let word = called.as_str().to_lowercase();
            format!("Version number in the future, please use 'prepare {word}' before.\n")
        }
        NoVersion::OutOfRange => "Version number out of range.\n".to_owned(),
        NoVersion::TooMany => {
            "Too many versions are prepared; commit one, which drops those before it.\n".to_owned()
        }
    }
}
