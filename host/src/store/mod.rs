//! Components that are shared: fetched from OCI registries, kept by digest, verified, sent, signed.
//!
//! Whatever is handed out has been hashed again, also what was kept: a byte that changed on the way or on
//! disk is an error, never a plugin. Knows nothing of what components are for.

mod artifact;
mod cache;
mod error;
mod remote;
mod signature;

use std::{
    fs,
    path::{Path, PathBuf},
};

use tracing::{info, warn};

use crate::config::{
    KeyFile, MovedTags, OciReference, OciSource, PluginSource, PluginUse, SignedBy,
};

pub use artifact::About;
pub use cache::user_folder;
pub use error::StoreError;
pub use signature::{KeyPair, SecretKey};

use cache::{Cache, Kept};
use remote::Remote;

/// The SHA-256 of some bytes, as registries write it.
pub fn digest(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    let hash = Sha256::digest(bytes);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// A component that was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    pub bytes: Vec<u8>,
    /// Of the manifest: what `@sha256:…` pins.
    pub manifest: String,
}

/// Fetches components, and keeps them in a folder.
#[derive(Debug)]
pub struct Store {
    cache: Option<Cache>,
}

impl Store {
    /// `folder` is made when something is kept; `None` keeps nothing.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self {
            cache: folder.map(Cache::new),
        }
    }

    /// The bytes of a use whose component has to be fetched or whose signature is needed; `None` if the
    /// plugin runtime can read it itself. Takes as long as a registry takes: not for the data path.
    pub fn obtain(&self, used: &PluginUse) -> Result<Option<Vec<u8>>, StoreError> {
        match (&used.source, &used.signed_by) {
            (PluginSource::Bundled(_), _) | (PluginSource::File(_), None) => Ok(None),
            (PluginSource::File(file), Some(trust)) => {
                let bytes = read(file)?;
                verify_file(file, &bytes, trust)?;
                Ok(Some(bytes))
            }
            (PluginSource::Oci(source), trust) => {
                let fetched = self.fetch(source)?;
                if let Some(trust) = trust {
                    self.verify(source, &fetched.manifest, trust)?;
                }
                Ok(Some(fetched.bytes))
            }
        }
    }

    /// Fetches a component, or takes it from the folder: if it is pinned by its digest, or if the registry
    /// does not answer.
    pub fn fetch(&self, source: &OciSource) -> Result<Fetched, StoreError> {
        let remote = Remote::new(source);
        let manifest = match &source.reference.digest {
            Some(digest) => digest.clone(),
            None => self.resolve(source, &remote)?,
        };
        let text = self.blob(&manifest, || remote.manifest(&manifest))?;
        let layer = artifact::layer(&source.reference, &text)?;
        let bytes = self.blob(&layer.digest, || remote.layer(&layer))?;
        Ok(Fetched { bytes, manifest })
    }

    /// The manifest that a tag names.
    fn resolve(&self, source: &OciSource, remote: &Remote<'_>) -> Result<String, StoreError> {
        let reference = &source.reference;
        let known = self.cache.as_ref().and_then(|cache| cache.tag(reference));
        let found = match (remote.resolve(), known) {
            (Ok(found), Some(known)) if found != known => match source.access.moved_tags {
                MovedTags::Follow => {
                    info!(%reference, from = known, to = found, "tag has moved");
                    found
                }
                MovedTags::Refuse => {
                    return Err(StoreError::Moved {
                        reference: Box::new(reference.clone()),
                        from: known,
                        to: found,
                    });
                }
            },
            (Ok(found), _) => found,
            (Err(error), Some(known)) if error.is_silence() => {
                warn!(%reference, kept = known, %error, "registry does not answer; what was kept is used");
                return Ok(known);
            }
            (Err(error), _) => return Err(error),
        };
        if let Some(cache) = &self.cache {
            cache.set_tag(reference, &found)?;
        }
        Ok(found)
    }

    /// Something by its digest: kept, or fetched and then kept. Hashed in any case.
    fn blob(
        &self,
        wanted: &str,
        fetch: impl FnOnce() -> Result<Vec<u8>, StoreError>,
    ) -> Result<Vec<u8>, StoreError> {
        let Some(cache) = &self.cache else {
            return checked(wanted, fetch()?);
        };
        let altered = match cache.read(wanted)? {
            Kept::Sound(bytes) => return Ok(bytes),
            Kept::Nothing => None,
            Kept::Altered { file, found } => {
                warn!(file = %file.display(), found, wanted, "a kept component is altered; it is fetched again");
                Some((file, found))
            }
        };
        let bytes = fetch().map_err(|source| match altered {
            Some((file, found)) => StoreError::Altered {
                file,
                wanted: wanted.to_owned(),
                found,
                source: Box::new(source),
            },
            None => source,
        })?;
        let bytes = checked(wanted, bytes)?;
        cache.write(wanted, &bytes)?;
        Ok(bytes)
    }

    /// Checks that one of the keys has signed a manifest.
    pub fn verify(
        &self,
        source: &OciSource,
        manifest: &str,
        trust: &SignedBy,
    ) -> Result<KeyFile, StoreError> {
        let keys = signature::keys(trust)?;
        if let Some(cache) = &self.cache
            && let Some(kept) = cache.signatures(manifest)
            && let Some(key) = signature::by_one_of(&keys, &kept, manifest)
        {
            return Ok(key);
        }
        let found = Remote::new(source).signatures(manifest)?;
        let Some(key) = signature::by_one_of(&keys, &found, manifest) else {
            return Err(signature::refusal(
                &source.reference,
                manifest,
                &found,
                trust,
            ));
        };
        if let Some(cache) = &self.cache {
            cache.set_signatures(manifest, &found)?;
        }
        Ok(key)
    }

    /// Sends a component, and hands back the digest of its manifest.
    pub fn push(source: &OciSource, bytes: Vec<u8>, about: &About) -> Result<String, StoreError> {
        Remote::new(source).push(bytes, about)
    }

    /// Signs what a reference names now, and lays the signature beside it. Hands back the digest of the manifest.
    pub fn sign(source: &OciSource, key: &SecretKey) -> Result<String, StoreError> {
        let remote = Remote::new(source);
        let manifest = match &source.reference.digest {
            Some(digest) => digest.clone(),
            None => remote.resolve()?,
        };
        let signature = key.sign(&source.reference, &manifest);
        remote.push_signature(&manifest, signature)?;
        Ok(manifest)
    }

    /// The tags of a repository, signatures not among them.
    pub fn tags(source: &OciSource) -> Result<Vec<String>, StoreError> {
        Remote::new(source).tags()
    }
}

