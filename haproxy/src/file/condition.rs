//! What stands behind `acl`, `if` and `unless`.

use crate::{
    problem::{Place, Problem},
    text::Word,
};

use super::Sample;

/// `if …` or `unless …`: at least one of the lists must hold as a whole, or with `unless` none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub unless: bool,
    pub any: Vec<Vec<Term>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    pub negated: bool,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    Named(Word),
    Anonymous(Test),
}

/// A fact and the patterns it is compared with: what `acl NAME` and `{ … }` hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    pub place: Place,
    pub sample: Sample,
    /// `None` is what the fact's type suggests.
    pub matching: Option<Matching>,
    pub ignore_case: bool,
    /// Files of patterns.
    pub files: Vec<Word>,
    pub patterns: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Matching {
    Exact,
    Prefix,
    Suffix,
    Contains,
    Directory,
    Domain,
    Regex,
    Length,
    Integer,
    Address,
    Found,
    Bool,
    Binary,
}

const MATCHINGS: [(&str, Matching); 13] = [
    ("str", Matching::Exact),
    ("beg", Matching::Prefix),
    ("end", Matching::Suffix),
    ("sub", Matching::Contains),
    ("dir", Matching::Directory),
    ("dom", Matching::Domain),
    ("reg", Matching::Regex),
    ("len", Matching::Length),
    ("int", Matching::Integer),
    ("ip", Matching::Address),
    ("found", Matching::Found),
    ("bool", Matching::Bool),
    ("bin", Matching::Binary),
];

/// Facts that have their matching in their name: `path_beg`, `hdr_sub(host)`.
const SUFFIXED: [&str; 16] = [
    "path",
    "url",
    "base",
    "query",
    "hdr",
    "req.hdr",
    "res.hdr",
    "shdr",
    "cook",
    "req.cook",
    "res.cook",
    "scook",
    "urlp",
    "url_param",
    "var",
    "method",
];

/// Cuts a directive's words at `if` or `unless`.
///
/// # Errors
/// A condition that makes no sense, at its place.
pub fn split_condition(words: &[Word]) -> Result<(&[Word], Option<Condition>), Problem> {
    let Some(at) = words
        .iter()
        .position(|word| matches!(word.text.as_str(), "if" | "unless"))
    else {
        return Ok((words, None));
    };
    let (before, condition) = words.split_at(at);
    let unless = condition[0].text == "unless";
    let terms = &condition[1..];
    if terms.is_empty() {
        let message = format!("`{}` without a condition", condition[0].text);
        return Err(Problem::new(condition[0].place, message));
    }
    Ok((
        before,
        Some(Condition {
            unless,
            any: any(terms)?,
        }),
    ))
}

fn any(words: &[Word]) -> Result<Vec<Vec<Term>>, Problem> {
    let mut any = vec![Vec::new()];
    let mut negated = false;
    let mut at = 0;
    while let Some(word) = words.get(at) {
        at += 1;
        let all = any.last_mut().expect("there is always one");
        let mut text = word.text.as_str();
        if matches!(text, "||" | "or" | "OR") {
            if all.is_empty() || negated {
                return Err(Problem::new(word.place, format!("nothing before `{text}`")));
            }
            any.push(Vec::new());
            continue;
        }
        while let Some(rest) = text.strip_prefix('!') {
            negated = !negated;
            text = rest;
        }
        if text.is_empty() {
            continue;
        }
        let what = if text == "{" {
            let length = words[at..].iter().position(|word| word.text == "}");
            let length = length.ok_or_else(|| {
                Problem::new(word.place, "`{` without `}`").hint("there must be blanks around both")
            })?;
            let inside = &words[at..at + length];
            at += length + 1;
            What::Anonymous(test(inside, word.place)?)
        } else if text.starts_with('{') || text == "}" {
            return Err(Problem::new(word.place, format!("`{text}`"))
                .hint("there must be blanks around `{` and `}`"));
        } else {
            What::Named(Word {
                text: text.to_owned(),
                place: word.place,
            })
        };
        all.push(Term {
            negated: std::mem::take(&mut negated),
            what,
        });
    }
    if negated || any.last().is_some_and(Vec::is_empty) {
        let last = words.last().map_or(
            Place {
                line: 1,
                column: 1,
                width: 1,
            },
            |word| word.place,
        );
        return Err(Problem::new(
            last,
            "the condition ends where a name should follow",
        ));
    }
    Ok(any)
}

