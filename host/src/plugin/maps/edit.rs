//! Changing what a map holds while the proxy runs. Only memory changes: the file stays as it is, and what it
//! says next time it changes goes before everything that was edited here.

use std::{fmt, sync::Arc};

use super::{
    BadLine, Entry, FILE_LIMIT, LineFault, Map, Snapshot, contents::Contents, next_version,
    parse::Line,
};
use crate::config::MapMatch;

/// What an edit came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edited {
    /// So many entries were concerned.
    Entries(usize),
    /// None was.
    Nothing,
}

impl Edited {
    fn counted(count: usize) -> Self {
        match count {
            0 => Self::Nothing,
            count => Self::Entries(count),
        }
    }
}

/// An entry that the map cannot hold. Nothing was changed then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadEntry {
    /// In a map of networks.
    NotANetwork(String),
    NoKey,
    Control(char),
    /// The map would become larger than a file may be.
    Full,
}

impl fmt::Display for BadEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotANetwork(key) => LineFault::NotANetwork(key.clone()).fmt(f),
            Self::NoKey => f.write_str("a key has at least one character"),
            Self::Control(found) => write!(f, "control character {found:?}"),
            Self::Full => write!(f, "the map would have more than {FILE_LIMIT} bytes"),
        }
    }
}

impl Map {
    pub fn matching(&self) -> MapMatch {
        self.matching
    }

    /// Whether what it holds is something else than what its file had.
    pub fn is_edited(&self) -> bool {
        let now = self.current.load();
        now.loaded != *now.contents.entries()
    }

    /// The entry that a lookup of `key` ends at.
    pub fn find(&self, key: &str) -> Option<Entry> {
        let now = self.current.load();
        let found = now.contents.lookup(key)?;
        // An entry is the only one with this very value, not only one that reads alike.
        let mut entries = now.contents.entries().iter();
        entries
            .find(|(_, value)| Arc::ptr_eq(value, found))
            .cloned()
    }

    /// Puts `added` behind what is there. Where a key stands twice the first counts, as in a file.
    pub fn add(&self, added: &[(String, String)]) -> Result<Edited, BadEntry> {
        let added: Vec<Entry> = added
            .iter()
            .map(|(key, value)| entry(key, value))
            .collect::<Result<_, _>>()?;
        self.change(|entries| {
            entries.extend(added.iter().cloned());
            added.len()
        })
    }

    /// Gives the entries that `which` chooses another value.
    pub fn set(&self, which: impl Fn(&Entry) -> bool, value: &str) -> Result<Edited, BadEntry> {
        let (_, value) = entry("key", value)?;
        self.change(|entries| {
            let chosen = entries.iter_mut().filter(|entry| which(entry));
            // Each a text of its own: by it a lookup's entry is known.
            chosen.map(|entry| entry.1 = Arc::from(&*value)).count()
        })
    }

    pub fn remove(&self, which: impl Fn(&Entry) -> bool) -> Result<Edited, BadEntry> {
        self.change(|entries| {
            let before = entries.len();
            entries.retain(|entry| !which(entry));
            before - entries.len()
        })
    }

    /// Holds `entries` from now on and nothing else.
    pub fn replace(&self, entries: &[(String, String)]) -> Result<(), BadEntry> {
        let entries: Vec<Entry> = entries
            .iter()
            .map(|(key, value)| entry(key, value))
            .collect::<Result<_, _>>()?;
        self.store(entries)
    }

    /// Holds what its file had when it was last read.
    pub fn revert(&self) -> Result<(), BadEntry> {
        let loaded = self.current.load().loaded.to_vec();
        self.store(loaded)
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Entry>) -> usize) -> Result<Edited, BadEntry> {
        let mut entries = self.current.load().contents.entries().to_vec();
        let count = change(&mut entries);
        if count > 0 {
            self.store(entries)?;
        }
        Ok(Edited::counted(count))
    }

    /// Swaps all of it at once, so that a lookup sees the one or the other.
    fn store(&self, entries: Vec<Entry>) -> Result<(), BadEntry> {
        let size = entries
            .iter()
            .map(|(key, value)| key.len() + value.len() + 2);
        if size.sum::<usize>() as u64 > FILE_LIMIT {
            return Err(BadEntry::Full);
        }
        let lines = (1..).zip(entries);
        let lines = lines.map(|(number, entry)| Line { number, entry });
        let contents = Contents::new(lines.collect(), self.matching).map_err(of_first)?;
        let loaded = Arc::clone(&self.current.load().loaded);
        self.current.store(Arc::new(Snapshot {
            contents,
            loaded,
            version: next_version(),
        }));
        Ok(())
    }
}

/// One is enough to say; the others will be said when it is right.
fn of_first(bad: Vec<BadLine>) -> BadEntry {
    match bad.into_iter().next().map(|bad| bad.fault) {
        Some(LineFault::NotANetwork(key)) => BadEntry::NotANetwork(key),
        Some(LineFault::Control(found)) => BadEntry::Control(found),
        // What is said here is text, and there is something wrong.
        Some(LineFault::NotUtf8) | None => BadEntry::NoKey,
    }
}

