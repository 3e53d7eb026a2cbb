//! Maps: files of key and value that plugins look things up in.
//!
//! A map is read whole and swapped whole, so a lookup sees one version of the file, and a changed file
//! shows in the next lookup of every instance without any of them being rebuilt. Watching the files is
//! not done here.

mod contents;
mod edit;
mod parse;

use std::{
    fmt,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;

use super::regular;
use crate::config::{MapFile, MapMatch};

use contents::Contents;
pub use edit::{BadEntry, Edited};
pub use parse::{BadLine, LineFault, parse};

/// A map file may have at most this many bytes.
pub const FILE_LIMIT: u64 = 64 * 1024 * 1024;

/// A key and its value. Cheap to clone.
pub type Entry = (Arc<str>, Arc<str>);

/// All maps of a configuration, by name.
#[derive(Debug, Default)]
pub struct MapStore {
    maps: Vec<Arc<Map>>,
}

/// One map; what it holds can change at any time.
pub struct Map {
    name: String,
    file: PathBuf,
    matching: MapMatch,
    current: ArcSwap<Snapshot>,
}

struct Snapshot {
    contents: Contents,
    /// What the file had when it was last read; something else than the contents once these were edited.
    loaded: Arc<[Entry]>,
    version: u64,
}

impl Snapshot {
    fn of_file(contents: Contents) -> Self {
        Self {
            loaded: Arc::clone(contents.entries()),
            contents,
            version: next_version(),
        }
    }
}

/// Whether reading a map's file again made a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    Changed,
    /// And what was edited while the proxy ran is gone.
    ChangedOverEdits,
    Same,
}

/// A map that can't be used, and why. What it held before stays.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    #[error("no map named `{name}`")]
    Unknown { name: String },

    #[error("map `{name}`: {} can't be read", file.display())]
    Unreadable {
        name: String,
        file: PathBuf,
        source: io::Error,
    },

    #[error("map `{name}`: {} is larger than {FILE_LIMIT} bytes", file.display())]
    TooLarge { name: String, file: PathBuf },

    /// One text line per bad line of the file: `FILE:LINE: what is wrong`.
    #[error("map `{name}`: {}", lines(file, bad))]
    Bad {
        name: String,
        file: PathBuf,
        bad: Vec<BadLine>,
    },
}

fn lines(file: &Path, bad: &[BadLine]) -> String {
    let lines: Vec<String> = bad
        .iter()
        .map(|bad| format!("{}:{}: {}", file.display(), bad.line, bad.fault))
        .collect();
    lines.join("\n")
}

impl MapStore {
    /// Reads all files. All errors are reported, and one is enough for there to be no store.
    pub fn load(files: &[MapFile]) -> Result<Self, Vec<MapError>> {
        Self::load_after(files, None)
    }

