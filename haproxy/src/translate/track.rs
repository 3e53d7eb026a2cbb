//! `track-sc0 src` and what follows from it: a filter that counts, and the limits that the file sets on what
//! was counted.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    file::{Condition, Sample, Test, What},
    text::{Line, Word},
    weir::{Filter, Table, Value},
};

use super::{
    draft::{Mode, default_matching, keyword},
    facts,
    rule::{Hook, Refused, Rule, RuleReader, Wanted},
    tables::{CURRENT, Tracked, variable},
    template,
    words::{Words, wrong},
};

/// A use of the plugin `rate-limit`.
#[derive(Debug, Clone)]
pub struct Tracker {
    pub index: u8,
    /// Whether it counts all that is tracked, and so can limit it.
    pub counts_all: bool,
    table: String,
    /// Inputs; `None`: the variable that the rule before it sets.
    by: Option<Vec<Value>>,
    /// The variable.
    key: String,
    whole_addresses: bool,
    pub at: At,
    counts: Vec<Count>,
    turns_away: Option<TurnsAway>,
    /// The counters whose values later rules ask for, with how often.
    asked: BTreeMap<String, usize>,
    pub notes: BTreeSet<String>,
}

/// What becomes of one too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TurnsAway {
    Status(i64),
    Reset,
    Close,
}

impl TurnsAway {
    fn at(self) -> At {
        match self {
            Self::Status(_) => At::Request,
            Self::Reset | Self::Close => At::Connection,
        }
    }

    /// None if the rule does more, or something else.
    fn of(rule: &Rule) -> Option<Self> {
        let mut body = rule.body.iter();
        match (body.next()?, body.next()) {
            (("deny", Value::Number(status)), None) => Some(Self::Status(*status)),
            (("refuse", Value::Text(how)), None) if how == "reset" => Some(Self::Reset),
            (("refuse", Value::Text(how)), None) if how == "close" => Some(Self::Close),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    Connection,
    Request,
}

#[derive(Debug, Clone)]
struct Count {
    counter: String,
    of: Option<&'static str>,
    most: Option<i64>,
}

/// A rule that denies who has more than `most` of a counter, and does nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    index: u8,
    counter: String,
    most: i64,
    turns_away: TurnsAway,
    /// Whether nothing else looks at the test.
    once: bool,
}

impl Tracker {
    /// Takes a limit over if that means the same as asking afterwards. Whether it did.
    pub fn take(&mut self, limit: &Limit) -> bool {
        let fits = limit.index == self.index && limit.turns_away.at() == self.at;
        let agrees = self
            .turns_away
            .is_none_or(|known| known == limit.turns_away);
        let mut counts = self.counts.iter_mut();
        let count = counts.find(|count| count.counter == limit.counter && count.of.is_none());
        let Some(count) = count.filter(|count| fits && agrees && count.most.is_none()) else {
            return false;
        };
        count.most = Some(limit.most);
        self.turns_away = Some(limit.turns_away);
        if limit.once
            && let Some(asked) = self.asked.get_mut(&limit.counter)
        {
            *asked = asked.saturating_sub(1);
        }
        true
    }

    /// Whether it counts by what a rule before it says.
    pub fn needs_rule(&self) -> bool {
        self.by.is_none()
    }

    /// Has it count by what a rule before it says.
    pub fn follow_rule(&mut self) {
        self.by = None;
    }

