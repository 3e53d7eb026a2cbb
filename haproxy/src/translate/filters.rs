//! Rules to filters. Within one filter all rules see the request as it came to the filter, so a rule that
//! must see what an earlier one changed goes into a filter of its own.

use std::collections::BTreeSet;

use crate::{
    file::File,
    remark::Fate,
    text::Line,
    weir::{Commented, Filter, Table, Value},
};

use super::{
    auth::{self, Asking},
    facts::Reason,
    maps::Maps,
    rule::{Hook, Rule},
    track::Tracker,
};

/// What happens to a request, in order.
#[derive(Debug, Default)]
pub struct Steps<'l> {
    steps: Vec<Step<'l>>,
    /// Directives that others say as well.
    taken: Vec<&'l Line>,
}

#[derive(Debug)]
enum Step<'l> {
    Rule {
        rule: Box<Rule>,
        line: Option<&'l Line>,
    },
    Login {
        list: String,
        realm: Option<String>,
        line: &'l Line,
    },
    Track {
        tracker: Box<Tracker>,
        line: &'l Line,
    },
    /// What ends the rules before does not end those after.
    Phase,
}

impl<'l> Steps<'l> {
    pub fn rule(&mut self, rule: Rule, line: Option<&'l Line>) {
        if let (Some(limit), Some(line)) = (&rule.limit, line)
            && rule.comments.is_empty()
            && self.limits().any(|tracker| tracker.take(limit))
        {
            self.taken.push(line);
            return;
        }
        let rule = Box::new(rule);
        self.steps.push(Step::Rule { rule, line });
    }

    /// The filters of the last directive that counts, if nothing happens after it. One before that must not
    /// turn anybody away: what is counted later would not be.
    fn limits(&mut self) -> impl Iterator<Item = &mut Tracker> {
        let mut last = None;
        let steps = self.steps.iter_mut().rev();
        steps
            .map_while(move |step| match step {
                Step::Track { tracker, line } if tracker.counts_all => {
                    let counted = *last.get_or_insert(line.number);
                    (counted == line.number).then_some(Some(tracker.as_mut()))
                }
                Step::Phase => Some(None),
                Step::Track { .. } | Step::Rule { .. } | Step::Login { .. } => None,
            })
            .flatten()
    }

    /// Filters that count. `rule` says in a variable what for; where they count what plain facts say, it is
    /// only there if an earlier rule may skip it.
    pub fn track(&mut self, rule: Rule, mut trackers: Vec<Tracker>, line: &'l Line) {
        if trackers.is_empty() {
            self.taken.push(line);
            return;
        }
        if self.may_skip(&rule) {
            trackers.iter_mut().for_each(Tracker::follow_rule);
        }
        if trackers.iter().any(Tracker::needs_rule) {
            self.steps.push(Step::Rule {
                rule: Box::new(rule),
                line: Some(line),
            });
        }
        for tracker in trackers {
            let tracker = Box::new(tracker);
            self.steps.push(Step::Track { tracker, line });
        }
    }

    /// Whether an earlier rule of the same phase may end those after it.
    fn may_skip(&self, rule: &Rule) -> bool {
        let phase = self.steps.iter().rev();
        let mut phase = phase.take_while(|step| !matches!(step, Step::Phase));
        phase.any(|step| match step {
            Step::Rule { rule: before, .. } => {
                before.hook == rule.hook && before.body.get("stop").is_some()
            }
            Step::Login { .. } | Step::Track { .. } | Step::Phase => false,
        })
    }

    pub fn login(&mut self, list: String, realm: Option<String>, line: &'l Line) {
        self.steps.push(Step::Login { list, realm, line });
    }

    pub fn phase(&mut self) {
        self.steps.push(Step::Phase);
    }

