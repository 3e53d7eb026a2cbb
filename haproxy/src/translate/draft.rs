//! The directives of a proxy: its own, and before them those of the `defaults` that it starts from.

use std::collections::BTreeMap;

use crate::{
    file::{Kind, Matching, Section, Test, test},
    nearest::nearest,
    problem::Problem,
    remark::Fate,
    text::{Line, Word},
};

use super::{Translator, words::Words};

/// Directives of all proxies, those of the defaults counted for each.
pub const MOST_EFFORT: usize = 1_000_000;

/// A proxy with all directives that hold for it.
#[derive(Debug)]
pub struct Draft<'f> {
    pub section: &'f Section,
    /// Those of the defaults first.
    pub lines: Vec<&'f Line>,
    /// How many of the lines are the defaults'.
    pub inherited: usize,
    pub mode: Mode,
    /// The tests of each name; any of them will do.
    pub acls: BTreeMap<String, Acl<'f>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Http,
    Tcp,
}

#[derive(Debug)]
pub struct Acl<'f> {
    pub tests: Vec<Test>,
    pub lines: Vec<&'f Line>,
}

impl<'f> Draft<'f> {
    pub fn name(&self) -> &'f str {
        &self.section.name
    }

    pub fn is_frontend(&self) -> bool {
        matches!(self.section.kind, Kind::Frontend | Kind::Listen)
    }

    pub fn is_backend(&self) -> bool {
        matches!(self.section.kind, Kind::Backend | Kind::Listen)
    }

    /// The section's own directives.
    pub fn own(&self) -> &[&'f Line] {
        &self.lines[self.inherited..]
    }

    /// All directives of this name, in order.
    pub fn all<'d>(&'d self, keyword: &'d str) -> impl Iterator<Item = &'f Line> + 'd {
        self.lines
            .iter()
            .copied()
            .filter(move |line| line.words[0].text == keyword)
    }

    /// The directive of this name that counts: the last one.
    pub fn last(&self, keyword: &str) -> Option<&'f Line> {
        self.all(keyword).last()
    }

    /// The `option NAME` that counts, unless a later `no option NAME` takes it back.
    pub fn option(&self, name: &str) -> Option<&'f Line> {
        let mut found = None;
        for line in &self.lines {
            match keyword(line) {
                ["option", option, ..] if option == name => found = Some(*line),
                ["no", "option", option, ..] | ["default", "option", option, ..]
                    if option == name =>
                {
                    found = None
                }
                _ => {}
            }
        }
        found
    }
}

/// A directive's first words.
pub fn keyword(line: &Line) -> [&str; 3] {
    let word = |position: usize| {
        line.words
            .get(position)
            .map_or("", |word| word.text.as_str())
    };
    [word(0), word(1), word(2)]
}

/// ACLs that HAProxy knows without being told.
const PREDEFINED: [(&str, &[&str]); 17] = [
    ("TRUE", &["always_true"]),
    ("FALSE", &["always_false"]),
    ("LOCALHOST", &["src", "127.0.0.0/8", "::1"]),
    ("METH_CONNECT", &["method", "CONNECT"]),
    ("METH_DELETE", &["method", "DELETE"]),
    ("METH_GET", &["method", "GET", "HEAD"]),
    ("METH_HEAD", &["method", "HEAD"]),
    ("METH_OPTIONS", &["method", "OPTIONS"]),
    ("METH_POST", &["method", "POST"]),
    ("METH_PUT", &["method", "PUT"]),
    ("METH_TRACE", &["method", "TRACE"]),
    ("HTTP", &["req.proto_http"]),
    ("HTTP_1.0", &["req.ver", "1.0"]),
    ("HTTP_1.1", &["req.ver", "1.1"]),
    ("HTTP_URL_SLASH", &["path_beg", "/"]),
    ("HTTP_URL_STAR", &["url", "*"]),
    ("WAIT_END", &["always_true"]),
];

