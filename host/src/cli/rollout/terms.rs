//! What is to be tried out, from options to the lines that `next` has in weir.toml.

use std::fmt::Write as _;

use anyhow::Context;
use clap::Args;
use serde_json::Value;

use crate::model::Share;

/// Which version, and when it has had its chance.
#[derive(Debug, Args)]
pub struct Terms {
    /// The new version: a component's file, `oci://host/team/name:tag`, or the name of one that comes with Weir.
    #[arg(value_name = "PLUGIN")]
    plugin: String,
    /// What clients are told apart by: an input such as `cookie(session)` or `request-id`; the client's address
    /// if it is not said.
    #[arg(long, value_name = "INPUT")]
    on: Option<String>,
    /// A limit: `failures=1%`, `deadlines=1%`, `disagreements=10%`, `window=60s`, `at_least=100`. Can be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    give_up: Vec<String>,
    /// A line as `next` can have it in weir.toml: `config = { on = "source" }`, `deadline = "50ms"`. Can be
    /// repeated. What is not said is as the current version's.
    #[arg(long, value_name = "TOML")]
    set: Vec<String>,
}

/// How many clients are the new version's.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct CanaryTerms {
    /// Of clients, for example 5%.
    #[arg(long, value_name = "SHARE")]
    share: Option<Share>,
    /// Shares by which it grows by itself, each with the time that it lasts but for the last one, which stays:
    /// `5% 10m, 25% 1h, 100%`.
    #[arg(long, value_name = "STEPS")]
    steps: Option<String>,
}

impl Terms {
    pub fn shadow(&self, share: Share) -> anyhow::Result<String> {
        self.text("shadow", &format!("share = \"{share}\"\n"))
    }

    pub fn canary(&self, canary: &CanaryTerms) -> anyhow::Result<String> {
        let mut lines = String::new();
        if let Some(share) = canary.share {
            writeln!(lines, "share = \"{share}\"")?;
        }
        if let Some(steps) = &canary.steps {
            let steps = steps.split(',').map(|step| Value::from(step.trim()));
            writeln!(lines, "steps = {}", Value::Array(steps.collect()))?;
        }
        self.text("canary", &lines)
    }

    /// The texts and numbers in it are written as in JSON, which they are in TOML as well.
    fn text(&self, mode: &str, share: &str) -> anyhow::Result<String> {
        let mut text = format!("plugin = {}\nmode = \"{mode}\"\n{share}", self.plugin()?);
        if let Some(on) = &self.on {
            writeln!(text, "on = {}", Value::from(on.as_str()))?;
        }
        for limit in &self.give_up {
            let (key, value) = limit.split_once('=').with_context(|| {
                format!("`--give-up {limit}` says no value; write `--give-up disagreements=10%`")
            })?;
            let value = match value.trim().parse::<i64>() {
                Ok(number) => Value::from(number),
                Err(_) => Value::from(value.trim()),
            };
            writeln!(text, "give_up.{} = {value}", key.trim())?;
        }
        for line in &self.set {
            writeln!(text, "{line}")?;
        }
        Ok(text)
    }

    /// The proxy has another working directory, so a file is named in full.
    fn plugin(&self) -> anyhow::Result<Value> {
        let named = &self.plugin;
        let is_file = !named.contains("://") && (named.contains('/') || named.ends_with(".wasm"));
        if !is_file {
            return Ok(Value::from(named.as_str()));
        }
        let file = std::path::absolute(named)?;
        let text = file.to_str();
        let text =
            text.with_context(|| format!("{} is no UTF-8, as weir.toml is", file.display()))?;
        Ok(Value::from(text))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        terms: Terms,
        #[command(flatten)]
        canary: CanaryTerms,
    }

    fn text(line: &[&str]) -> String {
        let line = Line::try_parse_from(["canary"].iter().chain(line)).unwrap();
        line.terms.canary(&line.canary).unwrap()
    }

    #[test]
    fn options_become_lines_of_the_file() {
        assert_eq!(
            text(&[
                "/x/new.wasm",
                "--share",
                "5%",
                "--on",
                "cookie(\"a\")",
                "--give-up",
                "window=5s",
                "--give-up",
                "at_least=10"
            ]),
            "plugin = \"/x/new.wasm\"\nmode = \"canary\"\nshare = \"5%\"\non = \"cookie(\\\"a\\\")\"\n\
             give_up.window = \"5s\"\ngive_up.at_least = 10\n"
        );
        assert_eq!(
            text(&[
                "oci://r.example/a:1",
                "--steps",
                "5% 10m, 100%",
                "--set",
                "config = { a = 1 }"
            ]),
            "plugin = \"oci://r.example/a:1\"\nmode = \"canary\"\nsteps = [\"5% 10m\",\"100%\"]\nconfig = { a = 1 }\n"
        );
    }

    #[test]
    fn a_canary_says_its_share_once() {
        for wrong in [
            &["a"][..],
            &["a", "--share", "5%", "--steps", "5% 1m, 100%"],
        ] {
            Line::try_parse_from(["canary"].iter().chain(wrong)).unwrap_err();
        }
    }
}
