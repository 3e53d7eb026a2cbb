//! A plugin's config: JSON text in, the author's type out, and errors that an operator can act on.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, de::DeserializeOwned};
use serde_path_to_error::{Path, Segment};

/// The config of a plugin that has nothing to configure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// Why a plugin can't work with its config. The text is shown to the operator: say what was found
/// and what would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(String);

impl ConfigError {
    pub fn new(message: impl fmt::Display) -> Self {
        Self(message.to_string())
    }

    /// An error at one place in the config, given as a JSON pointer (`/rule/3/when`). The proxy shows that
    /// place in weir.toml.
    pub fn at(pointer: &str, message: impl fmt::Display) -> Self {
        Self(format!("{pointer}: {message}"))
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

impl From<String> for ConfigError {
    fn from(message: String) -> Self {
        Self(message)
    }
}

impl From<&str> for ConfigError {
    fn from(message: &str) -> Self {
        Self(message.to_owned())
    }
}

/// Reads JSON text as the plugin's config type.
pub(crate) fn parse<C: DeserializeOwned>(json: &str) -> Result<C, ConfigError> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let message = without_position(error.inner());
        match pointer(error.path()) {
            pointer if pointer.is_empty() => ConfigError::new(message),
            pointer => ConfigError::at(&pointer, message),
        }
    })
}

/// The config's JSON Schema (draft 2020-12) as text.
pub(crate) fn schema<C: JsonSchema>() -> String {
    schemars::schema_for!(C).as_value().to_string()
}

/// Line and column would be those of the JSON that the proxy made of weir.toml; nobody can see them.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&position) {
        Some(message) => message.to_owned(),
        None => text,
    }
}

fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path.iter() {
        match segment {
            Segment::Seq { index } => pointer += &format!("/{index}"),
            Segment::Map { key } => {
                pointer += "/";
                pointer += &key.replace('~', "~0").replace('/', "~1");
            }
            // The variant of an externally tagged enum is a key as well.
            Segment::Enum { variant } => {
                pointer += "/";
                pointer += variant;
            }
            Segment::Unknown => break,
        }
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read by serde")]
    struct Sample {
        rules: Vec<Rule>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only read by serde")]
    struct Rule {
        weight: u8,
    }

    #[test]
    fn an_error_says_where_and_what_without_a_line_nobody_sees() {
        let error = parse::<Sample>(r#"{"rules": [{"weight": 1}, {"weight": "x"}]}"#).unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"/rules/1/weight: invalid type: string "x", expected u8"#
        );
    }

    #[test]
    fn an_error_about_the_whole_config_has_no_pointer() {
        let error = parse::<Sample>("{}").unwrap_err();
        assert_eq!(error.to_string(), "missing field `rules`");
    }

    #[test]
    fn the_schema_is_of_the_draft_that_the_contract_names() {
        assert!(schema::<Sample>().contains("https://json-schema.org/draft/2020-12/schema"));
    }
}
