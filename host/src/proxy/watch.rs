//! Notices that the config, a plugin or a map has changed on disk.
//!
//! Folders are watched, not files: an editor or a deployment replaces a file by renaming another one
//! over it, and a mounted volume swaps a symbolic link. What changed is found by looking at the files.

mod interest;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::{sync::Notify, time::sleep};
use tracing::warn;

use self::interest::Interest;
use crate::{
    config::{Config, PluginSource, PluginUse},
    net::tls_files,
};

/// How long the files must be left alone before a change counts; a copy is written in several steps.
const SETTLE: Duration = Duration::from_millis(100);
/// A file that is written to without end is looked at after this long all the same.
const PATIENCE: u32 = 20;

/// Watches a set of files.
pub struct Watcher {
    notify: RecommendedWatcher,
    stirred: Arc<Notify>,
    /// What stirs it.
    interest: Arc<ArcSwap<Interest>>,
    folders: BTreeSet<PathBuf>,
    seen: BTreeMap<PathBuf, Option<Mark>>,
}

/// Tells one state of a file from another without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    device: u64,
    inode: u64,
    size: u64,
    modified: Option<SystemTime>,
}

impl Watcher {
    pub fn new() -> Result<Self, notify::Error> {
        let stirred = Arc::new(Notify::new());
        let interest = Arc::new(ArcSwap::from_pointee(Interest::default()));
        let (told, covered) = (Arc::clone(&stirred), Arc::clone(&interest));
        let notify = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_err() || event.is_ok_and(|event| covered.load().covers(&event)) {
                told.notify_one();
            }
        })?;
        Ok(Self {
            notify,
            stirred,
            interest,
            folders: BTreeSet::new(),
            seen: BTreeMap::new(),
        })
    }

    /// Watches these files from now on, and no others.
    pub fn follow(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        let files: Vec<PathBuf> = files.into_iter().collect();
        // Before the first look at the files, so that nothing is missed in between.
        self.interest.store(Arc::new(Interest::of(&files)));
        let seen: BTreeMap<_, _> = files
            .into_iter()
            .map(|file| match self.seen.remove(&file) {
                Some(mark) => (file, mark),
                None => {
                    let mark = mark(&file);
                    (file, mark)
                }
            })
            .collect();
        let folders: BTreeSet<_> = seen.keys().flat_map(|file| folders_of(file)).collect();
        for gone in self.folders.difference(&folders) {
            // A folder that no longer exists has no watch to remove.
            let _ = self.notify.unwatch(gone);
        }
        for new in folders.difference(&self.folders) {
            if let Err(error) = self.notify.watch(new, RecursiveMode::NonRecursive) {
                warn!(folder = %new.display(), %error, "changes here will not be noticed");
            }
        }
        self.folders = folders;
        self.seen = seen;
    }

    /// Waits until files have changed and settled; returns which.
    pub async fn changed(&mut self) -> Vec<PathBuf> {
        loop {
            self.stirred.notified().await;
            let mut before = self.look();
            for _ in 0..PATIENCE {
                sleep(SETTLE).await;
                let now = self.look();
                if now == before {
                    break;
                }
                before = now;
            }
            let changed: Vec<_> = before
                .iter()
                .filter(|(file, mark)| self.seen.get(*file) != Some(mark))
                .map(|(file, _)| file.clone())
                .collect();
            self.seen = before;
            if !changed.is_empty() {
                return changed;
            }
        }
    }

    /// How the files are now. Links may lead to others than before, whose events matter from here on: before
    /// they are looked at, so that whatever comes later stirs.
    fn look(&self) -> BTreeMap<PathBuf, Option<Mark>> {
        self.interest
            .store(Arc::new(Interest::of(self.seen.keys())));
        self.seen
            .keys()
            .map(|file| (file.clone(), mark(file)))
            .collect()
    }
}

/// The folder a file is named in, and the one it really is in if that is another.
fn folders_of(file: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let named = file.parent().map(folder);
    let real = fs::canonicalize(file).ok();
    let real = real.and_then(|file| file.parent().map(folder));
    named.into_iter().chain(real)
}

fn folder(parent: &Path) -> PathBuf {
    match parent.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => parent.to_owned(),
    }
}

/// None if there is no such file now.
fn mark(file: &Path) -> Option<Mark> {
    let found: io::Result<fs::Metadata> = fs::metadata(file);
    let found = found.ok()?;
    Some(Mark {
        device: found.dev(),
        inode: found.ino(),
        size: found.size(),
        modified: found.modified().ok(),
    })
}

