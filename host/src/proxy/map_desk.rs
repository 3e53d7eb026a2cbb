//! Maps as operators change them: by name or by file, at once or as a whole new version that is prepared aside
//! and takes the place of the old one in a moment.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};

use tracing::info;

use crate::plugin::maps::{BadEntry, Edited, Entry, Map, MapStore};

/// So many versions may be prepared at a time for one file.
const MOST_PREPARED: usize = 16;

/// All maps that are made of one file: one for each way to match. What is changed, is changed in each.
#[derive(Debug, Clone)]
pub struct Sheet {
    /// Its position among all files with maps, from 0.
    pub id: usize,
    pub file: PathBuf,
    pub maps: Vec<Arc<Map>>,
}

/// Which of a sheet's entries are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// All with this key.
    Key(String),
    /// The one with this [reference](reference).
    Reference(usize),
    All,
}

/// What names an entry for as long as it is there.
pub fn reference(entry: &Entry) -> usize {
    // An entry's key is a text of its own, so where it lies tells it from all others.
    Arc::as_ptr(&entry.0).cast::<u8>().addr()
}

impl Which {
    fn is(&self, entry: &Entry) -> bool {
        match self {
            Self::Key(key) => *entry.0 == **key,
            Self::Reference(wanted) => reference(entry) == *wanted,
            Self::All => true,
        }
    }
}

/// Why a version was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoVersion {
    /// Nobody has prepared it yet.
    InTheFuture,
    /// It is gone, or never was.
    OutOfRange,
    /// Too many are prepared.
    TooMany,
}

/// Versions of a file's maps.
#[derive(Debug, Default, Clone)]
struct Versions {
    current: u32,
    next: u32,
    prepared: BTreeMap<u32, Vec<(String, String)>>,
}

/// The versions that are being prepared.
#[derive(Debug, Default)]
pub struct MapDesk(RefCell<HashMap<PathBuf, Versions>>);

/// All files with maps, in the order of the configuration.
pub fn sheets(maps: &MapStore) -> Vec<Sheet> {
    let mut sheets: Vec<Sheet> = Vec::new();
    for map in maps.all() {
        match sheets.iter_mut().find(|sheet| sheet.file == map.file()) {
            Some(sheet) => sheet.maps.push(Arc::clone(map)),
            None => sheets.push(Sheet {
                id: sheets.len(),
                file: map.file().to_owned(),
                maps: vec![Arc::clone(map)],
            }),
        }
    }
    sheets
}

/// The sheet that `name` means: `#ID`, a file's path, or the name of a map, which then is the only one meant.
/// Relative paths start at `base`.
pub fn find(maps: &MapStore, base: &Path, name: &str) -> Option<Sheet> {
    let mut sheets = sheets(maps).into_iter();
    if let Some(id) = name.strip_prefix('#') {
        let id: usize = id.parse().ok()?;
        return sheets.find(|sheet| sheet.id == id);
    }
    let path = base.join(name);
    if let Some(sheet) = sheets.clone().find(|sheet| sheet.file == path) {
        return Some(sheet);
    }
    let map = maps.get(name)?;
    let sheet = sheets.find(|sheet| sheet.file == map.file())?;
    Some(Sheet {
        maps: vec![Arc::clone(map)],
        ..sheet
    })
}

impl Sheet {
    /// All of its maps hold the same.
    pub fn entries(&self) -> Arc<[Entry]> {
        let first = self.maps.first();
        first.map_or_else(|| Arc::from([]), |map| map.entries())
    }

    /// Whether any entry has a value, so that it is more than a list of keys.
    pub fn has_values(&self) -> bool {
        self.entries().iter().any(|(_, value)| !value.is_empty())
    }

    pub fn add(&self, entries: &[(String, String)]) -> Result<Edited, BadEntry> {
        self.edit("entries were added", |map| map.add(entries))
    }

    pub fn set(&self, which: &Which, value: &str) -> Result<Edited, BadEntry> {
        let which = self.known(which);
        self.edit("entries got another value", |map| {
            map.set(|entry| which.is(entry), value)
        })
    }

    pub fn remove(&self, which: &Which) -> Result<Edited, BadEntry> {
        let which = self.known(which);
        self.edit("entries were removed", |map| {
            map.remove(|entry| which.is(entry))
        })
    }

    pub fn replace(&self, entries: &[(String, String)]) -> Result<Edited, BadEntry> {
        self.edit("all entries were replaced", |map| {
            map.replace(entries)?;
            Ok(Edited::Entries(entries.len()))
        })
    }

