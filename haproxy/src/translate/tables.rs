//! Stick tables: what each declares, and what rules ask of the keys that a proxy tracks.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    file::{Call, File, Kind},
    problem::Problem,
    remark::Fate,
    text::{self, Line, Word},
    weir::{Table, Value},
};

use super::{
    Translator,
    draft::{Draft, keyword},
    facts::Reason,
    words::{Words, wrong},
};

/// All stick tables of a file, and what is tracked in them.
#[derive(Debug, Default)]
pub struct Tables {
    /// By the names of their proxies.
    declared: BTreeMap<String, Declared>,
    /// In the order of the file.
    order: Vec<String>,
    fates: BTreeMap<usize, Fate>,
    /// How often the file asks for a counter of what is tracked.
    asked: BTreeMap<(Whose, String), usize>,
    /// By the number of the tracker, in the proxy that is being translated.
    tracked: BTreeMap<u8, Tracked>,
    proxy: String,
}

#[derive(Debug, Clone)]
pub struct Declared {
    pub name: String,
    /// Counters that Weir has too, by HAProxy's names.
    pub counters: Vec<String>,
    /// Whether clients of IPv6 are known by their whole addresses.
    pub whole_addresses: bool,
    section: Table,
}

/// By whom counters are asked for: `sc0_…`, or `src_…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    Tracker(u8),
    Client,
}

/// What `track-scN` follows.
#[derive(Debug, Clone)]
pub struct Tracked {
    pub table: String,
    /// The key as a template of the plugin `rules`.
    pub template: String,
    pub is_client: bool,
    /// Whether it is followed from the connection on.
    pub early: bool,
}

/// Counters that Weir's tables have as well; those with a period are rates.
const COUNTERS: [&str; 15] = [
    CURRENT,
    "conn_cnt",
    "conn_rate",
    "sess_cnt",
    "sess_rate",
    "http_req_cnt",
    "http_req_rate",
    "http_err_cnt",
    "http_err_rate",
    "http_fail_cnt",
    "http_fail_rate",
    "gpc0",
    "gpc0_rate",
    "gpc1",
    "gpc1_rate",
];

/// Connections that last.
pub const CURRENT: &str = "conn_cur";

/// What HAProxy's tables can hold beside those.
const ABSENT: [&str; 11] = [
    "bytes_in_cnt",
    "bytes_in_rate",
    "bytes_out_cnt",
    "bytes_out_rate",
    "gpt0",
    "gpt",
    "gpc",
    "gpc_rate",
    "server_id",
    "server_key",
    "server_name",
];

impl Tables {
    /// Notes who asks for which counters, over the whole file.
    pub fn scan(&mut self, file: &File) {
        let words = file.sections.iter().flat_map(|section| &section.directives);
        for word in words.flat_map(|line| &line.words) {
            let text = word.text.trim_start_matches('!');
            for part in text.split(['[', ']', ',', ' ']) {
                if let Some((whose, counter)) = asked_for(part) {
                    *self.asked.entry((whose, counter)).or_default() += 1;
                }
            }
        }
    }

    /// Reads the `stick-table` of a proxy.
    ///
    /// # Errors
    /// What HAProxy would not take either.
    pub fn declare(&mut self, draft: &Draft<'_>) -> Result<(), Problem> {
        for line in draft.all("stick-table") {
            let (declared, fate) = read(draft.name(), line)?;
            if self
                .declared
                .insert(draft.name().to_owned(), declared)
                .is_none()
            {
                self.order.push(draft.name().to_owned());
            }
            self.fates.insert(line.number, fate);
        }
        Ok(())
    }

    /// What became of a `stick-table` line.
    pub fn fate(&self, line: &Line) -> Fate {
        let known = self.fates.get(&line.number).cloned();
        known.unwrap_or_else(|| Fate::dropped("it makes no sense"))
    }

    /// The sections `[[counters]]`.
    pub fn sections(&self) -> Vec<Table> {
        let declared = self.order.iter().filter_map(|name| self.declared.get(name));
        declared.map(|table| table.section.clone()).collect()
    }

