//! Set-ups as they are written in `*.txt`:
//!
//! ```text
//! == name                     begins one
//! front TEXT                  a line of its frontend
//! back TEXT                   a line of its backend, which has the servers a, b and c unless it says others
//! more TEXT                   a line of further sections
//! file NAME LINE              a line of a file that @NAME@ stands for
//! differs REASON              a known difference, by its words in docs/haproxy.md
//! METHOD PATH | FIELD | …     a request; `body=…` gives it one
//! raw TEXT                    bytes, with \r and \n
//! new                         a new connection
//! ```
//! `§` stands for the set-up's name, `@a@` to `@c@` for servers and `@dead@` for an address where nobody is.

use std::{collections::BTreeMap, fmt, fs};

#[derive(Debug, Default)]
pub struct Setup {
    pub name: String,
    pub front: Vec<String>,
    pub back: Vec<String>,
    pub more: Vec<String>,
    pub files: BTreeMap<String, Vec<String>>,
    pub differs: Option<String>,
    pub steps: Vec<Step>,
}

#[derive(Clone, PartialEq, Eq)]
pub enum Step {
    Send(Vec<u8>),
    New,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(bytes) => write!(f, "{:?}", String::from_utf8_lossy(bytes)),
            Self::New => f.write_str("new"),
        }
    }
}

/// All set-ups, in the order of their files' names.
pub fn all() -> Vec<Setup> {
    let folder = weir_tests::repository().join("tests/tests/haproxy");
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("it stays readable").path())
        .collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "txt"));
    files.sort();
    let mut setups = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("set-ups are text");
        for line in text
            .lines()
            .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        {
            read_line(line, &mut setups);
        }
    }
    let mut names: Vec<&str> = setups
        .iter()
        .map(|setup: &Setup| setup.name.as_str())
        .collect();
    names.sort_unstable();
    assert!(
        names.windows(2).all(|pair| pair[0] != pair[1]),
        "two set-ups have one name: {names:?}"
    );
    setups
}

fn read_line(line: &str, setups: &mut Vec<Setup>) {
    if let Some(name) = line.strip_prefix("== ") {
        setups.push(Setup {
            name: name.trim().to_owned(),
            ..Setup::default()
        });
        return;
    }
    let setup = setups.last_mut().expect("a file begins with a name");
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let text = rest.replace('§', &setup.name);
    match word {
        "front" => setup.front.push(text),
        "back" => setup.back.push(text),
        "more" => setup.more.push(text),
        "file" => {
            let (name, line) = rest.split_once(' ').expect("`file NAME LINE`");
            let line = line.replace('§', &setup.name);
            setup.files.entry(name.to_owned()).or_default().push(line);
        }
        "differs" => setup.differs = Some(rest.to_owned()),
        "new" => setup.steps.push(Step::New),
        "raw" => setup.steps.push(Step::Send(unescaped(rest))),
        method => setup.steps.push(Step::Send(request(method, rest))),
    }
}

pub fn request(method: &str, rest: &str) -> Vec<u8> {
    let mut parts = rest.split(" | ");
    let path = parts.next().expect("split yields at least one").trim();
    let (mut fields, mut body) = (String::new(), "");
    let mut has_host = false;
    for part in parts {
        match part.strip_prefix("body=") {
            Some(text) => body = text,
            None => {
                has_host |= part.to_ascii_lowercase().starts_with("host:");
                fields.push_str(part.trim());
                fields.push_str("\r\n");
            }
        }
    }
    let host = if has_host {
        ""
    } else {
        "Host: www.example.com\r\n"
    };
    let length = if body.is_empty() {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    format!("{method} {path} HTTP/1.1\r\n{host}{fields}{length}\r\n{body}").into_bytes()
}

fn unescaped(text: &str) -> Vec<u8> {
    text.replace("\\r", "\r")
        .replace("\\n", "\n")
        .replace("\\0", "\0")
        .into_bytes()
}