    /// Holds what the file had when it was last read.
    pub fn revert(&self) -> Result<Edited, BadEntry> {
        self.edit("it holds what its file does", |map| {
            map.revert()?;
            Ok(Edited::Entries(map.entries().len()))
        })
    }

    /// A reference is to an entry of one map; the others have their own with the same key.
    fn known(&self, which: &Which) -> Which {
        let Which::Reference(wanted) = which else {
            return which.clone();
        };
        if self.maps.len() == 1 {
            return which.clone();
        }
        let entries = self.entries();
        let found = entries.iter().find(|entry| reference(entry) == *wanted);
        found.map_or_else(|| which.clone(), |entry| Which::Key(entry.0.to_string()))
    }

    /// The same in all of its maps, or in none of them.
    fn edit(
        &self,
        what: &str,
        edit: impl Fn(&Map) -> Result<Edited, BadEntry>,
    ) -> Result<Edited, BadEntry> {
        let mut done: Vec<(&Map, Arc<[Entry]>)> = Vec::new();
        let mut edited = Edited::Nothing;
        for map in &self.maps {
            let before = map.entries();
            match edit(map) {
                Ok(this) => edited = this,
                Err(bad) => {
                    for (map, entries) in done {
                        let entries: Vec<_> = entries.iter().map(texts).collect();
                        // They were there a moment ago, so they can be again.
                        let _ = map.replace(&entries);
                    }
                    return Err(bad);
                }
            }
            done.push((map, before));
        }
        if edited != Edited::Nothing {
            for map in &self.maps {
                let entries = map.entries().len();
                info!(map = map.name(), entries, "by an administrator, {what}");
            }
        }
        Ok(edited)
    }
}

fn texts(entry: &Entry) -> (String, String) {
    (entry.0.to_string(), entry.1.to_string())
}

impl MapDesk {
    /// Begins a new version of a sheet, which is empty and has no effect yet. Returns its number.
    pub fn prepare(&self, sheet: &Sheet) -> Result<u32, NoVersion> {
        let mut desk = self.0.borrow_mut();
        let versions = desk.entry(sheet.file.clone()).or_default();
        if versions.prepared.len() >= MOST_PREPARED {
            return Err(NoVersion::TooMany);
        }
        versions.next += 1;
        versions.prepared.insert(versions.next, Vec::new());
        Ok(versions.next)
    }

    /// Current and latest version.
    pub fn versions(&self, sheet: &Sheet) -> (u32, u32) {
        let desk = self.0.borrow();
        let versions = desk.get(&sheet.file);
        versions.map_or((0, 0), |versions| (versions.current, versions.next))
    }

    /// Puts entries into a version: the current one, or one that is being prepared.
    pub fn add(
        &self,
        sheet: &Sheet,
        version: u32,
        entries: &[(String, String)],
    ) -> Result<Result<Edited, BadEntry>, NoVersion> {
        if self.is_current(sheet, version) {
            return Ok(sheet.add(entries));
        }
        self.with_prepared(sheet, version, |prepared| {
            prepared.extend_from_slice(entries);
            Ok(Edited::Entries(entries.len()))
        })
    }

    /// What a version holds; nothing if there is none such.
    pub fn entries(&self, sheet: &Sheet, version: u32) -> Vec<(String, String)> {
        if self.is_current(sheet, version) {
            return sheet.entries().iter().map(texts).collect();
        }
        let desk = self.0.borrow();
        let prepared = desk
            .get(&sheet.file)
            .and_then(|versions| versions.prepared.get(&version));
        prepared.cloned().unwrap_or_default()
    }

    /// Empties a version.
    pub fn clear(
        &self,
        sheet: &Sheet,
        version: u32,
    ) -> Result<Result<Edited, BadEntry>, NoVersion> {
        if self.is_current(sheet, version) {
            return Ok(sheet.remove(&Which::All));
        }
        self.with_prepared(sheet, version, |prepared| {
            prepared.clear();
            Ok(Edited::Nothing)
        })
    }