    /// The filters, and what became of the directives.
    pub fn finish(self, file: &File, maps: &Maps) -> (Vec<Filter>, Vec<(&'l Line, Fate)>) {
        let mut builder = Builder {
            file,
            maps,
            filters: Vec::new(),
            open: Group::default(),
            known: BTreeSet::new(),
            cut: false,
            fates: self.taken.iter().map(|line| (*line, Fate::Same)).collect(),
        };
        let mut responses = Vec::new();
        for step in self.steps {
            match step {
                Step::Rule { rule, line } if rule.hook == Hook::Response => {
                    responses.push((*rule, line));
                }
                Step::Rule { rule, line } => builder.rule(*rule, line),
                Step::Login { list, realm, line } => builder.login(&list, realm.as_deref(), line),
                Step::Track { tracker, line } => builder.track(&tracker, line),
                Step::Phase => builder.phase(),
            }
        }
        builder.close();
        builder.responses(responses);
        (builder.filters, builder.fates)
    }
}

/// The rules of one filter.
#[derive(Default)]
struct Group {
    rules: Vec<Rule>,
    writes: BTreeSet<String>,
    /// Whether a rule of it ends the others without deciding anything.
    stops: bool,
}

struct Builder<'f, 'l> {
    file: &'f File,
    maps: &'f Maps,
    filters: Vec<Filter>,
    open: Group,
    /// The user lists whose users have been asked for.
    known: BTreeSet<String>,
    /// Whether an earlier rule of the phase would have to skip rules that are in other filters now.
    cut: bool,
    fates: Vec<(&'l Line, Fate)>,
}

impl<'l> Builder<'_, 'l> {
    fn rule(&mut self, rule: Rule, line: Option<&'l Line>) {
        if let Err(why) = self.ask_for(&rule.used.users) {
            self.fates
                .extend(line.map(|line| (line, Fate::dropped(why))));
            return;
        }
        self.fates.extend(line.map(|line| (line, fate_of(&rule))));
        if !self.open.writes.is_disjoint(&rule.used.reads) {
            self.cut |= self.open.stops;
            self.close();
        }
        if self.cut {
            let note = "the rules that an earlier `allow` skips end here";
            self.fates
                .extend(line.map(|line| (line, Fate::nearly(note))));
        }
        self.open.take(rule);
    }

    /// Makes sure that it is known who has logged in before rules want to know.
    fn ask_for(&mut self, lists: &BTreeSet<String>) -> Result<(), Reason> {
        for list in lists {
            if self.known.insert(list.clone()) {
                let filter = auth::filter(self.file, self.maps, list, None, Asking::Optional)?;
                // Before all others: it changes nothing that they could see.
                self.filters.insert(0, filter);
            }
        }
        Ok(())
    }

    fn login(&mut self, list: &str, realm: Option<&str>, line: &'l Line) {
        match auth::filter(self.file, self.maps, list, realm, Asking::Demanded) {
            Ok(filter) => {
                self.close();
                self.filters.push(filter);
                self.known.insert(list.to_owned());
                self.fates.push((line, Fate::Same));
            }
            Err(why) => self.fates.push((line, Fate::dropped(why))),
        }
    }

    /// A filter that counts stands where its line does.
    fn track(&mut self, tracker: &Tracker, line: &'l Line) {
        let notes: Vec<&str> = tracker.notes.iter().map(String::as_str).collect();
        self.cut |= self.open.stops;
        self.close();
        self.filters.push(tracker.filter());
        let fate = match notes.is_empty() {
            true => Fate::Same,
            false => Fate::nearly(notes.join("; ")),
        };
        self.fates.push((line, fate));
    }

    fn phase(&mut self) {
        self.cut = false;
        if self.open.stops {
            self.close();
        }
    }

    fn close(&mut self) {
        let mut group = std::mem::take(&mut self.open);
        group.drop_idle();
        if !group.rules.is_empty() {
            self.filters.push(group.finish());
        }
    }

