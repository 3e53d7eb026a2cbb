//! Single cookies within Cookie and Set-Cookie fields: finding them, taking them out, giving them another
//! value. What is not theirs stays byte for byte; nothing is decoded or unquoted, and case counts.

use std::ops::Range;

use memchr::memchr;

use super::{
    fields::{BadField, Fields, Parts, Rewrite},
    known::Known,
    syntax::trim,
};

/// The first cookie of that name over all Cookie fields.
pub fn cookie<'a>(fields: &'a Fields, name: &str) -> Option<&'a [u8]> {
    fields
        .all_known(Known::Cookie)
        .find_map(|line| cookie_in(line, name))
}

/// The first cookie of that name in the value of one Cookie field.
pub fn cookie_in<'a>(line: &'a [u8], name: &str) -> Option<&'a [u8]> {
    line.split(|&b| b == b';')
        .find_map(|pair| value_of(pair, name))
}

/// The value in the first Set-Cookie field of that name.
pub fn set_cookie<'a>(fields: &'a Fields, name: &str) -> Option<&'a [u8]> {
    fields
        .all_known(Known::SetCookie)
        .find_map(|line| value_of(without_attributes(line), name))
}

/// Takes every cookie of that name out of the Cookie fields; a field that has none left goes.
pub fn remove_cookies(fields: &mut Fields, name: &str) {
    fields.rewrite(Known::Cookie, |line| {
        let mut kept = Parts::new();
        let mut start = 0;
        for pair in line.split(|&b| b == b';') {
            let end = start + pair.len();
            if value_of(pair, name).is_none() {
                match kept.last_mut() {
                    Some(last) if last.end + 1 == start => last.end = end,
                    // With the semicolon that divides it from what is kept before it.
                    Some(_) => kept.push(start - 1..end),
                    None => kept.push(start..end),
                }
            }
            start = end + 1;
        }
        if let [whole] = &kept[..]
            && *whole == (0..line.len())
        {
            return Rewrite::Keep;
        }
        // What was behind the first one brings along the blank that divided them.
        let blank = |byte: &&u8| matches!(byte, b' ' | b'\t');
        if let Some(first) = kept.first_mut() {
            first.start += line[first.clone()].iter().take_while(blank).count();
        }
        if let Some(last) = kept.last_mut() {
            last.end -= line[last.clone()].iter().rev().take_while(blank).count();
        }
        match kept.iter().all(Range::is_empty) {
            true => Rewrite::Drop,
            false => Rewrite::Parts(kept),
        }
    });
}

/// Gives every cookie of that name in the Cookie fields another value. Adds none.
pub fn change_cookies(fields: &mut Fields, name: &str, value: &[u8]) -> Result<(), BadField> {
    check(fields, "Cookie", Known::Cookie, value)?;
    fields.rewrite(Known::Cookie, |line| {
        if cookie_in(line, name).is_none() {
            return Rewrite::Keep;
        }
        let pairs = line
            .split(|&b| b == b';')
            .map(|pair| match memchr(b'=', pair) {
                Some(equals) if value_of(pair, name).is_some() => {
                    [&pair[..=equals], value].concat()
                }
                _ => pair.to_vec(),
            });
        Rewrite::To(pairs.collect::<Vec<_>>().join(&b';'))
    });
    Ok(())
}

/// Removes the Set-Cookie fields of that name.
pub fn remove_set_cookies(fields: &mut Fields, name: &str) {
    fields.rewrite(Known::SetCookie, |line| {
        match value_of(without_attributes(line), name) {
            Some(_) => Rewrite::Drop,
            None => Rewrite::Keep,
        }
    });
}

/// Gives the Set-Cookie fields of that name another value and leaves their attributes. Adds none.
pub fn change_set_cookies(fields: &mut Fields, name: &str, value: &[u8]) -> Result<(), BadField> {
    check(fields, "Set-Cookie", Known::SetCookie, value)?;
    fields.rewrite(Known::SetCookie, |line| {
        let pair = without_attributes(line);
        match memchr(b'=', pair) {
            Some(equals) if value_of(pair, name).is_some() => {
                Rewrite::To([&pair[..=equals], value, &line[pair.len()..]].concat())
            }
            _ => Rewrite::Keep,
        }
    });
    Ok(())
}

/// A value that would end early or bring attributes along is not one.
fn check(fields: &Fields, name: &str, known: Known, value: &[u8]) -> Result<(), BadField> {
    fields.check_value(name, value)?;
    if value.contains(&b';') {
        return Err(BadField::Value {
            name: name.to_owned(),
            found: b';',
        });
    }
    // At worst each field is written anew with the value in place of every cookie.
    let pairs = |line: &[u8]| line.split(|&b| b == b';').count();
    let lines = fields.all_known(known);
    let growth = lines
        .map(|line| line.len() + pairs(line) * value.len())
        .sum();
    fields.check_growth(name, growth)
}

fn value_of<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let equals = memchr(b'=', pair)?;
    (trim(&pair[..equals]) == name.as_bytes()).then(|| trim(&pair[equals + 1..]))
}

fn without_attributes(line: &[u8]) -> &[u8] {
    &line[..memchr(b';', line).unwrap_or(line.len())]
}