/// Reads `path_beg -i /static /img`. `place` is where to complain if there is nothing.
///
/// # Errors
/// What makes no sense, at its place.
pub fn test(words: &[Word], place: Place) -> Result<Test, Problem> {
    let (first, rest) = words
        .split_first()
        .ok_or_else(|| Problem::new(place, "an empty condition"))?;
    let mut sample = Sample::parse(&first.text).map_err(|what| Problem::new(first.place, what))?;
    let mut matching = None;
    if let Some((fact, suffix)) = sample.fetch.name.rsplit_once('_')
        && SUFFIXED.contains(&fact)
        && let Some((_, meant)) = MATCHINGS.iter().find(|(name, _)| *name == suffix)
    {
        matching = Some(*meant);
        sample.fetch.name = fact.to_owned();
    }
    let mut test = Test {
        place: first.place,
        sample,
        matching,
        ignore_case: false,
        files: Vec::new(),
        patterns: Vec::new(),
    };
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        let mut value = || {
            words
                .next()
                .cloned()
                .ok_or_else(|| Problem::new(word.place, format!("nothing after `{}`", word.text)))
        };
        match word.text.as_str() {
            "-i" => test.ignore_case = true,
            "-n" | "-M" => {}
            "-u" => {
                value()?;
            }
            "-f" => test.files.push(value()?),
            "-m" => {
                let method = value()?;
                let known = MATCHINGS.iter().find(|(name, _)| *name == method.text);
                let (_, meant) = known.ok_or_else(|| {
                    Problem::new(method.place, format!("`{}` is no way to match", method.text))
                        .hint("these are str, beg, end, sub, dir, dom, reg, len, int, ip, found, bool and bin")
                })?;
                test.matching = Some(*meant);
            }
            "--" => {
                test.patterns
                    .extend(words.by_ref().map(|word| word.text.clone()));
            }
            flag if flag.len() == 2
                && flag.starts_with('-')
                && flag.as_bytes()[1].is_ascii_alphabetic() =>
            {
                return Err(Problem::new(word.place, format!("unknown flag `{flag}`"))
                    .hint("put `--` before patterns that begin with `-`"));
            }
            _ => {
                test.patterns.push(word.text.clone());
                test.patterns
                    .extend(words.by_ref().map(|word| word.text.clone()));
            }
        }
    }
    Ok(test)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{problem::Problems, surroundings::Nothing, text};

    fn words(source: &str) -> Vec<Word> {
        let mut problems = Problems::new("t", b"");
        text::read(source.as_bytes(), &Nothing, &mut problems)
            .lines
            .remove(0)
            .words
    }

    fn shape(source: &str) -> String {
        let words = words(source);
        let (before, condition) = split_condition(&words).unwrap();
        let Some(condition) = condition else {
            return before.len().to_string();
        };
        let term = |term: &Term| {
            let name = match &term.what {
                What::Named(word) => word.text.clone(),
                What::Anonymous(test) => format!("{{{} {:?}}}", test.sample, test.patterns),
            };
            format!("{}{name}", if term.negated { "!" } else { "" })
        };
        let any: Vec<String> = condition
            .any
            .iter()
            .map(|all| all.iter().map(term).collect::<Vec<_>>().join("&"))
            .collect();
        format!(
            "{}{}",
            if condition.unless { "unless " } else { "" },
            any.join("|")
        )
    }

    #[test]
    fn conditions_are_alternatives_of_terms() {
        assert_eq!(shape("use_backend a if b !c or d"), "b&!c|d");
        assert_eq!(
            shape("deny unless { src 10.0.0.0/8 } || ! x"),
            "unless {src [\"10.0.0.0/8\"]}|!x"
        );
        assert_eq!(
            shape("deny if !{ path_beg /a /b }"),
            "!{path [\"/a\", \"/b\"]}"
        );
        assert_eq!(shape("deny"), "1");
        for (wrong, what) in [
            ("deny if", "without a condition"),
            ("deny if a ||", "ends where a name"),
            ("deny if { src", "`{` without `}`"),
            ("deny if {src}", "blanks around"),
            ("deny if || a", "nothing before"),
            ("deny if { }", "an empty condition"),
            ("deny if { path -m foo }", "`foo` is no way to match"),
            ("deny if { path -z }", "unknown flag `-z`"),
        ] {
            let problem = split_condition(&words(wrong)).unwrap_err();
            let text = format!("{} {}", problem.message, problem.hint.unwrap_or_default());
            assert!(text.contains(what), "{wrong}: {text}");
        }
    }

    #[test]
    fn a_test_says_how_it_matches() {
        let read = |source: &str| {
            test(
                &words(source),
                Place {
                    line: 1,
                    column: 1,
                    width: 1,
                },
            )
            .unwrap()
        };
        assert_eq!(read("path_beg -i /a").matching, Some(Matching::Prefix));
        assert_eq!(
            read("hdr_sub(user-agent) bot").matching,
            Some(Matching::Contains)
        );
        assert_eq!(read("path -m reg -- -x").patterns, ["-x"]);
        assert_eq!(
            read("src -f /etc/a.lst 10.0.0.1").files[0].text,
            "/etc/a.lst"
        );
        assert_eq!(read("url_param(x) y").matching, None);
        assert_eq!(
            read("http_auth_group(L) -m found").sample.fetch.name,
            "http_auth_group"
        );
    }
}
