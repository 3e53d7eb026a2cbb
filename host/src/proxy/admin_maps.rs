//! Maps at the administrators' door: looked at and changed over HTTP, in memory and not in their files.

use http_body_util::{BodyExt, Limited};
use hyper::{
    Method, Request, StatusCode,
    body::{Body, Bytes, Incoming},
};
use serde_json::{Value, json};

use super::{
    admin::{Admin, Answer, json_answer, text, wrong_method},
    map_desk::{self, Sheet, Which},
};
use crate::{
    config::MapMatch,
    plugin::maps::{BadEntry, Edited, parse},
};

/// Longest list of entries, and longest value.
const MOST_BYTES: usize = 16 << 20;

/// What is below `/maps`.
enum Place {
    List,
    Map(String),
    Revert(String),
    Entry { map: String, key: String },
}

impl Place {
    fn of(path: &str) -> Option<Self> {
        let path = path.strip_prefix("/maps")?;
        let Some(path) = path.strip_prefix('/').filter(|path| !path.is_empty()) else {
            return Some(Self::List);
        };
        let Some((map, below)) = path.split_once('/') else {
            return Some(Self::Map(decoded(path)?));
        };
        let map = decoded(map)?;
        match below.split_once('/') {
            None if below == "revert" => Some(Self::Revert(map)),
            Some(("entries", key)) if !key.is_empty() => Some(Self::Entry {
                map,
                key: decoded(key)?,
            }),
            _ => None,
        }
    }
}

/// Without percent signs; `None` if what they stand for is no text.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        rest = others;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

pub async fn serve(admin: &Admin, request: Request<Incoming>) -> Answer {
    let Some(place) = Place::of(request.uri().path()) else {
        return text(
            StatusCode::NOT_FOUND,
            "there are /maps, /maps/NAME, /maps/NAME/revert and /maps/NAME/entries/KEY\n",
        );
    };
    let method = request.method().clone();
    let body = match method {
        Method::PUT => match read_body(request.into_body()).await {
            Ok(body) => body,
            Err(answer) => return *answer,
        },
        _ => String::new(),
    };
    match place {
        Place::List if method == Method::GET => list(admin),
        Place::List => wrong_method("GET"),
        Place::Map(name) => match (&method, find(admin, &name)) {
            (_, None) => unknown(&name),
            (&Method::GET, Some(sheet)) => contents(&sheet),
            (&Method::PUT, Some(sheet)) => replace(&sheet, &body),
            (_, Some(_)) => wrong_method("GET, PUT"),
        },
        Place::Revert(name) => match (&method, find(admin, &name)) {
            (_, None) => unknown(&name),
            (&Method::POST, Some(sheet)) => done(sheet.revert()),
            (_, Some(_)) => wrong_method("POST"),
        },
        Place::Entry { map, key } => match (&method, find(admin, &map)) {
            (_, None) => unknown(&map),
            (&Method::GET, Some(sheet)) => look_up(&sheet, &key),
            (&Method::PUT, Some(sheet)) => put(&sheet, &key, body.trim_end_matches(['\r', '\n'])),
            (&Method::DELETE, Some(sheet)) => remove(&sheet, &key),
            (_, Some(_)) => wrong_method("GET, PUT, DELETE"),
        },
    }
}

async fn read_body<B>(body: B) -> Result<String, Box<Answer>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let refused = |status, why: &'static str| Box::new(text(status, why));
    let collected = Limited::new(body, MOST_BYTES).collect().await;
    let bytes = collected
        .map_err(|_| refused(StatusCode::PAYLOAD_TOO_LARGE, "at most 16 MiB are taken\n"))?
        .to_bytes();
    String::from_utf8(bytes.into())
        .map_err(|_| refused(StatusCode::BAD_REQUEST, "maps are text in UTF-8\n"))
}

