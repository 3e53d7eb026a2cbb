//! The folder where compiled code is kept between runs.
//!
//! What lies there is run as it is, so the folder must be this user's alone.

use std::{
    env, fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use wasmtime::{Cache, CacheConfig};

use super::{component::Digest, error::RuntimeError};

/// `weir` in the user's cache folder; `None` if the environment doesn't say where that is.
pub fn user_code_cache() -> Option<PathBuf> {
    let absolute = |name| {
        let path = PathBuf::from(env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(caches.join("weir"))
}

/// The folder, opened.
pub(super) struct CodeCache {
    cache: Cache,
    /// What wasmtime fills and empties.
    code: PathBuf,
    /// For each of its files one of the same name with the digest of what was written.
    sums: PathBuf,
}

impl CodeCache {
    /// Opens the folder, making it if need be. Keys are digests of the component and of all that the
    /// compiler was told, so a stale entry is never used; one that is not as it was written, since the
    /// disk failed or a crash came first, is removed.
    pub fn open(folder: &Path) -> Result<Self, RuntimeError> {
        let error = |message: String| RuntimeError::Cache {
            folder: folder.to_owned(),
            message,
        };
        let folder_is_ours = prepare(folder).map_err(|source| error(source.to_string()))?;
        if !folder_is_ours {
            return Err(error(
                "others may write to it, and what lies there is run unchecked; \
                 give it to the user that Weir runs as and take group's and others' right to write"
                    .to_owned(),
            ));
        }
        let folder = folder
            .canonicalize()
            .map_err(|source| error(source.to_string()))?;
        let (code, sums) = (folder.join("code"), folder.join("sums"));
        for folder in [&code, &sums] {
            prepare(folder).map_err(|source| error(source.to_string()))?;
        }
        remove_damaged(&code, &sums).map_err(|source| error(source.to_string()))?;
        let mut config = CacheConfig::new();
        config.with_directory(&code);
        // Files that are used often would be compressed once more, and then not be as they were written.
        config.with_optimized_compression_usage_counter_threshold(u64::MAX);
        let cache = Cache::new(config).map_err(|source| error(format!("{source:#}")))?;
        Ok(Self { cache, code, sums })
    }

    pub fn cache(&self) -> Cache {
        self.cache.clone()
    }

    /// Remembers what was written since, so that it is found sound by who opens the folder next. What
    /// can't be remembered is compiled anew then.
    pub fn seal(&self) {
        let sealed = entries(&self.code).and_then(|entries| {
            entries.iter().try_for_each(|entry| {
                let sum = self.sums.join(name_of(entry));
                if sum.exists() {
                    return Ok(());
                }
                let digest = Digest::of(&fs::read(entry)?).to_string();
                let partial = sum.with_extension(format!("{}.part", std::process::id()));
                fs::write(&partial, digest)?;
                fs::rename(&partial, &sum)
            })
        });
        if let Err(error) = sealed {
            tracing::debug!(%error, "compiled code is not kept");
        }
    }
}

fn remove_damaged(code: &Path, sums: &Path) -> io::Result<()> {
    for entry in entries(code)? {
        let sum = sums.join(name_of(&entry));
        let written = fs::read_to_string(&sum);
        let found = fs::read(&entry).map(|bytes| Digest::of(&bytes).to_string());
        if let (Ok(written), Ok(found)) = (&written, &found)
            && written == found
        {
            continue;
        }
        if written.is_ok() {
            tracing::warn!(file = %entry.display(), "compiled code is damaged; it is made anew");
        }
        // Another process may be faster.
        let _ = (fs::remove_file(&entry), fs::remove_file(&sum));
    }
    Ok(())
}

/// The files with code: those without an ending, below a folder for each version of the compiler.
fn entries(code: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = vec![code.to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_none() && !name_of(&path).starts_with('.') {
                found.push(path);
            }
        }
    }
    Ok(found)
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn prepare(folder: &Path) -> io::Result<bool> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let metadata = fs::metadata(folder)?;
    let own = metadata.uid() == rustix::process::geteuid().as_raw();
    Ok(own && metadata.mode() & 0o022 == 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_new_folder_belongs_to_nobody_else() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/b");
        CodeCache::open(&folder).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o770)).unwrap();
        let error = match CodeCache::open(folder.path()) {
            Ok(_) => panic!("opened"),
            Err(error) => error.to_string(),
        };
        assert!(error.contains("others may write to it"), "{error}");
    }

    #[test]
    fn what_was_sealed_stays_and_what_is_damaged_or_unfinished_goes() {
        let folder = tempfile::tempdir().unwrap();
        let cache = CodeCache::open(folder.path()).unwrap();
        let version = folder.path().join("code/modules/v");
        fs::create_dir_all(&version).unwrap();
        let [sound, damaged, cut, stranger] =
            ["sound", "damaged", "cut", "stranger"].map(|name| version.join(name));
        for file in [&sound, &damaged, &cut] {
            fs::write(file, "machine code").unwrap();
        }
        cache.seal();
        fs::write(&damaged, "machine c0de").unwrap();
        fs::write(&cut, "machine").unwrap();
        fs::write(&stranger, "machine code").unwrap();

        CodeCache::open(folder.path()).unwrap();
        assert!(sound.exists());
        assert!(!damaged.exists() && !cut.exists() && !stranger.exists());
    }
}