    /// A proxy begins, in which nothing is tracked yet.
    pub fn begin(&mut self, proxy: &str) {
        proxy.clone_into(&mut self.proxy);
        self.tracked.clear();
    }

    /// The table of that name, or of the proxy itself.
    pub fn table(&self, name: Option<&str>) -> Result<&Declared, Reason> {
        let name = name.unwrap_or(&self.proxy);
        self.declared
            .get(name)
            .ok_or_else(|| format!("`{name}` has no `stick-table`"))
    }

    pub fn track(&mut self, index: u8, tracked: Tracked) {
        self.tracked.insert(index, tracked);
    }

    pub fn tracked(&self, index: u8) -> Option<&Tracked> {
        self.tracked.get(&index)
    }

    /// The counters of a tracker that somebody asks for, with how often.
    pub fn asked(
        &self,
        index: u8,
        is_client: bool,
        counters: &[String],
    ) -> BTreeMap<String, usize> {
        let count = |counter: &String| {
            let of = |whose| self.asked.get(&(whose, counter.clone())).copied();
            let of_client = of(Whose::Client).filter(|_| is_client);
            of(Whose::Tracker(index)).unwrap_or(0) + of_client.unwrap_or(0)
        };
        let counters = counters
            .iter()
            .map(|counter| (counter.clone(), count(counter)));
        counters.filter(|(_, asked)| *asked > 0).collect()
    }

    /// The variable that holds a counter, if the fact is one: `sc_http_req_rate(0)`.
    pub fn variable(&self, fetch: &Call) -> Option<Result<String, Reason>> {
        let (whose, counter) = asked_for(&fetch.to_string())?;
        Some(self.find(whose, &counter, fetch))
    }

    fn find(&self, whose: Whose, counter: &str, fetch: &Call) -> Result<String, Reason> {
        let table = match whose {
            Whose::Tracker(_) if fetch.name.starts_with("sc_") => fetch.argument(1),
            Whose::Tracker(_) | Whose::Client => fetch.argument(0),
        };
        let in_table = |tracked: &Tracked| match (table, whose) {
            (Some(table), _) => tracked.table == table,
            (None, Whose::Tracker(_)) => true,
            (None, Whose::Client) => tracked.table == self.proxy,
        };
        let found = match whose {
            Whose::Tracker(index) => self.tracked.get_key_value(&index),
            Whose::Client => self
                .tracked
                .iter()
                .find(|(_, tracked)| tracked.is_client && in_table(tracked)),
        };
        let found = found.filter(|(_, tracked)| in_table(tracked));
        let (index, tracked) = found.ok_or_else(|| {
            format!(
                "`{}`: nothing in this section tracks that before",
                fetch.name
            )
        })?;
        if counter == CURRENT && !tracked.early {
            let why = "running connections are counted where `tcp-request connection` tracks them";
            return Err(format!("`{}`: {why}", fetch.name));
        }
        let stored = self.declared.get(&tracked.table);
        if !stored.is_some_and(|table| table.counters.iter().any(|known| known == counter)) {
            return Err(format!(
                "the table `{}` does not store `{counter}`",
                tracked.table
            ));
        }
        Ok(variable(*index, counter))
    }
}

impl Translator<'_> {
    /// Whether a backend is there for its `stick-table` alone, as tables that several proxies use often are.
    pub(super) fn is_only_a_table(&self, draft: &Draft<'_>) -> bool {
        let has_no_more = |line: &&Line| keyword(line)[0] == "stick-table";
        let own = draft.own();
        let has_table = !own.is_empty() && own.iter().all(has_no_more);
        let lines = self
            .file
            .sections
            .iter()
            .flat_map(|section| &section.directives);
        let mut goes_there = lines.filter(|line| {
            let [word, name, _] = keyword(line);
            matches!(word, "use_backend" | "default_backend")
                && (name == draft.name() || name.contains('%'))
        });
        draft.section.kind == Kind::Backend && has_table && goes_there.next().is_none()
    }
}