fn entry(key: &str, value: &str) -> Result<Entry, BadEntry> {
    if key.is_empty() {
        return Err(BadEntry::NoKey);
    }
    let mut characters = key.chars().chain(value.chars());
    if let Some(found) = characters.find(|c| c.is_control() && *c != '\t') {
        return Err(BadEntry::Control(found));
    }
    Ok((key.into(), value.into()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        config::MapFile,
        plugin::maps::{MapStore, Reload},
    };

    struct Bench {
        _folder: tempfile::TempDir,
        file: MapFile,
        store: MapStore,
    }

    fn bench(text: &str, matching: MapMatch) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let file = MapFile {
            name: "tiers".to_owned(),
            file: folder.path().join("tiers.map"),
            matching,
        };
        fs::write(&file.file, text).unwrap();
        let store = MapStore::load(std::slice::from_ref(&file)).unwrap();
        Bench {
            _folder: folder,
            file,
            store,
        }
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        list.iter().map(owned).collect()
    }

    impl Bench {
        fn map(&self) -> &Arc<Map> {
            self.store.get("tiers").unwrap()
        }

        fn value(&self, key: &str) -> Option<String> {
            self.map().lookup(key).map(|value| value.to_string())
        }
    }

    #[test]
    fn an_edit_shows_in_the_next_lookup_and_not_in_the_file() {
        let bench = bench("vip deluxe\n", MapMatch::Exact);
        let version = bench.map().version();
        let added = bench.map().add(&pairs(&[("guest", "plain")]));
        assert_eq!(added, Ok(Edited::Entries(1)));
        let set = bench.map().set(|entry| &*entry.0 == "vip", "gold");
        assert_eq!(set, Ok(Edited::Entries(1)));
        assert_eq!(bench.value("guest").as_deref(), Some("plain"));
        assert_eq!(bench.value("vip").as_deref(), Some("gold"));
        assert_ne!(bench.map().version(), version);
        assert_eq!(
            fs::read_to_string(&bench.file.file).unwrap(),
            "vip deluxe\n"
        );
        assert_eq!(bench.map().remove(|_| true), Ok(Edited::Entries(2)));
        assert_eq!(bench.map().remove(|_| true), Ok(Edited::Nothing));
        assert_eq!(bench.value("vip"), None);
        bench.map().revert().unwrap();
        assert_eq!(bench.value("vip").as_deref(), Some("deluxe"));
        assert!(!bench.map().is_edited());
    }

    #[test]
    fn edits_stay_until_the_file_says_something_else() {
        let bench = bench("vip deluxe\n", MapMatch::Exact);
        bench.map().set(|_| true, "gold").unwrap();
        assert_eq!(bench.store.reload("tiers").unwrap(), Reload::Same);
        let files = std::slice::from_ref(&bench.file);
        let next = MapStore::load_after(files, Some(&bench.store)).unwrap();
        assert!(Arc::ptr_eq(next.get("tiers").unwrap(), bench.map()));
        fs::write(&bench.file.file, "vip silver\n").unwrap();
        let next = MapStore::load_after(files, Some(&bench.store)).unwrap();
        let value = next.get("tiers").unwrap().lookup("vip");
        assert_eq!(value.as_deref(), Some("silver"));
        assert_eq!(bench.value("vip").as_deref(), Some("gold"), "not yet");
        assert_eq!(
            bench.store.reload("tiers").unwrap(),
            Reload::ChangedOverEdits
        );
        assert_eq!(bench.value("vip").as_deref(), Some("silver"));
    }

    #[test]
    fn an_entry_that_cannot_be_changes_nothing() {
        let bench = bench("10.0.0.0/8 lan\n", MapMatch::Cidr);
        let wrong = pairs(&[("10.1.0.0/16", "office"), ("10.0.0.0/99", "typo")]);
        let error = bench.map().add(&wrong).unwrap_err();
        assert!(error.to_string().contains("10.0.0.0/99"), "{error}");
        assert_eq!(bench.value("10.1.2.3").as_deref(), Some("lan"));
        assert_eq!(bench.map().add(&pairs(&[("", "x")])), Err(BadEntry::NoKey));
        let control = bench.map().set(|_| true, "a\nb");
        assert_eq!(control, Err(BadEntry::Control('\n')));
    }

    #[test]
    fn the_entry_behind_an_answer_is_the_one_that_matched() {
        let bench = bench("10.0.0.0/8 lan\n10.1.0.0/16 lan\n", MapMatch::Cidr);
        let (key, value) = bench.map().find("10.1.2.3").unwrap();
        assert_eq!((&*key, &*value), ("10.1.0.0/16", "lan"));
        bench.map().set(|_| true, "home").unwrap();
        let (key, _) = bench.map().find("10.9.9.9").unwrap();
        assert_eq!(&*key, "10.0.0.0/8");
        assert_eq!(bench.map().find("192.0.2.1"), None);
    }
}