    pub fn filter(&self) -> Filter {
        let mut config = Table::of("table", self.table.as_str());
        match &self.by {
            None => config.set("by", vec![Value::from(Table::of("var", self.key.as_str()))]),
            Some(by) if *by == ["client_address".into()] => {
                if self.whole_addresses {
                    config.set("ipv6_prefix", 128_i64);
                }
            }
            Some(by) => config.set("by", by.clone()),
        }
        if self.at == At::Connection {
            config.set("at", "connection");
        }
        let counts = self.counts.iter().map(|count| {
            let mut table = Table::of("counter", count.counter.as_str());
            if let Some(most) = count.most {
                table.set("most", most);
            }
            if let Some(of) = count.of {
                table.set("of", of);
            }
            Value::from(table)
        });
        config.set("limit", counts.collect::<Vec<_>>());
        match self.turns_away {
            Some(TurnsAway::Status(status)) => {
                if status != 429 {
                    config.set("status", status);
                }
                config.set("retry_after", false);
            }
            Some(TurnsAway::Close) => config.set("refuse", "close"),
            Some(TurnsAway::Reset) | None => {}
        }
        let mut vars = Table::new();
        for (counter, _) in self.asked.iter().filter(|(_, asked)| **asked > 0) {
            vars.set(&variable(self.index, counter), counter.as_str());
        }
        if !vars.is_empty() {
            config.set("set_vars", vars);
        }
        Filter {
            plugin: "rate-limit".to_owned(),
            keys: Table::of("counters", vec![Value::from(self.table.as_str())]),
            config,
            ..Filter::default()
        }
    }

    fn is_of_use(&self) -> bool {
        !self.counts.is_empty()
    }
}

impl RuleReader<'_, '_> {
    /// `track-scN KEY [table T] [if …]`.
    pub fn track(
        &mut self,
        line: &Line,
        action: &Word,
        words: &mut Words<'_>,
        condition: Option<&Condition>,
    ) -> Result<Wanted, Refused> {
        let index = number_of(action, "track-sc")?;
        let key = words.need("an expression")?;
        let sample = Sample::parse(&key.text).map_err(|what| wrong(key, what))?;
        facts::check_known(&sample.fetch.name).map_err(|what| wrong(key, what))?;
        let named = match words.take("table") {
            true => Some(words.need("the name of a table")?.text.as_str()),
            false => None,
        };
        words.end()?;
        let tables = &self.translator.maps.tables;
        let table = tables.table(named)?.clone();
        if tables.tracked(index).is_some() {
            return Err(Refused::Absent(format!(
                "`track-sc{index}` stands here twice; which of them holds cannot be said in a filter"
            )));
        }
        let is_tcp = self.draft.mode == Mode::Tcp;
        let early = keyword(line)[0] == "tcp-request" && (is_tcp || keyword(line)[1] != "content");
        let is_client = sample.converters.is_empty() && sample.fetch.name == "src";
        let mut asked = tables.asked(index, is_client, &table.counters);
        if !early {
            asked.remove(CURRENT);
        }
        let mut rule = self.rule(line, condition)?;
        if early {
            rule.hook = Hook::Connection;
        }
        let value = template::sample(&sample, &mut self.translator.maps, &mut rule.used)?;
        let key = format!("sc{index}_key");
        rule.body.set("set_var", Table::of(&key, value.as_str()));
        rule.writes.insert(format!("var:{key}"));
        let by = by(&sample).filter(|_| rule.when.value.is_none());
        let tracked = Tracked {
            table: table.name.clone(),
            template: match &by {
                None => format!("{{var({key})}}"),
                Some(_) => value,
            },
            is_client,
            early,
        };
        let tracker = |at| Tracker {
            index,
            counts_all: true,
            table: table.name.clone(),
            by: by.clone(),
            key: key.clone(),
            whole_addresses: table.whole_addresses,
            at,
            counts: counts(&table.counters, at, early),
            turns_away: None,
            asked: of_moment(&asked, &table.counters, at, early),
            notes: BTreeSet::new(),
        };
        self.of_connection(&rule)?;
        let mut trackers = Vec::new();
        if !is_tcp {
            trackers.push(tracker(At::Request));
        }
        if early {
            trackers.push(tracker(At::Connection));
        }
        self.translator.maps.tables.track(index, tracked);
        // What only rules add to is asked for all the same.
        trackers.retain(|tracker| tracker.is_of_use() || !tracker.asked.is_empty());
        for tracker in &mut trackers {
            finish(tracker);
        }
        Ok(Wanted::Track { rule, trackers })
    }

