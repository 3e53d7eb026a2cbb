//! The folder where compiled code is kept between runs.
//!
//! What lies there is run as it is, so the folder must be this user's alone.

use std::{
    env, fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use wasmtime::{Cache, CacheConfig};

use super::error::RuntimeError;

/// `weir` in the user's cache folder; `None` if the environment doesn't say where that is.
pub fn user_code_cache() -> Option<PathBuf> {
    let absolute = |name| {
        let path = PathBuf::from(env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(caches.join("weir"))
}

/// Opens the folder, making it if need be. Keys are digests of the component and of all that the
/// compiler was told, so a stale entry is never used.
pub(super) fn open(folder: &Path) -> Result<Cache, RuntimeError> {
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
    let mut config = CacheConfig::new();
    config.with_directory(folder);
    Cache::new(config).map_err(|source| error(format!("{source:#}")))
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
        open(&folder).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o770)).unwrap();
        let error = match open(folder.path()) {
            Ok(_) => panic!("opened"),
            Err(error) => error.to_string(),
        };
        assert!(error.contains("others may write to it"), "{error}");
    }
}