    /// Rules about responses go with the last filter that has rules; those that depend on each other into
    /// filters of their own.
    fn responses(&mut self, rules: Vec<(Rule, Option<&'l Line>)>) {
        let mut groups = vec![Group::default()];
        for (rule, line) in rules {
            self.fates.extend(line.map(|line| (line, fate_of(&rule))));
            let last = groups.last().expect("there is one from the start");
            if !last.writes.is_disjoint(&rule.used.reads) {
                groups.push(Group::default());
            }
            groups
                .last_mut()
                .expect("there is one from the start")
                .take(rule);
        }
        groups.retain(|group| !group.rules.is_empty());
        let home = self
            .filters
            .iter_mut()
            .rfind(|filter| filter.plugin == "rules");
        if let (Some(home), 1) = (home, groups.len()) {
            let group = groups.remove(0).finish();
            for (name, value) in group.matchers {
                if !home.matchers.iter().any(|(known, _)| *known == name) {
                    home.matchers.push((name, value));
                }
            }
            grant(home, group.keys.get("maps"));
            home.response_rules = group.response_rules;
            return;
        }
        self.filters.extend(groups.into_iter().map(Group::finish));
    }
}

fn fate_of(rule: &Rule) -> Fate {
    let notes: Vec<&str> = rule.used.notes.iter().map(String::as_str).collect();
    if notes.is_empty() {
        Fate::Same
    } else {
        Fate::nearly(notes.join("; "))
    }
}

/// Adds maps to those that a filter is granted.
fn grant(filter: &mut Filter, maps: Option<&Value>) {
    let Some(Value::List(more)) = maps else {
        return;
    };
    let mut all = match filter.keys.get("maps") {
        Some(Value::List(all)) => all.clone(),
        _ => Vec::new(),
    };
    for map in more {
        if !all.contains(map) {
            all.push(map.clone());
        }
    }
    filter.keys.set("maps", all);
}

impl Group {
    fn take(&mut self, mut rule: Rule) {
        self.stops |= rule.body.get("stop").is_some();
        self.writes.append(&mut rule.writes);
        self.rules.push(rule);
    }

    /// Takes out what ends the rules about connections where none are left.
    fn drop_idle(&mut self) {
        while let Some(last) = self.rules.last()
            && last.hook == Hook::Connection
            && last.body.get("stop").is_some()
        {
            self.rules.pop();
        }
    }

    fn finish(self) -> Filter {
        let mut filter = Filter {
            plugin: "rules".to_owned(),
            ..Filter::default()
        };
        let mut maps = BTreeSet::new();
        for rule in self.rules {
            maps.extend(rule.used.maps.iter().cloned());
            add(&mut filter, rule);
        }
        if !maps.is_empty() {
            let maps: Vec<Value> = maps.into_iter().map(Value::from).collect();
            filter.keys.set("maps", maps);
        }
        filter
    }
}

fn add(filter: &mut Filter, rule: Rule) {
    for (name, value) in rule.when.matchers {
        if !filter.matchers.iter().any(|(known, _)| *known == name) {
            filter.matchers.push((name, value));
        }
    }
    let mut table = Table::new();
    if let Some(when) = rule.when.value {
        table.set("when", when);
    }
    for (key, value) in rule.body.iter() {
        table.set(key, value.clone());
    }
    let rules = match rule.hook {
        Hook::Connection => &mut filter.connection_rules,
        Hook::Request => &mut filter.rules,
        Hook::Response => &mut filter.response_rules,
    };
    if let Some(last) = rules.last_mut().filter(|_| rule.comments.is_empty())
        && merge(&mut last.table, &table)
    {
        return;
    }
    rules.push(Commented {
        comments: rule.comments,
        table,
    });
}

/// Keys that edit fields by name.
const EDITS: [&str; 5] = [
    "set_header",
    "add_header",
    "set_var",
    "set_response_header",
    "replace_header",
];

/// Makes one rule of two with the same condition that edit different fields.
fn merge(into: &mut Table, rule: &Table) -> bool {
    if into.get("when") != rule.get("when") {
        return false;
    }
    let edits = |table: &Table| {
        table
            .iter()
            .all(|(key, _)| key == "when" || EDITS.contains(&key))
    };
    if !edits(into) || !edits(rule) {
        return false;
    }
    let names = |table: &Table| -> Vec<String> {
        let inner = table.iter().filter_map(|(_, value)| match value {
            Value::Table(inner) => Some(inner),
            _ => None,
        });
        inner
            .flat_map(|inner| inner.iter().map(|(name, _)| name.to_ascii_lowercase()))
            .collect()
    };
    let ours = match into.get("when") {
        // A condition in place would be counted among the names.
        Some(Value::Table(_)) => {
            let mut bare = into.clone();
            bare.remove("when");
            names(&bare)
        }
        _ => names(into),
    };
    let mut theirs = rule.clone();
    theirs.remove("when");
    if names(&theirs).iter().any(|name| ours.contains(name)) {
        return false;
    }
    for (key, value) in theirs.iter() {
        match (into.get_mut(key), value) {
            (Some(Value::Table(table)), Value::Table(more)) => {
                more.iter()
                    .for_each(|(name, value)| table.set(name, value.clone()));
            }
            _ => into.set(key, value.clone()),
        }
    }
    true
}