    /// `sc-inc-gpc0(N) [if …]`.
    pub fn count_up(
        &mut self,
        line: &Line,
        action: &Word,
        words: &Words<'_>,
        condition: Option<&Condition>,
    ) -> Result<Wanted, Refused> {
        words.end()?;
        let (name, inside) = action.text.split_once('(').unwrap_or((&action.text, ""));
        let index: u8 = inside
            .trim_end_matches(')')
            .parse()
            .map_err(|_| wrong(action, format!("write `{name}(0)`")))?;
        let counter = name.trim_start_matches("sc-inc-").to_owned();
        let tables = &self.translator.maps.tables;
        let absent = || format!("nothing in this section tracks sc{index} before");
        let tracked = tables.tracked(index).ok_or_else(absent)?.clone();
        let table = tables.table(Some(&tracked.table))?.clone();
        let both = [counter.clone(), format!("{counter}_rate")];
        let stored: Vec<String> = both
            .into_iter()
            .filter(|name| table.counters.contains(name))
            .collect();
        if stored.is_empty() {
            let why = format!("the table `{}` does not store `{counter}`", table.name);
            return Err(Refused::Absent(why));
        }
        let asked = tables.asked(index, tracked.is_client, &stored);
        let mut rule = self.rule(line, condition)?;
        let key = format!("sc{index}_inc_{counter}");
        rule.body.set("set_var", Table::of(&key, tracked.template));
        rule.writes.insert(format!("var:{key}"));
        let count = |counter: String| Count {
            counter,
            of: None,
            most: None,
        };
        let tracker = Tracker {
            index,
            counts_all: false,
            table: table.name,
            by: None,
            key,
            whole_addresses: false,
            at: At::Request,
            counts: stored.into_iter().map(count).collect(),
            turns_away: None,
            asked,
            notes: BTreeSet::new(),
        };
        Ok(Wanted::Track {
            rule,
            trackers: vec![tracker],
        })
    }

    /// The limit that a rule sets, if it does nothing but turn away who has too much of one counter.
    pub fn limit(&self, rule: &Rule, condition: Option<&Condition>) -> Option<Limit> {
        let turns_away = TurnsAway::of(rule)?;
        let condition = condition.filter(|condition| !condition.unless)?;
        let [all] = condition.any.as_slice() else {
            return None;
        };
        let [term] = all.as_slice() else { return None };
        if term.negated {
            return None;
        }
        let (test, once) = match &term.what {
            What::Anonymous(test) => (test, true),
            What::Named(name) => match self.draft.acls.get(&name.text)?.tests.as_slice() {
                [test] => (test, self.uses_of(&name.text) == 1),
                _ => return None,
            },
        };
        let most = most_of(test)?;
        let variable = self
            .translator
            .maps
            .tables
            .variable(&test.sample.fetch)?
            .ok()?;
        let (index, counter) = variable.strip_prefix("sc")?.split_once('_')?;
        Some(Limit {
            index: index.parse().ok()?,
            counter: counter.to_owned(),
            most,
            turns_away,
            once,
        })
    }

