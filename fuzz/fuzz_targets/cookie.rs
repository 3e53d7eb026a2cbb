//! Taking a cookie out or giving it another value touches no other, whatever stands around it. The first line
//! is a name, the second a new value, each further one a Cookie field.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_fuzz::http::{
    cookies::{
        change_cookies, change_set_cookies, cookie, remove_cookies, remove_set_cookies, set_cookie,
    },
    fields::Fields,
};

fuzz_target!(|input: &[u8]| {
    let mut lines = input.split(|&b| b == b'\n');
    let Some(Ok(name)) = lines.next().map(str::from_utf8) else {
        return;
    };
    let value = lines.next().unwrap_or_default();
    let mut fields = Fields::default();
    for line in lines {
        let _ = fields.add("Cookie", line);
        let _ = fields.add("Set-Cookie", line);
    }
    let before = others(&fields, name);

    let mut changed = fields.clone();
    if change_cookies(&mut changed, name, value).is_ok() {
        assert_eq!(others(&changed, name), before);
        let was_there = cookie(&fields, name).is_some();
        assert_eq!(
            cookie(&changed, name),
            was_there.then(|| value.trim_ascii()).filter(|_| was_there)
        );
    }
    if change_set_cookies(&mut changed, name, value).is_ok() {
        let was_there = set_cookie(&fields, name).is_some();
        assert_eq!(set_cookie(&changed, name).is_some(), was_there);
        assert_eq!(
            changed.all("Set-Cookie").count(),
            fields.all("Set-Cookie").count()
        );
    }
    let mut removed = fields.clone();
    remove_cookies(&mut removed, name);
    remove_set_cookies(&mut removed, name);
    assert_eq!(cookie(&removed, name), None);
    assert_eq!(set_cookie(&removed, name), None);
    assert_eq!(others(&removed, name), before);
});

/// The cookies of other names, in order, without the blanks around them.
fn others(fields: &Fields, name: &str) -> Vec<Vec<u8>> {
    let pairs = fields
        .all("Cookie")
        .flat_map(|line| line.split(|&b| b == b';'));
    let named = pairs.filter_map(|pair| {
        let equals = pair.iter().position(|&b| b == b'=')?;
        Some((pair[..equals].trim_ascii(), pair.trim_ascii()))
    });
    let others = named.filter(|(other, _)| *other != name.as_bytes());
    others.map(|(_, pair)| pair.to_vec()).collect()
}