/// The tests of a name that HAProxy knows by itself.
pub fn predefined(name: &Word) -> Option<Test> {
    let (_, words) = PREDEFINED.iter().find(|(known, _)| *known == name.text)?;
    let words: Vec<Word> = words
        .iter()
        .map(|text| Word {
            text: (*text).to_owned(),
            place: name.place,
        })
        .collect();
    test(&words, name.place).ok()
}

impl<'t> Translator<'t> {
    pub(super) fn draft(&mut self, position: usize, section: &'t Section) -> Draft<'t> {
        let mut lines = self.defaults_of(position, section, 0);
        self.effort += lines.len() + section.directives.len();
        if self.effort > MOST_EFFORT {
            lines.clear();
            let message =
                format!("all sections with their defaults have over {MOST_EFFORT} directives");
            self.problems
                .add(Problem::new(section.header.words[0].place, message));
        }
        let inherited = lines.len();
        lines.extend(&section.directives);
        let mut draft = Draft {
            section,
            lines,
            inherited,
            mode: Mode::Tcp,
            acls: BTreeMap::new(),
        };
        draft.mode = self.mode(&draft);
        draft.acls = self.acls(&draft);
        draft
    }

    /// The directives of the defaults that a section starts from: the named ones, or the last before it.
    fn defaults_of(
        &mut self,
        position: usize,
        section: &'t Section,
        depth: usize,
    ) -> Vec<&'t Line> {
        let file = self.file;
        let found = match &section.from {
            Some(name) => {
                let found = (0..)
                    .zip(&file.sections)
                    .find(|(_, other)| other.kind == Kind::Defaults && other.name == name.text);
                if found.is_none() {
                    let message = format!("no `defaults` section is called `{}`", name.text);
                    self.problems.add(Problem::new(name.place, message));
                }
                found
            }
            None if section.kind == Kind::Defaults => None,
            None => file.sections[..position]
                .iter()
                .enumerate()
                .rfind(|(_, other)| other.kind == Kind::Defaults),
        };
        let Some((position, defaults)) = found.filter(|_| depth < 8) else {
            return Vec::new();
        };
        let mut lines = match defaults.from {
            Some(_) => self.defaults_of(position, defaults, depth + 1),
            None => Vec::new(),
        };
        lines.extend(&defaults.directives);
        lines
    }

    fn mode(&mut self, draft: &Draft<'t>) -> Mode {
        let mut mode = Mode::Tcp;
        for line in draft.all("mode") {
            let mut words = Words::of(line);
            let fate = words
                .need("`http` or `tcp`")
                .and_then(|word| match word.text.as_str() {
                    "http" => {
                        mode = Mode::Http;
                        Ok(Fate::Same)
                    }
                    "tcp" => {
                        mode = Mode::Tcp;
                        Ok(Fate::Same)
                    }
                    other => Err(Problem::new(word.place, format!("unknown mode `{other}`"))
                        .hint("these are `http` and `tcp`")),
                });
            self.settle(line, fate);
        }
        mode
    }