/// The variable that holds a counter of a tracker.
pub fn variable(index: u8, counter: &str) -> String {
    format!("sc{index}_{counter}")
}

/// Whether a fact is a counter, which is a number.
pub fn is_counter(fetch: &str) -> bool {
    asked_for(fetch).is_some() || asked_for(&format!("{fetch}(0)")).is_some()
}

/// `sc0_get_gpc0`, `sc_http_req_rate(0)`, `src_conn_rate(table)`.
fn asked_for(text: &str) -> Option<(Whose, String)> {
    let (name, arguments) = text.split_once('(').unwrap_or((text, ""));
    let number = |text: &str| {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u8>().ok()
    };
    let (whose, counter) = match name.strip_prefix("src_") {
        Some(counter) => (Whose::Client, counter),
        None => {
            let (index, counter) = name.strip_prefix("sc")?.split_once('_')?;
            let index = if index.is_empty() { arguments } else { index };
            (Whose::Tracker(number(index)?), counter)
        }
    };
    let counter = counter.strip_prefix("get_").unwrap_or(counter);
    COUNTERS
        .contains(&counter)
        .then(|| (whose, counter.to_owned()))
}

/// `stick-table type T size N [expire T] [nopurge] [peers P] [store …]`.
fn read(name: &str, line: &Line) -> Result<(Declared, Fate), Problem> {
    let mut words = Words::of(line);
    let mut section = Table::of("name", name);
    let mut stored = Stored::default();
    let mut notes: BTreeSet<String> = BTreeSet::new();
    let (mut kind, mut size) = (None, None);
    let mut expire = None;
    let mut refuse = false;
    while let Some(word) = words.next() {
        match word.text.as_str() {
            "type" => {
                kind = Some(words.need("a type")?.text.clone());
                if words.take("len") {
                    words.number(1, i64::from(u32::MAX))?;
                }
            }
            "size" => size = Some(read_size(words.need("a number of keys")?)?),
            "expire" => expire = Some(words.time()?),
            "nopurge" => refuse = true,
            "peers" => {
                words.need("the name of peers")?;
                notes.insert("it is not shared between proxies".to_owned());
            }
            "write-to" | "srvkey" | "brates-factor" => {
                words.need("a value")?;
            }
            "recv-only" => {}
            "store" => {
                let word = words.need("what is stored")?;
                for item in items(&word.text) {
                    stored.add(item, word)?;
                }
            }
            other => return Err(wrong(word, format!("`{other}` has no meaning here"))),
        }
    }
    let kind = kind.ok_or_else(|| wrong(&line.words[0], "a `stick-table` needs `type`"))?;
    if !["ip", "ipv6", "integer", "string", "binary"].contains(&kind.as_str()) {
        let problem = wrong(&line.words[0], format!("unknown type `{kind}` of keys"));
        return Err(problem.hint("these are ip, ipv6, integer, string and binary"));
    }
    let size = size.ok_or_else(|| wrong(&line.words[0], "a `stick-table` needs `size`"))?;
    section.set("size", size);
    if let Some(expire) = expire {
        section.set("expire", expire.to_string());
    }
    if refuse {
        section.set("when_full", "refuse");
    }
    if !stored.rates.is_empty() {
        section.set("rates", stored.rates);
    }
    if !stored.totals.is_empty() {
        section.set("totals", stored.totals);
    }
    if !stored.held.is_empty() {
        section.set("held", stored.held);
    }
    notes.extend(stored.notes);
    let declared = Declared {
        name: name.to_owned(),
        counters: stored.counters,
        whole_addresses: kind == "ipv6",
        section,
    };
    let notes: Vec<String> = notes.into_iter().collect();
    let fate = match notes.is_empty() {
        true => Fate::Same,
        false => Fate::nearly(notes.join("; ")),
    };
    Ok((declared, fate))
}

