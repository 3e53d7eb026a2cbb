//! `redirect location|prefix|scheme …`.

use crate::weir::Table;

use super::{
    maps::Maps,
    rule::{Refused, Rule},
    template::{self, literal},
    words::{Words, number, wrong},
};

/// Reads a redirect into a rule.
pub fn redirect(words: &mut Words<'_>, maps: &mut Maps, rule: &mut Rule) -> Result<(), Refused> {
    let kind = words.need("`location`, `prefix` or `scheme`")?;
    let target = words.need("where to")?;
    let target = template::format(&target.text, maps, &mut rule.used)?;
    let mut status = 302;
    let mut drop_query = false;
    let mut append_slash = false;
    let mut cookies: Vec<String> = Vec::new();
    while let Some(word) = words.next() {
        match word.text.as_str() {
            "code" => {
                let code = words.need("a status")?;
                status = number(code, 300, 399)?;
                if !matches!(status, 301 | 302 | 303 | 307 | 308) {
                    return Err(wrong(
                        code,
                        format!("`{status}` is no redirect; they are 301, 302, 303, 307 and 308"),
                    )
                    .into());
                }
            }
            "drop-query" => drop_query = true,
            "append-slash" => append_slash = true,
            "set-cookie" => cookies.push(format!(
                "{}; path=/;",
                literal(&words.need("a cookie")?.text)
            )),
            "clear-cookie" => {
                let name = words.need("a cookie")?.text.trim_end_matches('=');
                cookies.push(format!("{}=; path=/; Max-Age=0;", literal(name)));
            }
            other => return Err(wrong(word, format!("`{other}` has no meaning here")).into()),
        }
    }
    let query = if drop_query { "" } else { "{?query}" };
    let to = match kind.text.as_str() {
        "location" => target,
        "prefix" => {
            rule.used.reads.extend(["path", "query"].map(str::to_owned));
            let prefix = if target == "/" {
                ""
            } else {
                target.trim_end_matches('/')
            };
            let slash = if append_slash && drop_query { "/" } else { "" };
            if !slash.is_empty() {
                rule.used
                    .notes
                    .insert("a path that already ends in `/` gets another one".to_owned());
            }
            format!("{prefix}{{raw_path}}{slash}{query}")
        }
        "scheme" => {
            rule.used
                .reads
                .extend(["path", "query", "header:host"].map(str::to_owned));
            format!("{target}://{{header(Host)}}{{raw_path}}{query}")
        }
        other => {
            return Err(wrong(kind, format!("`{other}` is no kind of redirect"))
                .hint("these are `location`, `prefix` and `scheme`")
                .into());
        }
    };
    let mut redirect = Table::of("to", to);
    if status != 302 {
        redirect.set("status", status);
    }
    rule.body.set("redirect", redirect);
    if !cookies.is_empty() {
        rule.body
            .set("add_response_header", Table::of("Set-Cookie", cookies));
    }
    Ok(())
}
