//! Lines to sections.

use crate::{
    nearest::nearest,
    problem::{Problem, Problems},
    text::{Line, Word},
};

/// More than any file has.
const MOST_SECTIONS: usize = 5_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Global,
    Defaults,
    Frontend,
    Backend,
    Listen,
    Userlist,
    Peers,
    Resolvers,
    Mailers,
    Cache,
    Program,
    HttpErrors,
    Ring,
    LogForward,
    FcgiApp,
}

const KINDS: [(&str, Kind); 15] = [
    ("global", Kind::Global),
    ("defaults", Kind::Defaults),
    ("frontend", Kind::Frontend),
    ("backend", Kind::Backend),
    ("listen", Kind::Listen),
    ("userlist", Kind::Userlist),
    ("peers", Kind::Peers),
    ("resolvers", Kind::Resolvers),
    ("mailers", Kind::Mailers),
    ("cache", Kind::Cache),
    ("program", Kind::Program),
    ("http-errors", Kind::HttpErrors),
    ("ring", Kind::Ring),
    ("log-forward", Kind::LogForward),
    ("fcgi-app", Kind::FcgiApp),
];

impl Kind {
    pub fn word(self) -> &'static str {
        KINDS
            .iter()
            .find(|(_, kind)| *kind == self)
            .map_or("", |(word, _)| word)
    }

    /// Whether it is a proxy: something that connections come to or go from.
    pub fn is_proxy(self) -> bool {
        matches!(self, Self::Frontend | Self::Backend | Self::Listen)
    }

    fn needs_name(self) -> bool {
        !matches!(self, Self::Global | Self::Defaults)
    }
}

/// A section with its directives.
#[derive(Debug, Clone)]
pub struct Section {
    pub kind: Kind,
    /// Empty for `global` and nameless `defaults`.
    pub name: String,
    pub header: Line,
    /// The name of the `defaults` section that it starts from, if it says so.
    pub from: Option<Word>,
    pub directives: Vec<Line>,
}

#[derive(Debug, Clone, Default)]
pub struct File {
    pub sections: Vec<Section>,
}

impl File {
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Section> {
        self.sections
            .iter()
            .filter(move |section| section.kind == kind)
    }

    pub fn named(&self, kind: Kind, name: &str) -> Option<&Section> {
        self.of(kind).find(|section| section.name == name)
    }
}

/// Cuts lines into sections. What stands outside of any, or has a name twice, is noted.
pub fn read(lines: &[Line], problems: &mut Problems) -> File {
    let mut file = File::default();
    let mut lost = false;
    for line in lines {
        let word = &line.words[0];
        if let Some((_, kind)) = KINDS.iter().find(|(name, _)| *name == word.text) {
            lost = false;
            let section = problems.note(header(*kind, line));
            match section {
                Some(section) if file.sections.len() >= MOST_SECTIONS => {
                    let message = format!("more than {MOST_SECTIONS} sections");
                    problems.add(Problem::new(section.header.words[0].place, message));
                    return file;
                }
                Some(section) => {
                    check_name(&file, &section, problems);
                    file.sections.push(section);
                }
                None => lost = true,
            }
            continue;
        }
        match file.sections.last_mut() {
            Some(section) if !lost => section.directives.push(line.clone()),
            // What follows a wrong header would only repeat the complaint.
            _ if lost => {}
            _ => {
                lost = true;
                let message = format!("`{}` stands before any section", short(&word.text));
                let problem = Problem::new(word.place, message);
                if word.text.starts_with('\u{feff}') {
                    problems.add(problem.hint("save the file without a byte order mark"));
                    continue;
                }
                problems.add(match nearest(&word.text, KINDS.map(|(name, _)| name)) {
                    Some(meant) => problem.hint(format!("did you mean `{meant}`?")),
                    None => problem
                        .hint("a file begins with `global`, `defaults`, `frontend` or the like"),
                });
            }
        }
    }
    file
}

