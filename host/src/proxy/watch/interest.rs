//! Which events of a watched folder may be about a watched file: a log that is written beside weir.toml should
//! not have all files looked at ten times a second. What is uncertain counts as an event that matters.

use std::{
    collections::{BTreeSet, HashSet},
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use notify::Event;

/// Names whose events matter, in whatever folder, and folders in which all do.
#[derive(Debug, Default)]
pub(super) struct Interest {
    names: HashSet<OsString>,
    folders: HashSet<PathBuf>,
}

impl Interest {
    /// In these files as they are now. A symbolic link on the way to one matters as much as the file, for
    /// Kubernetes replaces a whole volume by swapping one; so this has to be asked for again when something
    /// has changed.
    pub fn of<'f>(files: impl IntoIterator<Item = &'f PathBuf>) -> Self {
        let mut interest = Self::default();
        let mut known = BTreeSet::new();
        for file in files {
            interest.add_way_to(file, &mut known);
            if file.is_dir() {
                interest.folders.extend(fs::canonicalize(file));
                interest.folders.insert(file.clone());
            }
        }
        interest
    }

    /// All names on the way to `file`, links followed. No path is looked at twice, which ends circles of links.
    fn add_way_to(&mut self, file: &Path, known: &mut BTreeSet<PathBuf>) {
        for step in file.ancestors() {
            if !known.insert(step.to_owned()) {
                break;
            }
            self.names.extend(step.file_name().map(OsString::from));
            if let Ok(target) = fs::read_link(step) {
                let target = step.parent().map(|folder| folder.join(&target));
                if let Some(target) = target {
                    self.add_way_to(&target, known);
                }
            }
        }
    }

    /// Whether a watched file may be another one after the event.
    pub fn covers(&self, event: &Event) -> bool {
        // Reading a file stirs it, too, and would have us look for ever.
        if event.kind.is_access() {
            return false;
        }
        // Some were lost, or it is not said which files it is about.
        if event.need_rescan() || event.paths.is_empty() {
            return true;
        }
        event.paths.iter().any(|path| {
            let named = path
                .file_name()
                .is_none_or(|name| self.names.contains(name));
            named
                || path
                    .parent()
                    .is_some_and(|folder| self.folders.contains(folder))
        })
    }
}

#[cfg(test)]
mod tests {
    use notify::{
        EventKind,
        event::{CreateKind, Flag},
    };

    use super::*;

    fn created(path: impl Into<PathBuf>) -> Event {
        Event::new(EventKind::Create(CreateKind::File)).add_path(path.into())
    }

    #[test]
    fn a_neighbour_of_a_watched_file_does_not_matter() {
        let interest = Interest::of(&[PathBuf::from("/etc/weir/weir.toml")]);
        assert!(interest.covers(&created("/etc/weir/weir.toml")));
        assert!(interest.covers(&created("/etc/weir")), "the folder itself");
        assert!(!interest.covers(&created("/etc/weir/access.log")));
        let renamed = created("/etc/weir/new").add_path("/etc/weir/weir.toml".into());
        assert!(interest.covers(&renamed));
    }

    #[test]
    fn events_that_were_lost_matter() {
        let interest = Interest::of(&[PathBuf::from("/etc/weir/weir.toml")]);
        let lost = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert!(interest.covers(&lost));
        assert!(interest.covers(&Event::new(EventKind::Any)));
    }

    #[test]
    fn in_a_watched_folder_every_name_matters() {
        let folder = tempfile::tempdir().unwrap();
        let interest = Interest::of(&[folder.path().to_owned()]);
        assert!(interest.covers(&created(folder.path().join("new.pem"))));
        assert!(!interest.covers(&created(folder.path().with_extension("log"))));
    }

    #[test]
    fn every_link_on_the_way_matters_and_circles_end() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("..2026")).unwrap();
        fs::write(at("..2026/weir.toml"), "").unwrap();
        symlink("..2026", at("..data")).unwrap();
        symlink("..data/weir.toml", at("weir.toml")).unwrap();
        symlink("two", at("one")).unwrap();
        symlink("one", at("two")).unwrap();
        let interest = Interest::of(&[at("weir.toml"), at("one")]);
        for name in ["weir.toml", "..data", "..2026", "one", "two"] {
            assert!(interest.covers(&created(at(name))), "{name}");
        }
        assert!(!interest.covers(&created(at("..data_tmp"))));
    }
}
