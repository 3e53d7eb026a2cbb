//! Fields between HTTP/2's maps and the lines that the codec keeps.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::super::{
    body::BadBody,
    chunk::TRAILERS_LIMIT,
    fields::{FieldRef, Fields},
    syntax::{is_value, trim},
};

/// Appends a field as a line. False if the value could not be told from what surrounds it, and then nothing
/// was appended.
pub(super) fn push_line(text: &mut Vec<u8>, name: &[u8], value: &[u8]) -> bool {
    // The library has looked for line ends already; that nobody can add a line must not hang on that.
    if !is_value(value) || trim(value).len() != value.len() {
        return false;
    }
    text.extend_from_slice(name);
    text.extend_from_slice(b": ");
    text.extend_from_slice(value);
    text.extend_from_slice(b"\r\n");
    true
}

/// Adds a field to what will be sent. What the codec holds as sound is sound for the library too.
pub(super) fn append(map: &mut HeaderMap, field: &FieldRef<'_>) {
    append_as(map, field.name, field.value);
}

pub(super) fn append_as(map: &mut HeaderMap, name: &str, value: &[u8]) {
    let name = HeaderName::from_bytes(name.as_bytes());
    let value = HeaderValue::from_bytes(value);
    if let (Ok(name), Ok(value)) = (name, value) {
        // Fails beyond 32,768 fields, and a head has a thousand at most.
        let _ = map.try_append(name, value);
    }
}

/// Takes trailers over. They are held to the same rules as those that follow chunks.
pub fn read_trailers(map: &HeaderMap) -> Result<Fields, BadBody> {
    let mut text = Vec::new();
    for (name, value) in map {
        if !push_line(&mut text, name.as_str().as_bytes(), value.as_bytes()) {
            return Err(BadBody::TrailerField {
                name: name.as_str().to_owned(),
            });
        }
        if text.len() > TRAILERS_LIMIT {
            return Err(BadBody::TrailersTooLarge {
                limit: TRAILERS_LIMIT,
            });
        }
    }
    text.extend_from_slice(b"\r\n");
    let mut fields = Fields::default();
    fields.read_trailers(&text, map.len())?;
    Ok(fields)
}

/// Trailers as the library sends them.
pub fn write_trailers(fields: &Fields) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(fields.len());
    for field in fields.iter() {
        append(&mut map, &field);
    }
    map
}
