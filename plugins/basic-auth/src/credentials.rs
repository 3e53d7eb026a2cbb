//! What an `Authorization` field says (RFC 7617). Strict: what two readers could understand
//! differently is no credentials.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};

/// Longer fields are not looked at. Room for a name and a password of 256 bytes each, in base64.
const MAX_FIELD: usize = 1024;

/// Longer passwords are refused: SHA-crypt's work grows with the square of the length, so one request
/// with a password of 16 KiB would hash 256 MiB.
const MAX_PASSWORD: usize = 256;

/// A name and a password that a client claims to be right.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    text: String,
    /// Where the first colon is.
    colon: usize,
}

impl Credentials {
    /// Reads the field's value. `None` if it is not Basic authentication in exactly the form of the RFC.
    pub fn parse(field: &str) -> Option<Self> {
        if field.len() > MAX_FIELD {
            return None;
        }
        let (scheme, rest) = field.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        // RFC 9110 §11.4 allows several blanks. The decoder refuses everything else that is no base64,
        // missing or misplaced padding, and bits that do not count.
        let decoded = STANDARD.decode(rest.trim_start_matches(' ')).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        // Among them NUL, at which some hash functions stop reading.
        if text.chars().any(char::is_control) {
            return None;
        }
        let colon = text.find(':')?;
        let credentials = Self { text, colon };
        let sound = !credentials.name().is_empty() && credentials.password().len() <= MAX_PASSWORD;
        sound.then_some(credentials)
    }

    pub fn name(&self) -> &str {
        &self.text[..self.colon]
    }

    /// All after the first colon; it may contain others.
    pub fn password(&self) -> &str {
        &self.text[self.colon + 1..]
    }
}

impl fmt::Debug for Credentials {
    /// Leaves the password out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(field: &str) -> Option<(String, String)> {
        Credentials::parse(field).map(|c| (c.name().to_owned(), c.password().to_owned()))
    }

    fn basic(text: impl AsRef<[u8]>) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn name_and_password_part_at_the_first_colon() {
        let pair = |name: &str, password: &str| Some((name.to_owned(), password.to_owned()));
        assert_eq!(parsed("Basic dXNlcjpwYXNz"), pair("user", "pass"));
        assert_eq!(parsed("bAsIC dXNlcjpwYXNz"), pair("user", "pass"));
        assert_eq!(parsed("Basic   dXNlcjpwYXNz"), pair("user", "pass"));
        assert_eq!(parsed(&basic("user:pa:ss:")), pair("user", "pa:ss:"));
        assert_eq!(parsed(&basic("user:")), pair("user", ""));
        assert_eq!(parsed(&basic("jörg:pässe 文")), pair("jörg", "pässe 文"));
    }

    #[test]
    fn malformed_credentials_are_none() {
        let long_password = basic(format!("user:{}", "x".repeat(257)));
        let long_field = basic("x".repeat(2000));
        for field in [
            "",
            "Basic",
            "Basic ",
            "dXNlcjpwYXNz",
            "Basic\tdXNlcjpwYXNz",
            " Basic dXNlcjpwYXNz",
            "Basic dXNlcjpwYXNz ",
            "Basic dXNlcjpwYXNz, Basic dXNlcjpwYXNz",
            "Basic dXNl cjpwYXNz",
            "Basic \"dXNlcjpwYXNz\"",
            "Basic dXNlcjpwYXNz=",
            "Basic dXNlcjpwYQ",
            "Basic dXNlcjpwYQ=",
            "Basic dXNlcjpwYR==",
            "Basic dXNlcjpw-_Nz",
            "Basic user:pass",
            "Bearer dXNlcjpwYXNz",
            "Digest username=\"user\"",
            "Basic: dXNlcjpwYXNz",
            "Basic ====",
            &basic("user"),
            &basic(""),
            &basic(":pass"),
            &basic("user:pa\0ss"),
            &basic("us\0er:pass"),
            &basic("user:pass\n"),
            &basic("user:pass\u{85}"),
            &basic(b"user:\xff\xfe"),
            &long_password,
            &long_field,
        ] {
            assert_eq!(parsed(field), None, "{field}");
        }
    }

    #[test]
    fn the_password_does_not_show_in_debug_output() {
        let shown = format!("{:?}", Credentials::parse(&basic("ann:secret")));
        assert!(
            shown.contains("ann") && !shown.contains("secret"),
            "{shown}"
        );
    }
}