    fn acls(&mut self, draft: &Draft<'t>) -> BTreeMap<String, Acl<'t>> {
        let mut acls: BTreeMap<String, Acl<'t>> = BTreeMap::new();
        for line in draft.all("acl") {
            let mut words = Words::of(line);
            let read = words.need("a name").and_then(|name| {
                if matches!(name.text.as_str(), "or" | "if" | "unless" | "{" | "}")
                    || name.text.starts_with('!')
                {
                    return Err(Problem::new(
                        name.place,
                        format!("`{}` cannot be the name of an ACL", name.text),
                    ));
                }
                Ok((name.text.clone(), test(words.rest(), name.place)?))
            });
            if let Some((name, test)) = self.problems.note(read) {
                let acl = acls.entry(name).or_insert_with(|| Acl {
                    tests: Vec::new(),
                    lines: Vec::new(),
                });
                acl.tests.push(test);
                acl.lines.push(line);
            }
        }
        acls
    }
}

/// The backends of a file, each with its mode.
#[derive(Debug)]
pub struct Backends {
    names: Vec<(String, Mode)>,
}

impl Backends {
    pub fn new(drafts: &[Draft<'_>]) -> Self {
        let backends = drafts.iter().filter(|draft| draft.is_backend());
        Self {
            names: backends
                .map(|draft| (draft.name().to_owned(), draft.mode))
                .collect(),
        }
    }

    /// Those that a frontend of this mode can use.
    pub fn of(&self, mode: Mode) -> impl Iterator<Item = &str> {
        let usable = self.names.iter().filter(move |(_, own)| *own == mode);
        usable.map(|(name, _)| name.as_str())
    }

    pub fn mode(&self, name: &str) -> Option<Mode> {
        let found = self.names.iter().find(|(known, _)| known == name);
        found.map(|(_, mode)| *mode)
    }

    /// Checks that there is a backend of that name, and that a frontend of this mode can use it.
    ///
    /// # Errors
    /// What HAProxy would say, too.
    pub fn named(&self, word: &Word, mode: Mode) -> Result<(), Problem> {
        let name = word.text.as_str();
        match self.mode(name) {
            Some(own) if own == mode => Ok(()),
            Some(own) => {
                let said = |mode| match mode {
                    Mode::Http => "HTTP",
                    Mode::Tcp => "TCP",
                };
                let message = format!(
                    "`{name}` is a backend for {}, and this frontend is for {}",
                    said(own),
                    said(mode)
                );
                Err(Problem::new(word.place, message).hint("give both the same `mode`"))
            }
            None => {
                let known = || self.names.iter().map(|(known, _)| known.as_str());
                let problem = Problem::new(word.place, format!("no backend is called `{name}`"));
                Err(match nearest(name, known()) {
                    Some(meant) => problem.hint(format!("did you mean `{meant}`?")),
                    None => problem.hint(format!(
                        "these are {}",
                        known().collect::<Vec<_>>().join(", ")
                    )),
                })
            }
        }
    }
}

/// What a test compares as, if it does not say.
pub fn default_matching(fetch: &str) -> Matching {
    match fetch {
        "src" | "dst" | "src_is_local" => Matching::Address,
        "dst_port"
        | "src_port"
        | "status"
        | "nbsrv"
        | "connslots"
        | "be_conn"
        | "fe_conn"
        | "hdr_cnt"
        | "req.hdr_cnt"
        | "res.hdr_cnt"
        | "int"
        | "rand"
        | "queue"
        | "avg_queue"
        | "be_sess_rate"
        | "fe_sess_rate"
        | "req.body_len"
        | "req.body_size"
        | "hdr_val"
        | "req.hdr_val"
        | "url_len"
        | "path_len"
        | "dst_conn"
        | "src_conn_cur"
        | "src_conn_rate"
        | "src_http_req_rate"
        | "src_http_err_rate"
        | "srv_conn"
        | "srv_queue"
        | "be_conn_free"
        | "res.hdr_val"
        | "req.len"
        | "req_len"
        | "req.ssl_hello_type"
        | "req_ssl_hello_type"
        | "urlp_val"
        | "ssl_c_verify"
        | "ssl_fc_protocol_hello_id" => Matching::Integer,
        name if name.starts_with("sc") && name.contains('_') => Matching::Integer,
        name if super::tables::is_counter(name) => Matching::Integer,
        "ssl_fc" | "http_auth" | "always_true" | "always_false" | "srv_is_up"
        | "ssl_fc_has_sni" | "ssl_c_used" | "ssl_fc_has_crt" | "req.proto_http"
        | "req_proto_http" | "http_first_req" => Matching::Bool,
        _ => Matching::Exact,
    }
}
