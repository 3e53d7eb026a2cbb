//! `errorfile` and `errorloc`: the proxy's own answers.

use crate::{
    problem::Problem,
    remark::Fate,
    text::{Line, Word},
    weir::{Table, Value},
};

use super::{
    draft::keyword,
    site::Site,
    words::{Words, number, wrong},
};

/// `errorfile CODE FILE`.
pub fn errorfile(line: &Line, site: &mut Site, keys: &mut Table) -> Result<Fate, Problem> {
    let mut words = Words::of(line);
    let status = status(words.need("a status")?)?;
    let file = words.need("a file")?;
    words.end()?;
    if status < 400 {
        return Ok(Fate::dropped("only pages of errors can be replaced"));
    }
    if file.text == "/dev/null" {
        return Ok(Fate::dropped("an error is not answered with silence"));
    }
    add(keys, status, site.file(&file.text));
    Ok(Fate::Same)
}

/// `errorloc CODE URL`, and with another status `errorloc303`.
pub fn errorloc(line: &Line, keys: &mut Table) -> Result<Fate, Problem> {
    let mut words = Words::of(line);
    let status = status(words.need("a status")?)?;
    let to = words.need("where to")?;
    words.end()?;
    if status < 400 {
        return Ok(Fate::dropped("only pages of errors can be replaced"));
    }
    let mut page = Table::of("redirect", to.text.as_str());
    if keyword(line)[0] == "errorloc303" {
        page.set("status", 303_i64);
    }
    add(keys, status, page);
    Ok(Fate::Same)
}

fn status(word: &Word) -> Result<i64, Problem> {
    const KNOWN: [i64; 16] = [
        200, 400, 401, 403, 404, 405, 407, 408, 410, 413, 425, 429, 500, 502, 503, 504,
    ];
    let status = number(word, 200, 599)?;
    if !KNOWN.contains(&status) && status != 501 {
        return Err(wrong(word, format!("HAProxy has no page for {status}")));
    }
    Ok(status)
}

fn add(keys: &mut Table, status: i64, page: impl Into<Value>) {
    let mut pages = match keys.get("error_pages") {
        Some(Value::Table(pages)) => pages.clone(),
        _ => Table::new(),
    };
    pages.set(&status.to_string(), page);
    keys.set("error_pages", pages);
}