    /// How many rules name an ACL.
    fn uses_of(&self, acl: &str) -> usize {
        let lines = self
            .draft
            .lines
            .iter()
            .filter(|line| keyword(line)[0] != "acl");
        lines
            .flat_map(|line| &line.words)
            .filter(|word| word.text.trim_start_matches('!') == acl)
            .count()
    }
}

/// A tracker that no counter belongs to is only asked.
fn finish(tracker: &mut Tracker) {
    if tracker.counts.is_empty() {
        let asked = tracker.asked.keys().cloned();
        tracker.counts = asked
            .map(|counter| Count {
                counter,
                of: Some("none"),
                most: None,
            })
            .collect();
        tracker.notes.insert(
            "a key expires when nothing was counted for it, not when it was last seen".to_owned(),
        );
    }
    let early_errors = tracker
        .counts
        .iter()
        .any(|count| matches!(count.of, Some("4xx")));
    if early_errors {
        tracker
            .notes
            .insert("answers that a rule gives are not counted as errors".to_owned());
    }
}

/// What is counted of connections alone, and what of requests.
fn counts(stored: &[String], at: At, early: bool) -> Vec<Count> {
    let count = |counter: &String| {
        let of = match counter.split('_').next() {
            Some("conn") if counter == CURRENT => match (at, early) {
                (At::Connection, true) => None,
                _ => return None,
            },
            Some("conn") => match (at, early) {
                (At::Connection, true) | (At::Request, false) => None,
                _ => return None,
            },
            Some("sess") => match (at, early) {
                (At::Connection, true) => None,
                _ => return None,
            },
            Some("http") => match (at, counter.as_str()) {
                (At::Connection, _) => return None,
                (_, "http_req_cnt" | "http_req_rate") => None,
                (_, "http_err_cnt" | "http_err_rate") => Some("4xx"),
                (_, _) => Some("5xx"),
            },
            _ => return None,
        };
        Some(Count {
            counter: counter.clone(),
            of,
            most: None,
        })
    };
    stored.iter().filter_map(count).collect()
}

/// Those of the counters asked for that are known best at this moment.
fn of_moment(
    asked: &BTreeMap<String, usize>,
    stored: &[String],
    at: At,
    early: bool,
) -> BTreeMap<String, usize> {
    let at_connection: Vec<String> = counts(stored, At::Connection, early)
        .into_iter()
        .map(|count| count.counter)
        .collect();
    let mut asked = asked.clone();
    asked.retain(|counter, _| (at == At::Connection) == at_connection.contains(counter));
    asked
}

/// `gt 20`, `ge 21`: the most that is let through.
fn most_of(test: &Test) -> Option<i64> {
    let is_number = test
        .matching
        .unwrap_or_else(|| default_matching(&test.sample.fetch.name))
        == crate::file::Matching::Integer;
    if !is_number || !test.sample.converters.is_empty() || !test.files.is_empty() {
        return None;
    }
    match test.patterns.as_slice() {
        [operator, number] if operator == "gt" => number.parse().ok(),
        [operator, number] if operator == "ge" => number.parse::<i64>().ok()?.checked_sub(1),
        _ => None,
    }
    .filter(|most| *most >= 0)
}

/// The inputs that a plain expression stands for.
fn by(sample: &Sample) -> Option<Vec<Value>> {
    if !sample.converters.is_empty() {
        return None;
    }
    input(sample).map(|input| vec![input])
}

/// The input that a plain fact is.
pub fn input(sample: &Sample) -> Option<Value> {
    let fetch = &sample.fetch;
    let named = |kind: &str| {
        let name = fetch.argument(0)?;
        (fetch.arguments.len() == 1).then(|| Table::of(kind, name).into())
    };
    match fetch.name.as_str() {
        _ if !sample.converters.is_empty() => None,
        "src" => Some("client_address".into()),
        "dst" => Some("listener_address".into()),
        "dst_port" => Some("listener_port".into()),
        "path" => Some("raw_path".into()),
        "method" => Some("method".into()),
        "ssl_fc_sni" | "req.ssl_sni" | "req_ssl_sni" => Some("tls_sni".into()),
        "hdr" | "req.hdr" | "fhdr" | "req.fhdr" => named("header"),
        "cook" | "req.cook" | "req.cookie" => named("cookie"),
        "urlp" | "url_param" => named("query_param"),
        _ => None,
    }
}

fn number_of(action: &Word, start: &str) -> Result<u8, Refused> {
    let digits = action.text.strip_prefix(start).unwrap_or_default();
    let number = digits.parse().ok().filter(|number| *number < 100);
    Ok(number.ok_or_else(|| wrong(action, format!("unknown action `{}`", action.text)))?)
}