fn find(admin: &Admin, name: &str) -> Option<Sheet> {
    let generation = admin.current.borrow();
    let map = generation.maps.get(name)?;
    let mut sheets = map_desk::sheets(&generation.maps).into_iter();
    let sheet = sheets.find(|sheet| sheet.file == map.file())?;
    Some(Sheet {
        maps: vec![map.clone()],
        ..sheet
    })
}

fn unknown(name: &str) -> Answer {
    text(StatusCode::NOT_FOUND, format!("there is no map `{name}`\n"))
}

fn list(admin: &Admin) -> Answer {
    let generation = admin.current.borrow();
    let maps = generation.maps.all().iter().map(|map| {
        let matching = match map.matching() {
            MapMatch::Exact => "exact",
            MapMatch::Prefix => "prefix",
            MapMatch::Cidr => "cidr",
        };
        json!({
            "name": map.name(),
            "file": map.file(),
            "match": matching,
            "entries": map.entries().len(),
            "edited": map.is_edited(),
        })
    });
    json_answer(&Value::Array(maps.collect()))
}

/// As the file of the map would have it.
fn contents(sheet: &Sheet) -> Answer {
    let entries = sheet.entries();
    let lines = entries.iter().map(|(key, value)| match value.is_empty() {
        true => format!("{key}\n"),
        false => format!("{key} {value}\n"),
    });
    text(StatusCode::OK, lines.collect::<String>())
}

fn replace(sheet: &Sheet, body: &str) -> Answer {
    match parse(body) {
        Ok(entries) => {
            let texts = entries
                .iter()
                .map(|(key, value)| (key.to_string(), value.to_string()));
            done(sheet.replace(&texts.collect::<Vec<_>>()))
        }
        Err(bad) => {
            let lines = bad
                .iter()
                .map(|bad| format!("line {}: {}\n", bad.line, bad.fault));
            text(StatusCode::BAD_REQUEST, lines.collect::<String>())
        }
    }
}

/// What a plugin would be answered.
fn look_up(sheet: &Sheet, key: &str) -> Answer {
    match sheet.maps.first().and_then(|map| map.lookup(key)) {
        Some(value) => text(StatusCode::OK, format!("{value}\n")),
        None => text(StatusCode::NOT_FOUND, "nothing matches\n"),
    }
}

fn put(sheet: &Sheet, key: &str, value: &str) -> Answer {
    match sheet.set(&Which::Key(key.to_owned()), value) {
        Ok(Edited::Nothing) => done(sheet.add(&[(key.to_owned(), value.to_owned())])),
        other => done(other),
    }
}

fn remove(sheet: &Sheet, key: &str) -> Answer {
    match sheet.remove(&Which::Key(key.to_owned())) {
        Ok(Edited::Nothing) => text(StatusCode::NOT_FOUND, "there is no such key\n"),
        other => done(other),
    }
}

fn done(edited: Result<Edited, BadEntry>) -> Answer {
    match edited {
        Ok(Edited::Entries(1)) => text(StatusCode::OK, "1 entry\n"),
        Ok(Edited::Entries(count)) => text(StatusCode::OK, format!("{count} entries\n")),
        Ok(Edited::Nothing) => text(StatusCode::OK, "0 entries\n"),
        Err(bad) => text(StatusCode::BAD_REQUEST, format!("{bad}\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_any_text() {
        assert_eq!(decoded("10.0.0.0%2F8").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(decoded("a%20b").as_deref(), Some("a b"));
        for wrong in ["%", "%2", "%zz", "%ff"] {
            assert_eq!(decoded(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn places_are_told_apart() {
        assert!(matches!(Place::of("/maps"), Some(Place::List)));
        assert!(matches!(Place::of("/maps/a"), Some(Place::Map(name)) if name == "a"));
        assert!(matches!(
            Place::of("/maps/a/revert"),
            Some(Place::Revert(_))
        ));
        let entry = Place::of("/maps/a/entries//x/y");
        assert!(matches!(entry, Some(Place::Entry { key, .. }) if key == "/x/y"));
        assert!(Place::of("/maps/a/entries/").is_none());
        assert!(Place::of("/maps/a/other").is_none());
    }
}