    /// Like [`load`](Self::load). A map of `former` whose file has not changed since goes on, with what was
    /// edited in it.
    pub fn load_after(files: &[MapFile], former: Option<&Self>) -> Result<Self, Vec<MapError>> {
        let mut maps = Vec::with_capacity(files.len());
        let mut errors = Vec::new();
        for file in files {
            match Map::load(file) {
                Ok(map) => {
                    let known = former.and_then(|former| former.get(&file.name));
                    let known = known.filter(|known| known.is_of_the_same_file(&map));
                    maps.push(known.map_or_else(|| Arc::new(map), Arc::clone));
                }
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            Ok(Self { maps })
        } else {
            Err(errors)
        }
    }

    pub fn get(&self, name: &str) -> Option<&Arc<Map>> {
        self.maps.iter().find(|map| map.name == name)
    }

    /// In the order of the configuration.
    pub fn all(&self) -> &[Arc<Map>] {
        &self.maps
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.maps.iter().map(|map| map.name.as_str())
    }

    /// Reads a map's file again. If it can't be read or has a bad line, what the map holds stays.
    pub fn reload(&self, name: &str) -> Result<Reload, MapError> {
        let map = self.get(name).ok_or_else(|| MapError::Unknown {
            name: name.to_owned(),
        })?;
        map.reload()
    }
}

/// Versions are unique over all maps, so that one never comes back when a configuration is loaded anew.
/// 0 stands for a map that isn't there.
fn next_version() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

impl Map {
    fn load(file: &MapFile) -> Result<Self, MapError> {
        let contents = read(&file.name, &file.file, file.matching)?;
        Ok(Self {
            name: file.name.clone(),
            file: file.file.clone(),
            matching: file.matching,
            current: ArcSwap::from_pointee(Snapshot::of_file(contents)),
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The value of the exact key, of the longest key that `key` begins with, or of the smallest
    /// network that holds `key`, depending on how the map matches.
    pub fn lookup(&self, key: &str) -> Option<Arc<str>> {
        self.current.load().contents.lookup(key).cloned()
    }

    /// Changes whenever the contents do, and is never 0.
    pub fn version(&self) -> u64 {
        self.current.load().version
    }

    /// All pairs in the order of the file.
    pub fn entries(&self) -> Arc<[Entry]> {
        Arc::clone(self.current.load().contents.entries())
    }

    fn reload(&self) -> Result<Reload, MapError> {
        let contents = read(&self.name, &self.file, self.matching)?;
        if *contents.entries() == self.current.load().loaded {
            return Ok(Reload::Same);
        }
        let edited = self.is_edited();
        self.current.store(Arc::new(Snapshot::of_file(contents)));
        Ok(match edited {
            true => Reload::ChangedOverEdits,
            false => Reload::Changed,
        })
    }

    /// Whether `other`, which was just read, is this map with its file as this one knows it.
    fn is_of_the_same_file(&self, other: &Self) -> bool {
        self.file == other.file
            && self.matching == other.matching
            && self.current.load().loaded == other.current.load().loaded
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map")
            .field("name", &self.name)
            .field("file", &self.file)
            .field("matching", &self.matching)
            .field("version", &self.version())
            .finish_non_exhaustive()
    }
}

fn read(name: &str, file: &Path, matching: MapMatch) -> Result<Contents, MapError> {
    let unreadable = |source| MapError::Unreadable {
        name: name.to_owned(),
        file: file.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    regular::open(file)
        .and_then(|opened| opened.take(FILE_LIMIT + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() as u64 > FILE_LIMIT {
        return Err(MapError::TooLarge {
            name: name.to_owned(),
            file: file.to_owned(),
        });
    }
    parse::parse_bytes(&bytes)
        .and_then(|lines| Contents::new(lines, matching))
        .map_err(|bad| MapError::Bad {
            name: name.to_owned(),
            file: file.to_owned(),
            bad,
        })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn write(text: &str, matching: MapMatch) -> (tempfile::TempDir, MapFile) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tiers.map");
        fs::write(&file, text).unwrap();
        let map = MapFile {
            name: "tiers".to_owned(),
            file,
            matching,
        };
        (folder, map)
    }

    #[test]
    fn a_changed_file_shows_in_the_next_lookup() {
        let (_folder, file) = write("vip deluxe\n", MapMatch::Exact);
        let store = MapStore::load(std::slice::from_ref(&file)).unwrap();
        let map = Arc::clone(store.get("tiers").unwrap());
        let version = map.version();

        fs::write(&file.file, "vip standard\n").unwrap();
        assert_eq!(map.lookup("vip").as_deref(), Some("deluxe"), "not yet read");
        assert_eq!(store.reload("tiers").unwrap(), Reload::Changed);

        assert_eq!(map.lookup("vip").as_deref(), Some("standard"));
        assert_ne!(map.version(), version);
    }

    #[test]
    fn reading_the_same_contents_again_changes_nothing() {
        let (_folder, file) = write("vip deluxe\n", MapMatch::Exact);
        let store = MapStore::load(std::slice::from_ref(&file)).unwrap();
        let version = store.get("tiers").unwrap().version();

        fs::write(&file.file, "# only a remark\nvip   deluxe\n").unwrap();

        assert_eq!(store.reload("tiers").unwrap(), Reload::Same);
        assert_eq!(store.get("tiers").unwrap().version(), version);
    }

    #[test]
    fn a_file_gone_bad_keeps_what_was_there_and_names_the_line() {
        let (_folder, file) = write("10.0.0.0/8 lan\n", MapMatch::Cidr);
        let store = MapStore::load(std::slice::from_ref(&file)).unwrap();

        fs::write(&file.file, "10.0.0.0/8 lan\n\n10.0.0.0/99 typo\n").unwrap();
        let error = store.reload("tiers").unwrap_err().to_string();

        assert!(error.contains("tiers.map:3: `10.0.0.0/99`"), "{error}");
        let map = store.get("tiers").unwrap();
        assert_eq!(map.lookup("10.1.2.3").as_deref(), Some("lan"));
    }

    #[test]
    fn a_file_that_went_away_keeps_what_was_there() {
        let (folder, file) = write("vip deluxe\n", MapMatch::Exact);
        let store = MapStore::load(&[file]).unwrap();
        drop(folder);

        assert!(matches!(
            store.reload("tiers"),
            Err(MapError::Unreadable { .. })
        ));
        assert!(store.get("tiers").unwrap().lookup("vip").is_some());
    }

    #[test]
    fn all_maps_that_cannot_be_read_are_named_at_once() {
        let missing = |name: &str| MapFile {
            name: name.to_owned(),
            file: PathBuf::from("/nonexistent/map"),
            matching: MapMatch::Exact,
        };
        let errors = MapStore::load(&[missing("a"), missing("b")]).unwrap_err();
        assert_eq!(errors.len(), 2);
    }

    #[test]
    fn an_unknown_map_cannot_be_reloaded() {
        let error = MapStore::default().reload("tiers").unwrap_err();
        assert_eq!(error.to_string(), "no map named `tiers`");
    }
}