    /// Lets a prepared version be the current one. Those prepared before it are gone. One with an entry that
    /// cannot be stays as it was, and so does the current one.
    pub fn commit(&self, sheet: &Sheet, version: u32) -> Result<Result<(), BadEntry>, NoVersion> {
        let mut desk = self.0.borrow_mut();
        let versions = desk.entry(sheet.file.clone()).or_default();
        let prepared = versions.prepared.get(&version);
        let prepared = prepared.ok_or(NoVersion::OutOfRange)?;
        if let Err(bad) = sheet.replace(prepared) {
            return Ok(Err(bad));
        }
        versions.current = version;
        versions.prepared.retain(|number, _| *number > version);
        Ok(Ok(()))
    }

    fn is_current(&self, sheet: &Sheet, version: u32) -> bool {
        self.versions(sheet).0 == version
    }

    fn with_prepared(
        &self,
        sheet: &Sheet,
        version: u32,
        act: impl FnOnce(&mut Vec<(String, String)>) -> Result<Edited, BadEntry>,
    ) -> Result<Result<Edited, BadEntry>, NoVersion> {
        let mut desk = self.0.borrow_mut();
        let versions = desk.entry(sheet.file.clone()).or_default();
        let next = versions.next;
        match versions.prepared.get_mut(&version) {
            Some(prepared) => Ok(act(prepared)),
            None if version > next => Err(NoVersion::InTheFuture),
            None => Err(NoVersion::OutOfRange),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::{MapFile, MapMatch};

    fn store(folder: &Path, matchings: &[MapMatch]) -> MapStore {
        let file = folder.join("tiers.map");
        fs::write(&file, "10.0.0.1 lan\n").unwrap();
        let map = |(number, matching): (usize, &MapMatch)| MapFile {
            name: format!("tiers{number}"),
            file: file.clone(),
            matching: *matching,
        };
        let files: Vec<_> = matchings.iter().enumerate().map(map).collect();
        MapStore::load(&files).unwrap()
    }

    fn pair(key: &str, value: &str) -> Vec<(String, String)> {
        vec![(key.to_owned(), value.to_owned())]
    }

    #[test]
    fn a_file_is_found_by_path_and_number_and_its_maps_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path(), &[MapMatch::Exact, MapMatch::Cidr]);
        for name in [
            "tiers.map",
            "#0",
            &folder.path().join("tiers.map").to_string_lossy(),
        ] {
            assert_eq!(find(&store, folder.path(), name).unwrap().maps.len(), 2);
        }
        let one = find(&store, folder.path(), "tiers1").unwrap();
        assert_eq!(one.maps.len(), 1);
        for unknown in ["#1", "#x", "others.map", ""] {
            assert!(find(&store, folder.path(), unknown).is_none(), "{unknown}");
        }
    }

    #[test]
    fn what_one_of_a_files_maps_cannot_hold_none_of_them_gets() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path(), &[MapMatch::Exact, MapMatch::Cidr]);
        let sheet = find(&store, folder.path(), "#0").unwrap();
        assert!(sheet.add(&pair("no network", "x")).is_err());
        assert_eq!(sheet.maps[0].entries().len(), 1);
        assert_eq!(sheet.add(&pair("10.0.0.2", "dmz")), Ok(Edited::Entries(1)));
        for map in &sheet.maps {
            assert_eq!(map.lookup("10.0.0.2").as_deref(), Some("dmz"));
        }
        let which = Which::Reference(reference(&sheet.entries()[0]));
        assert_eq!(sheet.remove(&which), Ok(Edited::Entries(1)));
        for map in &sheet.maps {
            assert_eq!(map.lookup("10.0.0.1"), None);
        }
    }

    #[test]
    fn a_prepared_version_shows_when_it_is_committed_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path(), &[MapMatch::Exact]);
        let sheet = find(&store, folder.path(), "#0").unwrap();
        let desk = MapDesk::default();
        let early = desk.add(&sheet, 1, &pair("a", "b"));
        assert_eq!(early, Err(NoVersion::InTheFuture));
        let version = desk.prepare(&sheet).unwrap();
        assert_eq!((version, desk.versions(&sheet)), (1, (0, 1)));
        desk.add(&sheet, version, &pair("new", "x"))
            .unwrap()
            .unwrap();
        assert_eq!(sheet.maps[0].lookup("new"), None);
        desk.commit(&sheet, version).unwrap().unwrap();
        assert_eq!(sheet.maps[0].lookup("new").as_deref(), Some("x"));
        assert_eq!(sheet.maps[0].lookup("10.0.0.1"), None);
        assert_eq!(desk.commit(&sheet, version), Err(NoVersion::OutOfRange));
        assert_eq!(desk.entries(&sheet, version), pair("new", "x"));
    }
}