/// Everything whose change means something.
pub fn watched_files(file: &Path, config: &Config) -> Vec<PathBuf> {
    let plugins = config.plugins().flat_map(PluginUse::with_next);
    let plugins = plugins.filter_map(|used| match &used.source {
        PluginSource::File(path) => Some(path.clone()),
        PluginSource::Bundled(_) | PluginSource::Oci(_) => None,
    });
    let maps = config.maps.iter().map(|map| map.file.clone());
    let binds = config.frontends.iter().flat_map(|frontend| &frontend.bind);
    let of_listeners = binds.filter_map(|bind| bind.tls.as_ref());
    let of_listeners = of_listeners.flat_map(|tls| tls.files());
    let servers = config.backends.iter().flat_map(|backend| &backend.servers);
    let of_servers = servers.filter_map(|server| server.tls.as_ref());
    let of_servers = of_servers.flat_map(|tls| tls.files());
    let certificates = of_listeners.chain(of_servers);
    let certificates = certificates.flat_map(|file| tls_files(&file.path));
    [file.to_owned()]
        .into_iter()
        .chain(plugins)
        .chain(maps)
        .chain(certificates)
        .collect()
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_file_that_is_written_or_replaced_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
        fs::write(&a, "1").unwrap();
        fs::write(&b, "1").unwrap();
        let mut watcher = Watcher::new().unwrap();
        watcher.follow([a.clone(), b.clone()]);

        fs::write(&a, "22").unwrap();
        assert_eq!(
            timeout(LONG, watcher.changed()).await.unwrap(),
            std::slice::from_ref(&a)
        );

        let other = folder.path().join("other");
        fs::write(&other, "3").unwrap();
        fs::rename(&other, &b).unwrap();
        assert_eq!(timeout(LONG, watcher.changed()).await.unwrap(), [b]);
    }

    #[tokio::test]
    async fn a_volume_that_is_swapped_as_a_whole_is_a_change_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let publish = |version: &str| {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("weir.toml"), version).unwrap();
            std::os::unix::fs::symlink(version, at("..data_tmp")).unwrap();
            fs::rename(at("..data_tmp"), at("..data")).unwrap();
        };
        publish("..1");
        std::os::unix::fs::symlink("..data/weir.toml", at("weir.toml")).unwrap();
        let mut watcher = Watcher::new().unwrap();
        watcher.follow([at("weir.toml")]);
        for version in ["..2", "..3"] {
            publish(version);
            let changed = timeout(LONG, watcher.changed()).await;
            assert_eq!(changed.unwrap(), [at("weir.toml")], "{version}");
        }
    }

    #[tokio::test]
    async fn a_file_that_a_link_leads_to_since_the_last_change_is_watched_too() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["old", "new"] {
            fs::write(at(name), name).unwrap();
        }
        std::os::unix::fs::symlink("old", at("link")).unwrap();
        let mut watcher = Watcher::new().unwrap();
        watcher.follow([at("link")]);
        std::os::unix::fs::symlink("new", at("next")).unwrap();
        fs::rename(at("next"), at("link")).unwrap();
        let changed = timeout(LONG, watcher.changed()).await;
        assert_eq!(changed.unwrap(), [at("link")]);
        fs::write(at("new"), "newer").unwrap();
        let changed = timeout(LONG, watcher.changed()).await;
        assert_eq!(changed.unwrap(), [at("link")]);
    }

    #[tokio::test]
    async fn a_file_that_joins_a_watched_folder_is_a_change_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let certificates = folder.path().join("certificates");
        fs::create_dir(&certificates).unwrap();
        fs::write(certificates.join("a.pem"), "a").unwrap();
        let mut watcher = Watcher::new().unwrap();
        watcher.follow(tls_files(&certificates));
        fs::write(certificates.join("b.pem"), "b").unwrap();
        let changed = timeout(LONG, watcher.changed()).await;
        assert_eq!(changed.unwrap(), [certificates]);
    }

    #[tokio::test]
    async fn a_link_that_points_elsewhere_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        for name in ["old", "new"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        std::os::unix::fs::symlink("old", &link).unwrap();
        let mut watcher = Watcher::new().unwrap();
        watcher.follow([link.clone()]);

        let next = folder.path().join("next");
        std::os::unix::fs::symlink("new", &next).unwrap();
        fs::rename(&next, &link).unwrap();
        assert_eq!(timeout(LONG, watcher.changed()).await.unwrap(), [link]);
    }
}
