//! The table of RFC 7541, appendix A, that both sides know from the start.

/// Counted from one.
pub const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// The number of an answer's field in [`STATIC`], by its name in any case.
pub fn number_of(name: &str) -> Option<u8> {
    // Length and first letter, or the one that differs, leave one name to compare with.
    let bytes = name.as_bytes();
    let letter = |at: usize| bytes.get(at).map_or(0, u8::to_ascii_lowercase);
    let number = match (bytes.len(), letter(0)) {
        (3, b'a') => 21,
        (3, b'v') => 60,
        (4, b'd') => 33,
        (4, b'e') => 34,
        (4, b'l') => 45,
        (4, b'v') => 59,
        (5, b'a') => 22,
        (6, b's') => 54,
        (7, b'e') => 36,
        (7, b'r') => 52,
        (8, b'l') => 46,
        (10, b's') => 55,
        (11, b'r') => 53,
        (12, b'c') => 31,
        (13, b'a') => 18,
        (13, b'c') if letter(1) == b'a' => 24,
        (13, b'c') => 30,
        (13, b'l') => 44,
        (14, b'c') => 28,
        (16, b'c') => match letter(8) {
            b'e' => 26,
            b'l' if letter(9) == b'a' => 27,
            _ => 29,
        },
        (16, b'w') => 61,
        (18, b'p') => 48,
        (19, b'c') => 25,
        (25, b's') => 56,
        (27, b'a') => 20,
        _ => return None,
    };
    let (known, _) = STATIC[usize::from(number) - 1];
    known.eq_ignore_ascii_case(name).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_that_answers_have_are_found_in_any_case() {
        for (at, (name, _)) in STATIC.iter().enumerate() {
            let number = u8::try_from(at + 1).unwrap();
            let found = number_of(&name.to_uppercase());
            if let Some(found) = found {
                assert_eq!(found, number, "{name}");
            }
            let of_answers = [
                "content-type",
                "content-length",
                "content-encoding",
                "content-language",
                "content-location",
                "content-range",
                "cache-control",
                "date",
                "etag",
                "server",
                "set-cookie",
                "location",
                "vary",
                "via",
                "expires",
                "last-modified",
                "accept-ranges",
                "www-authenticate",
                "retry-after",
                "link",
                "age",
                "allow",
                "refresh",
                "content-disposition",
                "strict-transport-security",
                "proxy-authenticate",
                "access-control-allow-origin",
            ];
            assert_eq!(found.is_some(), of_answers.contains(name), "{name}");
        }
        assert_eq!(number_of("x-served-by"), None);
        assert_eq!(number_of(""), None);
    }
}
