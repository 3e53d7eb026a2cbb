//! `cookie NAME …`: persistence by cookie.

use crate::{
    problem::Problem,
    remark::Fate,
    text::{self, Line},
    weir::Table,
};

use super::words::{Words, wrong};

/// The use of the plugin `cookie`, and what is different.
///
/// # Errors
/// What HAProxy would not take either.
pub fn cookie(line: &Line) -> Result<(Option<Table>, Fate), Problem> {
    let mut words = Words::of(line);
    let name = words.need("the name of the cookie")?;
    let mut config = Table::of("name", name.text.as_str());
    let mut fate = Fate::Same;
    let mut mode = None;
    let mut options = Table::new();
    while let Some(word) = words.next() {
        match word.text.as_str() {
            "insert" | "rewrite" | "prefix" => mode = Some(word.text.as_str()),
            flag @ ("indirect" | "nocache" | "preserve" | "httponly" | "secure") => {
                options.set(flag, true)
            }
            "domain" => options.set("domain", words.need("a domain")?.text.as_str()),
            option @ ("maxidle" | "maxlife") => {
                let word = words.need("a time")?;
                let time = text::duration(&word.text, "s").map_err(|what| wrong(word, what))?;
                options.set(
                    if option == "maxidle" {
                        "max_idle"
                    } else {
                        "max_life"
                    },
                    time.to_string(),
                );
            }
            "attr" => {
                let attribute = words.need("an attribute")?;
                match attribute
                    .text
                    .to_ascii_lowercase()
                    .strip_prefix("samesite=")
                {
                    Some(site @ ("strict" | "lax" | "none")) => options.set("same_site", site),
                    _ => {
                        fate =
                            fate.and(Fate::dropped(format!("the attribute `{}`", attribute.text)))
                    }
                }
            }
            "postonly" => {
                fate = fate.and(Fate::nearly(
                    "the cookie is set for answers to all methods, not to POST alone",
                ))
            }
            "dynamic" => {
                fate = fate.and(Fate::nearly(
                    "cookies hold the servers' names, not a hash of their addresses",
                ))
            }
            other => return Err(wrong(word, format!("unknown option `{other}` of `cookie`"))),
        }
    }
    match mode {
        Some("insert") => {}
        Some(mode) => config.set("mode", mode),
        // Then it is only looked at, never set.
        None => {
            let why = "a cookie that is only looked at, without `insert`, `prefix` or `rewrite`";
            return Ok((None, fate.and(Fate::dropped(why))));
        }
    }
    if config.get("mode").is_some() && !options.is_empty() {
        let names: Vec<&str> = options.iter().map(|(name, _)| name).collect();
        let note = format!(
            "the server's own cookie is changed and no more: without {}",
            names.join(", ")
        );
        fate = fate.and(Fate::nearly(note));
        options = Table::new();
    }
    for (key, value) in options.iter() {
        config.set(key, value.clone());
    }
    Ok((
        Some(Table::of("plugin", "cookie").with("config", config)),
        fate,
    ))
}
