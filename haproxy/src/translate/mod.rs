//! From HAProxy's file to a weir.toml that means the same, with a fate for every directive.
//!
//! `draft` takes the directives of a proxy with those of its `defaults`, in the order that counts;
//! `frontend` and `backend` make sections of a draft; `proxy` is what they have in common, `tcp` what is different
//! without requests. What decides about requests goes through `rule`
//! (a directive to a rule of the plugin `rules`), `condition` and `matcher` (what it depends on),
//! `template` (texts with facts) and `filters` (rules to filters, in the order in which they must run).

mod auth;
mod backend;
mod balance;
mod bind;
mod caches;
mod check;
mod compression;
mod condition;
mod cookie;
mod draft;
mod facts;
mod filters;
mod forwarded;
mod frontend;
mod global;
mod hoist;
mod live;
mod log;
mod log_format;
mod maps;
mod matcher;
mod options;
mod pages;
mod proxy;
mod ranges;
mod redirect;
mod reply;
mod resolvers;
mod rule;
mod runtime_socket;
mod server;
mod site;
mod statistics;
mod stick;
mod strength;
mod tables;
mod talk;
mod tcp;
mod template;
mod timeouts;
mod track;
mod words;

use std::{collections::BTreeSet, path::PathBuf};

use crate::{
    file::{File, Kind, Section},
    problem::{Place, Problem, Problems},
    remark::{Fate, Remark, Remarks},
    surroundings::Surroundings,
    text::Line,
    weir::Weir,
};

use self::{
    draft::{Backends, Draft},
    maps::Maps,
    runtime_socket::ForAll,
    site::Site,
};

/// What came out.
pub struct Translated {
    pub weir: Weir,
    pub remarks: Remarks,
    /// Files that were read into it.
    pub read: Vec<PathBuf>,
    /// What a weir.toml in another folder changes.
    pub relative: Vec<Remark>,
}

/// What all parts of a translation share.
struct Translator<'t> {
    file: &'t File,
    around: &'t dyn Surroundings,
    problems: &'t mut Problems,
    remarks: Remarks,
    maps: Maps,
    site: Site,
    read: BTreeSet<PathBuf>,
    weir: Weir,
    stats: ForAll,
    /// Directives looked at so far.
    effort: usize,
}

/// Translates a whole file. What HAProxy would refuse is noted; then the result is not used.
pub fn translate(
    name: &str,
    file: &File,
    around: &dyn Surroundings,
    problems: &mut Problems,
) -> Translated {
    let mut translator = Translator {
        file,
        around,
        problems,
        remarks: Remarks::default(),
        maps: Maps::default(),
        site: Site::in_folder_of(name),
        read: BTreeSet::new(),
        weir: Weir::default(),
        stats: ForAll::default(),
        effort: 0,
    };
    translator.sections();
    let relative = translator.relative_paths();
    Translated {
        relative,
        weir: translator.weir,
        remarks: translator.remarks,
        read: translator.read.into_iter().collect(),
    }
}

impl<'t> Translator<'t> {
    fn sections(&mut self) {
        let file = self.file;
        self.maps.first_userlist = file
            .of(Kind::Userlist)
            .next()
            .map(|section| section.name.clone());
        if let Some(first) = file.sections.first() {
            self.weir.comments.clone_from(&first.header.comments);
        }
        for section in file.of(Kind::Global) {
            self.global(section);
        }
        self.maps.start.clone_from(&self.site.start);
        self.finish_stats();
        for section in file
            .sections
            .iter()
            .filter(|section| !section.kind.is_proxy())
        {
            self.other(section);
        }
        let mut proxies: Vec<Draft<'_>> = (0..)
            .zip(&file.sections)
            .filter(|(_, section)| section.kind.is_proxy())
            .map(|(position, section)| self.draft(position, section))
            .collect();
        if self.problems.are_many() || self.effort > draft::MOST_EFFORT {
            return;
        }
        self.settle_modes(&mut proxies);
        let backends = Backends::new(&proxies);
        self.maps.tables.scan(file);
        for draft in &proxies {
            self.maps.proxies.note(draft.section);
        }
        for draft in &proxies {
            let declared = self.maps.tables.declare(draft);
            self.problems.note(declared);
        }
        self.logs(&proxies);
        for draft in &proxies {
            if draft.is_frontend() {
                self.frontend(draft, &backends);
            }
            if draft.is_backend() {
                self.backend(draft);
            }
        }
        self.weir.maps = self.maps.sections();
        self.weir.counters = self.maps.tables.sections();
        hoist::hoist(&mut self.weir);
        self.unused_defaults();
        if proxies.iter().all(|draft| !draft.is_frontend()) {
            self.nothing_listens();
        }
    }

    /// Sections that are no proxies. What they hold is used where it is named, or not at all.
    fn other(&mut self, section: &Section) {
        let fate = match section.kind {
            Kind::Global | Kind::Defaults | Kind::Frontend | Kind::Backend | Kind::Listen => return,
            Kind::Userlist => {
                self.userlist(section);
                return;
            }
            Kind::Resolvers => {
                self.resolvers(section);
                return;
            }
            Kind::Peers => Fate::dropped("stick tables are not shared between proxies"),
            Kind::Mailers => Fate::dropped("Weir sends no mail; alert on its log or metrics"),
            Kind::Cache => {
                self.cache(section);
                return;
            }
            Kind::Program => {
                Fate::dropped("Weir starts no other programs; the service manager does")
            }
            // Each proxy that names the section takes its pages, in the form that they have there.
            Kind::HttpErrors => {
                self.pages(section);
                return;
            }
            Kind::Ring => Fate::dropped("logs go to a stream, a file or syslog"),
            Kind::LogForward => Fate::dropped("Weir forwards no logs"),
            Kind::FcgiApp => Fate::dropped("Weir speaks HTTP to servers, not FastCGI"),
        };
        for line in &section.directives {
            self.remark(line, fate.clone());
        }
    }

    /// Defaults that no proxy starts from.
    fn unused_defaults(&mut self) {
        let file = self.file;
        for line in file
            .of(Kind::Defaults)
            .flat_map(|section| &section.directives)
        {
            if self.remarks.has(line.number) {
                continue;
            }
            let known = proxy::OF_FRONTENDS.iter().chain(&proxy::OF_BACKENDS);
            let word = &line.words[0];
            if known.clone().any(|known| *known == word.text) {
                self.remark(line, Fate::Same);
                continue;
            }
            let problem = Problem::new(
                word.place,
                format!("unknown keyword `{}` in `defaults`", word.text),
            );
            self.problems
                .add(match crate::nearest::nearest(&word.text, known.copied()) {
                    Some(meant) => problem.hint(format!("did you mean `{meant}`?")),
                    None => problem,
                });
        }
    }

    fn nothing_listens(&mut self) {
        let place = Place {
            line: 1,
            column: 1,
            width: 1,
        };
        let hint = "a file has a `frontend` or `listen` with `bind`";
        self.problems
            .add(Problem::new(place, "nothing listens").hint(hint));
    }

    fn remark(&mut self, line: &Line, fate: Fate) {
        self.remarks.add(line.number, &line.source, fate);
    }

    /// What a directive came to; if it makes no sense, the problem is noted and it counts as dropped.
    fn settle(&mut self, line: &Line, fate: Result<Fate, Problem>) {
        let fate = self
            .problems
            .note(fate)
            .unwrap_or_else(|| Fate::dropped("it makes no sense"));
        self.remark(line, fate);
    }
}