/// What a table stores.
#[derive(Default)]
struct Stored {
    rates: Table,
    totals: Vec<Value>,
    held: Vec<Value>,
    /// All of these.
    counters: Vec<String>,
    notes: BTreeSet<String>,
}

impl Stored {
    /// One of what is stored: `gpc0`, `http_req_rate(10s)`.
    fn add(&mut self, item: &str, word: &Word) -> Result<(), Problem> {
        let (name, period) = match item.split_once('(') {
            Some((name, rest)) => (name, Some(rest.trim_end_matches(')'))),
            None => (item, None),
        };
        if ABSENT.contains(&name) {
            // Which server a client has is kept wherever something sticks.
            if !name.starts_with("server_") {
                self.notes.insert(format!("`{name}` is not counted"));
            }
            return Ok(());
        }
        if !COUNTERS.contains(&name) {
            return Err(wrong(
                word,
                format!("`{name}` is nothing that a stick table stores"),
            ));
        }
        if self.counters.iter().any(|known| known == name) {
            return Ok(());
        }
        match (name.ends_with("_rate"), period) {
            (true, Some(period)) => {
                let period = text::duration(period, "ms").map_err(|what| wrong(word, what))?;
                self.rates.set(name, period.to_string());
            }
            (true, None) => {
                return Err(wrong(
                    word,
                    format!("`{name}` needs a period: `{name}(10s)`"),
                ));
            }
            (false, _) if name == CURRENT => self.held.push(Value::from(name)),
            (false, _) => self.totals.push(Value::from(name)),
        }
        self.counters.push(name.to_owned());
        Ok(())
    }
}

/// What commas separate outside of parentheses.
fn items(text: &str) -> Vec<&str> {
    let mut depth = 0;
    let separate = |c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    };
    let items = text.split(separate).map(str::trim);
    items.filter(|item| !item.is_empty()).collect()
}

/// `100k`, in units of 1,024.
fn read_size(word: &Word) -> Result<i64, Problem> {
    const MOST: i64 = 100_000_000;
    let text = word.text.to_ascii_lowercase();
    let (digits, factor) = match text.char_indices().next_back() {
        Some((at, 'k')) => (&text[..at], 1 << 10),
        Some((at, 'm')) => (&text[..at], 1 << 20),
        Some((at, 'g')) => (&text[..at], 1 << 30),
        _ => (text.as_str(), 1),
    };
    let size = digits.parse::<u32>().ok().filter(|size| *size > 0);
    let size = size.ok_or_else(|| wrong(word, format!("`{}` is no number of keys", word.text)))?;
    Ok(i64::from(size).saturating_mul(factor).min(MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_asked_for_in_three_ways() {
        let asked = |text| asked_for(text).map(|(whose, counter)| format!("{whose:?} {counter}"));
        assert_eq!(
            asked("sc0_http_req_rate").unwrap(),
            "Tracker(0) http_req_rate"
        );
        assert_eq!(
            asked("sc_http_req_rate(1,t)").unwrap(),
            "Tracker(1) http_req_rate"
        );
        assert_eq!(asked("sc2_get_gpc0").unwrap(), "Tracker(2) gpc0");
        assert_eq!(asked("src_conn_rate(t)").unwrap(), "Client conn_rate");
        for other in [
            "src",
            "sc0_bytes_in_rate",
            "sc_http_req_rate",
            "src_port",
            "scheme",
            "sc0_inc_gpc0",
        ] {
            assert_eq!(asked(other), None, "{other}");
        }
        assert!(is_counter("sc_http_req_rate") && is_counter("src_get_gpc0"));
        assert!(!is_counter("src_port"));
    }

    #[test]
    fn what_is_stored_is_separated_by_commas() {
        assert_eq!(
            items("gpc0,http_req_rate(10s),conn_cur"),
            ["gpc0", "http_req_rate(10s)", "conn_cur"]
        );
        assert_eq!(items(""), [""; 0]);
    }
}
