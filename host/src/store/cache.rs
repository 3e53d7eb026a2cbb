//! The folder in which fetched components are kept.
//!
//! ```text
//! blobs/sha256-<hex>                        manifests and components, by digest
//! signatures/sha256-<hex>.json              of the manifest
//! tags/<registry>/<repository>/_<tag>       the manifest that the tag named
//! ```
//!
//! A file appears whole or not at all: it is written under another name first.

use std::{
    env, fs,
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{StoreError, digest, signature::Signature};
use crate::config::OciReference;

/// `weir-components` in the user's cache folder; `None` if the environment doesn't say where that is.
pub fn user_folder() -> Option<PathBuf> {
    let absolute = |name| {
        let path = PathBuf::from(env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(caches.join("weir-components"))
}

#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
}

/// What is kept under a digest.
pub(super) enum Kept {
    Sound(Vec<u8>),
    Altered { file: PathBuf, found: String },
    Nothing,
}

impl Cache {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub fn read(&self, wanted: &str) -> Result<Kept, StoreError> {
        let file = self.blob(wanted);
        let Some(bytes) = read(&file)? else {
            return Ok(Kept::Nothing);
        };
        let found = digest(&bytes);
        Ok(match found == wanted {
            true => Kept::Sound(bytes),
            false => Kept::Altered { file, found },
        })
    }

    pub fn write(&self, digest: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.put(&self.blob(digest), bytes)
    }

    /// The manifest that a tag named when it was last asked for.
    pub fn tag(&self, reference: &OciReference) -> Option<String> {
        let text = fs::read_to_string(self.tag_file(reference)?).ok()?;
        Some(text.trim().to_owned())
    }

    pub fn set_tag(&self, reference: &OciReference, manifest: &str) -> Result<(), StoreError> {
        match self.tag_file(reference) {
            Some(file) => self.put(&file, manifest.as_bytes()),
            None => Ok(()),
        }
    }

    pub fn signatures(&self, manifest: &str) -> Option<Vec<Signature>> {
        let text = fs::read_to_string(self.signature_file(manifest)).ok()?;
        serde_json::from_str(&text).ok()
    }

    pub fn set_signatures(
        &self,
        manifest: &str,
        signatures: &[Signature],
    ) -> Result<(), StoreError> {
        let text = serde_json::to_vec(signatures).expect("texts make JSON");
        self.put(&self.signature_file(manifest), &text)
    }

    fn blob(&self, digest: &str) -> PathBuf {
        self.folder.join("blobs").join(digest.replace(':', "-"))
    }

    fn signature_file(&self, manifest: &str) -> PathBuf {
        let name = format!("{}.json", manifest.replace(':', "-"));
        self.folder.join("signatures").join(name)
    }

    fn tag_file(&self, reference: &OciReference) -> Option<PathBuf> {
        let tags = self.folder.join("tags").join(&reference.registry);
        // No part of a repository begins with `_`, so a tag is never taken for one.
        let tag = format!("_{}", reference.tag.as_ref()?);
        Some(tags.join(&reference.repository).join(tag))
    }

    fn put(&self, file: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        put(file, bytes).map_err(|source| StoreError::File {
            file: file.to_owned(),
            source,
        })
    }
}

fn read(file: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(file) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StoreError::File {
            file: file.to_owned(),
            source,
        }),
    }
}

fn put(file: &Path, bytes: &[u8]) -> io::Result<()> {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let folder = file.parent().expect("a kept file lies in a folder");
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    // Several proxies may share the folder.
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let fresh = folder.join(format!(".{}-{number}.new", process::id()));
    let written = fs::File::create(&fresh).and_then(|mut fresh| {
        fresh.write_all(bytes)?;
        fresh.sync_all()
    });
    match written.and_then(|()| fs::rename(&fresh, file)) {
        Ok(()) => Ok(()),
        Err(error) => {
            let _ = fs::remove_file(&fresh);
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_unless_it_was_altered() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().join("not/there/yet"));
        let name = digest(b"component");
        assert!(matches!(cache.read(&name).unwrap(), Kept::Nothing));
        cache.write(&name, b"component").unwrap();
        assert!(matches!(cache.read(&name).unwrap(), Kept::Sound(bytes) if bytes == b"component"));
        fs::write(cache.blob(&name), b"compXnent").unwrap();
        let Kept::Altered { found, .. } = cache.read(&name).unwrap() else {
            panic!("it was altered");
        };
        assert_eq!(found, digest(b"compXnent"));
    }

    #[test]
    fn a_tag_is_kept_for_its_own_repository() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().to_owned());
        let reference = |text: &str| text.parse::<OciReference>().unwrap();
        cache
            .set_tag(&reference("oci://h:1/a/b:1"), "sha256:x")
            .unwrap();
        assert_eq!(
            cache.tag(&reference("oci://h:1/a/b:1")).as_deref(),
            Some("sha256:x")
        );
        for other in ["oci://h:1/a/b:2", "oci://h:1/a:1", "oci://h:2/a/b:1"] {
            assert_eq!(cache.tag(&reference(other)), None, "{other}");
        }
        let left = fs::read_dir(folder.path().join("tags/h:1/a/b")).unwrap();
        assert_eq!(left.count(), 1, "nothing half-written stays");
    }
}