/// Where the signature of a file lies: beside it, with `.sig` at the end.
pub fn signature_file(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

/// Checks that the signature beside a file is one of the keys'.
pub fn verify_file(file: &Path, bytes: &[u8], trust: &SignedBy) -> Result<KeyFile, StoreError> {
    let keys = signature::keys(trust)?;
    let beside = signature_file(file);
    let text = match fs::read_to_string(&beside) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(StoreError::Unsigned {
                what: file.display().to_string(),
                looked_for: beside.display().to_string(),
            });
        }
        Err(source) => {
            return Err(StoreError::File {
                file: beside,
                source,
            });
        }
    };
    signature::of_bytes(&keys, bytes, &text).ok_or_else(|| StoreError::NotByKey {
        what: file.display().to_string(),
        keys: signature::key_names(trust),
    })
}

fn read(file: &Path) -> Result<Vec<u8>, StoreError> {
    fs::read(file).map_err(|source| StoreError::File {
        file: file.to_owned(),
        source,
    })
}

fn checked(wanted: &str, bytes: Vec<u8>) -> Result<Vec<u8>, StoreError> {
    let found = digest(&bytes);
    if found == wanted {
        return Ok(bytes);
    }
    Err(StoreError::WrongDigest {
        wanted: wanted.to_owned(),
        found,
    })
}

/// A reference to the same repository and nothing in particular.
fn repository(reference: &OciReference) -> String {
    format!("oci://{}/{}", reference.registry, reference.repository)
}
