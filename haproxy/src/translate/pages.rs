//! `errorfile`, `errorfiles`, `http-error` and `errorloc`: the proxy's own answers.

use crate::{
    file::{File, Kind, Section},
    nearest::nearest,
    problem::Problem,
    remark::Fate,
    text::{Line, Word},
    weir::{Table, Value},
};

use super::{
    Translator,
    draft::keyword,
    site::Site,
    template,
    words::{Words, number, wrong},
};

const TOO_LOW: &str = "only pages of errors can be replaced";
const SILENCE: &str = "an error is not answered with silence";

/// `errorfile CODE FILE`.
pub fn errorfile(line: &Line, site: &mut Site, keys: &mut Table) -> Result<Fate, Problem> {
    let (status, file) = file_of(line)?;
    if status < 400 {
        return Ok(Fate::dropped(TOO_LOW));
    }
    if file.text == "/dev/null" {
        return Ok(Fate::dropped(SILENCE));
    }
    add(keys, status, site.file(&file.text));
    Ok(Fate::Same)
}

fn file_of(line: &Line) -> Result<(i64, &Word), Problem> {
    let mut words = Words::of(line);
    let status = status(words.need("a status")?)?;
    let file = words.need("a file")?;
    words.end()?;
    Ok((status, file))
}

/// `errorfiles SECTION [CODE …]`: the pages of a section `http-errors`.
pub fn errorfiles(
    line: &Line,
    file: &File,
    site: &mut Site,
    keys: &mut Table,
) -> Result<Fate, Problem> {
    let mut words = Words::of(line);
    let name = words.need("the name of an `http-errors` section")?;
    let section = section_of(file, name)?;
    let mut wanted = Vec::new();
    while let Some(word) = words.next() {
        wanted.push(status(word)?);
    }
    let mut fate = Fate::Same;
    for line in &section.directives {
        // What is no page there is said there.
        let Ok((status, _)) = file_of(line) else {
            continue;
        };
        if wanted.is_empty() || wanted.contains(&status) {
            fate = fate.and(errorfile(line, site, keys)?);
        }
    }
    Ok(fate)
}

fn section_of<'f>(file: &'f File, name: &Word) -> Result<&'f Section, Problem> {
    let mut sections = file.of(Kind::HttpErrors);
    sections
        .find(|section| section.name == name.text)
        .ok_or_else(|| {
            let what = format!("no `http-errors` section is called `{}`", name.text);
            let problem = Problem::new(name.place, what);
            let known = file.of(Kind::HttpErrors).map(|it| it.name.as_str());
            match nearest(&name.text, known) {
                Some(meant) => problem.hint(format!("did you mean `{meant}`?")),
                None => problem,
            }
        })
}

/// `http-error status CODE [content-type T] [errorfile F | errorfiles S | file F | string S] [hdr N V]…`.
pub fn http_error(
    line: &Line,
    file: &File,
    site: &mut Site,
    keys: &mut Table,
) -> Result<Fate, Problem> {
    let mut words = Words::of(line);
    let (mut code, mut page, mut headers) = (None, Table::new(), Table::new());
    let mut fate = Fate::Same;
    while let Some(word) = words.next() {
        match word.text.as_str() {
            "status" => code = Some(status(words.need("a status")?)?),
            "content-type" => {
                let kind = words.need("a media type")?;
                page.set("content_type", kind.text.as_str());
            }
            "errorfile" => {
                let path = words.need("a file")?;
                words.end()?;
                return Ok(whole(
                    keys,
                    code.ok_or_else(|| no_status(line))?,
                    path,
                    site,
                ));
            }
            "errorfiles" => {
                let section = section_of(file, words.need("the name of a section")?)?;
                words.end()?;
                let code = code.ok_or_else(|| no_status(line))?;
                let mut all = section
                    .directives
                    .iter()
                    .filter_map(|line| file_of(line).ok());
                return Ok(match all.find(|(status, _)| *status == code) {
                    Some((_, path)) => whole(keys, code, path, site),
                    None => Fate::nearly(format!("`{}` has no page for {code}", section.name)),
                });
            }
            "default-errorfiles" => {
                return Ok(Fate::nearly("the pages said elsewhere hold for it anyway"));
            }
            "file" | "lf-file" => {
                let path = site.file(&words.need("a file")?.text);
                page.set("file", path);
                if word.text == "lf-file" {
                    fate = fate.and(as_it_stands());
                }
            }
            "string" => page.set("body", words.need("a text")?.text.as_str()),
            "lf-string" => {
                let text = words.need("a text")?.text.as_str();
                if text.contains('%') {
                    fate = fate.and(as_it_stands());
                }
                page.set("body", text);
            }
            "hdr" => {
                let name = words.need("the name of a field")?;
                let value = &words.need("a value")?.text;
                match template::constant(value) {
                    Some(value) => headers.set(&name.text, value),
                    None => {
                        let why = format!("without `{}`, since pages hold no facts", name.text);
                        fate = fate.and(Fate::nearly(why));
                    }
                }
            }
            other => return Err(wrong(word, format!("`{other}` has no meaning here"))),
        }
    }
    let code = code.ok_or_else(|| no_status(line))?;
    if code < 400 {
        return Ok(Fate::dropped(TOO_LOW));
    }
    if page.get("body").is_none() && page.get("file").is_none() {
        page.set("body", "");
    }
    if !headers.is_empty() {
        page.set("headers", headers);
    }
    add(keys, code, page);
    Ok(fate)
}

fn as_it_stands() -> Fate {
    Fate::nearly("the page is sent as it stands: it holds no facts of the request")
}

/// A file that holds a whole answer.
fn whole(keys: &mut Table, status: i64, path: &Word, site: &mut Site) -> Fate {
    if status < 400 {
        return Fate::dropped(TOO_LOW);
    }
    if path.text == "/dev/null" {
        return Fate::dropped(SILENCE);
    }
    add(keys, status, site.file(&path.text));
    Fate::Same
}

fn no_status(line: &Line) -> Problem {
    wrong(&line.words[0], "`http-error` without `status`".to_owned())
}

/// `errorloc CODE URL`, and with another status `errorloc303`.
pub fn errorloc(line: &Line, keys: &mut Table) -> Result<Fate, Problem> {
    let mut words = Words::of(line);
    let status = status(words.need("a status")?)?;
    let to = words.need("where to")?;
    words.end()?;
    if status < 400 {
        return Ok(Fate::dropped(TOO_LOW));
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

impl Translator<'_> {
    /// A section `http-errors`, whose pages are taken where it is named.
    pub(super) fn pages(&mut self, section: &Section) {
        for line in &section.directives {
            let fate = match keyword(line)[0] {
                "errorfile" => file_of(line).map(|(status, path)| match path.text.as_str() {
                    _ if status < 400 => Fate::dropped(TOO_LOW),
                    "/dev/null" => Fate::dropped(SILENCE),
                    _ => Fate::Same,
                }),
                other => {
                    let what = format!("unknown keyword `{other}` in an `http-errors`");
                    Err(wrong(&line.words[0], what))
                }
            };
            self.settle(line, fate);
        }
    }
}
