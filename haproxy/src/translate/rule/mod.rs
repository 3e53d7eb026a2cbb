//! `http-request`, `http-response`, `tcp-request`, `redirect` and `use_backend` as rules of the plugin
//! `rules`.

mod absent;
mod both;
mod capture;
mod edit;
mod http;
mod login;
mod monitor;
mod route;
mod server;
mod tcp;

use std::collections::BTreeSet;

use crate::{file::Condition, problem::Problem, text::Line, weir::Table};

use super::{
    Translator,
    condition::{Names, When, when},
    draft::Draft,
    facts::{Reason, Used},
    matcher::Matchers,
    track::{Limit, Tracker},
};

pub use server::USE_SERVER;
pub use tcp::MOMENTS;

/// A rule of the plugin `rules`.
#[derive(Debug, Clone, Default)]
pub struct Rule {
    pub comments: Vec<String>,
    pub when: When,
    /// What it does.
    pub body: Table,
    pub used: Used,
    /// What later rules would see changed.
    pub writes: BTreeSet<String>,
    /// What it is about.
    pub hook: Hook,
    /// What it comes to if it only turns away who has too much of a counter.
    pub limit: Option<Limit>,
}

/// What a rule is about, and so when it is looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Hook {
    Connection,
    #[default]
    Request,
    Response,
}

/// What a directive asks for.
pub enum Wanted {
    Rule(Rule),
    /// Log in with the users of this list before going on.
    Login {
        list: String,
        realm: Option<String>,
    },
    /// Filters that count, after a rule that says what for.
    Track {
        rule: Rule,
        trackers: Vec<Tracker>,
    },
    /// What Weir does by itself.
    Nothing,
}

/// Why a directive became no rule.
pub enum Refused {
    /// HAProxy would not take it either.
    Wrong(Problem),
    /// Weir has nothing like it.
    Absent(Reason),
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Wrong(problem)
    }
}

impl From<Reason> for Refused {
    fn from(reason: Reason) -> Self {
        Self::Absent(reason)
    }
}

/// Reads rules of one proxy.
pub struct RuleReader<'r, 't> {
    pub translator: &'r mut Translator<'t>,
    pub draft: &'r Draft<'t>,
    /// The matchers that were given names so far.
    pub named: Names,
}

impl RuleReader<'_, '_> {
    /// A rule with nothing to do yet.
    pub(super) fn rule(
        &mut self,
        line: &Line,
        condition: Option<&Condition>,
    ) -> Result<Rule, Refused> {
        let mut used = Used::default();
        let when = self.when(condition, &mut used)?;
        Ok(Rule {
            comments: line.comments.clone(),
            when,
            used,
            ..Rule::default()
        })
    }

    fn when(&mut self, condition: Option<&Condition>, used: &mut Used) -> Result<When, Refused> {
        let mut read = Vec::new();
        let mut matchers = Matchers {
            maps: &mut self.translator.maps,
            around: self.translator.around,
            mode: self.draft.mode,
            read: &mut read,
            named: &mut self.named,
        };
        let when = when(self.draft, condition, &mut matchers, used);
        self.translator.read.extend(read);
        Ok(when?)
    }
}