fn header(kind: Kind, line: &Line) -> Result<Section, Problem> {
    let mut words = line.words[1..].iter().peekable();
    let name = words.next_if(|word| word.text != "from" || kind.needs_name());
    let word = &line.words[0];
    if name.is_none() && kind.needs_name() {
        let message = format!("a `{}` needs a name", word.text);
        return Err(Problem::new(word.place, message).hint(format!("write `{} NAME`", word.text)));
    }
    if let Some(name) = name.filter(|_| kind.is_proxy() || kind == Kind::Userlist)
        && !is_name(&name.text)
    {
        let message = format!("`{}` cannot be a name", short(&name.text));
        return Err(Problem::new(name.place, message)
            .hint("names have letters, digits, `-`, `_`, `.` and `:`"));
    }
    let mut from = None;
    if let Some(word) = words.next_if(|word| word.text == "from") {
        from = Some(words.next().cloned().ok_or_else(|| {
            Problem::new(
                word.place,
                "`from` without the name of a `defaults` section",
            )
        })?);
    }
    // `global` and `peers` take what follows for nothing; the rest is an old way to say an address.
    if let Some(more) = words.next().filter(|_| kind.is_proxy()) {
        let message = format!("`{}` after the section's name", short(&more.text));
        return Err(
            Problem::new(more.place, message).hint("addresses are said with `bind` and `server`")
        );
    }
    Ok(Section {
        kind,
        name: name.map(|name| name.text.clone()).unwrap_or_default(),
        header: line.clone(),
        from,
        directives: Vec::new(),
    })
}

/// HAProxy lets a frontend and a backend share a name, and nothing else.
fn check_name(file: &File, section: &Section, problems: &mut Problems) {
    let clashes = |other: &&Section| {
        let kinds = [section.kind, other.kind];
        let same = section.kind == other.kind && section.kind.needs_name();
        let listen = kinds.contains(&Kind::Listen) && kinds.iter().all(|kind| kind.is_proxy());
        (same || listen) && other.name == section.name
    };
    if let Some(first) = file.sections.iter().find(clashes) {
        let message = format!(
            "`{}` has been the name of a {} since line {}",
            section.name,
            first.kind.word(),
            first.header.number
        );
        problems.add(Problem::new(section.header.words[1].place, message));
    }
}

/// Whether HAProxy takes it for the name of a proxy, and Weir for one of a frontend or backend.
fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    !text.is_empty() && text.len() <= 128 && text.chars().all(allowed)
}

fn short(text: &str) -> String {
    if text.chars().count() <= 40 {
        text.to_owned()
    } else {
        text.chars().take(39).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{surroundings::Nothing, text};

    fn parsed(source: &str) -> Result<File, Problems> {
        let mut problems = Problems::new("h.cfg", source.as_bytes());
        let lines = text::read(source.as_bytes(), &Nothing, &mut problems);
        let file = read(&lines.lines, &mut problems);
        problems.conclude().map(|()| file)
    }

    #[test]
    fn sections_have_names_and_may_start_from_named_defaults() {
        let file = parsed("defaults web\n mode http\ndefaults tls from web\nfrontend a from tls\n bind :1\nbackend a\n").unwrap();
        let shapes: Vec<_> = file
            .sections
            .iter()
            .map(|section| {
                (
                    section.kind,
                    section.name.as_str(),
                    section.from.as_ref().map(|w| w.text.as_str()),
                    section.directives.len(),
                )
            })
            .collect();
        assert_eq!(
            shapes,
            [
                (Kind::Defaults, "web", None, 1),
                (Kind::Defaults, "tls", Some("web"), 0),
                (Kind::Frontend, "a", Some("tls"), 1),
                (Kind::Backend, "a", None, 0),
            ]
        );
    }

    #[test]
    fn a_file_that_is_none_says_so_once_per_mistake() {
        let complaint = |source: &str| parsed(source).unwrap_err().to_string();
        assert!(
            complaint("frontnd a\n bind :1\n mode http\n").contains("did you mean `frontend`?")
        );
        assert!(complaint("\u{feff}global\n").contains("without a byte order mark"));
        assert!(complaint("backend\n server a\n").contains("a `backend` needs a name"));
        assert!(complaint("backend a\nlisten a\n").contains("since line 1"));
        assert!(complaint("frontend web :80\n").contains("`bind` and `server`"));
        assert_eq!(parsed("frontnd a\n x\n y\n").unwrap_err().list().len(), 1);
    }
}
