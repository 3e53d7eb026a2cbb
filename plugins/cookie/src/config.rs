//! The plugin's config: what a file may say, and the checked form that the hooks use.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error};
use weir_sdk::ConfigError;

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The cookie's name; its case matters.
    #[serde(default = "default_name")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"))]
    pub name: String,
    /// Who makes the cookie.
    #[serde(default)]
    pub mode: Mode,
    /// Servers don't see the cookie.
    #[serde(default)]
    pub indirect: bool,
    /// Adds `Cache-Control: private` to a response that gets the cookie and could be cached.
    #[serde(default)]
    pub nocache: bool,
    /// A server that sets the cookie itself decides; otherwise its cookie is replaced.
    #[serde(default)]
    pub preserve: bool,
    #[serde(default)]
    pub httponly: bool,
    #[serde(default)]
    pub secure: bool,
    pub same_site: Option<SameSite>,
    #[schemars(regex(pattern = r"^[A-Za-z0-9.-]+$"))]
    pub domain: Option<String>,
    /// A client that stayed away longer is balanced anew: `30m`.
    pub max_idle: Option<Age>,
    /// A client that was bound longer is balanced anew: `8h`.
    pub max_life: Option<Age>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The proxy adds a cookie of its own to responses.
    #[default]
    Insert,
    /// The proxy puts the server's key before the value of a cookie that the server sets.
    Prefix,
    /// The proxy replaces the value of a cookie that the server sets.
    Rewrite,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SameSite {
    Strict,
    Lax,
    None,
}

/// A time with its unit: `90s`, `30m`, `8h`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
pub struct Age(#[schemars(with = "String", regex(pattern = r"^[0-9]+(s|m|h|d)$"))] pub Duration);

impl<'de> Deserialize<'de> for Age {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_age(&text).map(Self).ok_or_else(|| {
            D::Error::custom(format_args!(
                "`{text}` is not a time with its unit, such as `90s`, `30m`, `8h` or `7d`"
            ))
        })
    }
}

impl Config {
    /// Refuses what can't be meant.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.name.is_empty() || !self.name.bytes().all(is_token) {
            return Err(ConfigError::at(
                "/name",
                format_args!(
                    "`{}` can't be a cookie's name; letters, digits, `_` and `-` can",
                    self.name
                ),
            ));
        }
        if let Some(domain) = self.domain.as_deref().filter(|domain| !is_domain(domain)) {
            return Err(ConfigError::at(
                "/domain",
                format_args!("`{domain}` is not a domain"),
            ));
        }
        if self.mode == Mode::Insert {
            return Ok(());
        }
        let only_for_own_cookies = [
            ("indirect", self.indirect),
            ("nocache", self.nocache),
            ("preserve", self.preserve),
            ("httponly", self.httponly),
            ("secure", self.secure),
            ("same_site", self.same_site.is_some()),
            ("domain", self.domain.is_some()),
            ("max_idle", self.max_idle.is_some()),
            ("max_life", self.max_life.is_some()),
        ];
        match only_for_own_cookies.into_iter().find(|(_, is_set)| *is_set) {
            Some((key, _)) => Err(ConfigError::at(
                &format!("/{key}"),
                "only the mode `insert` makes a cookie of its own that this could apply to",
            )),
            None => Ok(()),
        }
    }

    /// Whether the cookie carries dates.
    pub fn is_dated(&self) -> bool {
        self.max_idle.is_some() || self.max_life.is_some()
    }

    /// What follows the cookie's value.
    pub fn attributes(&self) -> String {
        let mut attributes = "; path=/".to_owned();
        if let Some(domain) = &self.domain {
            attributes += "; domain=";
            attributes += domain;
        }
        if self.httponly {
            attributes += "; HttpOnly";
        }
        if self.secure {
            attributes += "; Secure";
        }
        attributes += match self.same_site {
            Some(SameSite::Strict) => "; SameSite=Strict",
            Some(SameSite::Lax) => "; SameSite=Lax",
            Some(SameSite::None) => "; SameSite=None",
            None => "",
        };
        attributes
    }
}

fn parse_age(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = number.parse().ok()?;
    number.checked_mul(seconds).map(Duration::from_secs)
}

/// RFC 9110, §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_domain(text: &str) -> bool {
    let is_part_of_one = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    !text.is_empty() && text.bytes().all(is_part_of_one)
}

fn default_name() -> String {
    "SERVER".to_owned()
}
