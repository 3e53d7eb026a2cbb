//! Reading keys and certificates from files.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    crypto::CryptoProvider,
    pki_types::{
        CertificateDer, CertificateRevocationListDer, PrivateKeyDer,
        pem::{Error as PemError, PemObject},
    },
    sign::CertifiedKey,
};
use tracing::warn;

use super::{
    error::{TlsFault, TlsFileError},
    facts, ocsp,
};
use crate::config::{CertificateFiles, NamedFile};

/// No sound file of certificates is larger.
const LARGEST: u64 = 1 << 20;

/// A certificate with its key, ready to be shown.
#[derive(Debug)]
pub(super) struct Loaded {
    pub key: Arc<CertifiedKey>,
    /// Whom it is for, in lower case; `*.` begins a wildcard.
    pub names: Vec<String>,
}

/// Loads a certificate, or all of a folder in the order of their names.
pub(super) fn load_certificates(
    files: &CertificateFiles,
    provider: &CryptoProvider,
) -> Result<Vec<Loaded>, TlsFileError> {
    let named = &files.certificate;
    if named.path.is_dir() {
        return load_folder(named, provider);
    }
    let loaded = load_certificate(
        &named.path,
        files.key.as_ref().map(|key| &*key.path),
        files.ocsp.as_ref().map(|ocsp| &*ocsp.path),
        provider,
    );
    match loaded {
        Ok(loaded) => Ok(vec![loaded]),
        Err(fault) => Err(TlsFileError {
            spot: named.spot.clone(),
            fault,
        }),
    }
}

fn load_folder(named: &NamedFile, provider: &CryptoProvider) -> Result<Vec<Loaded>, TlsFileError> {
    let at = |fault| TlsFileError {
        spot: named.spot.clone(),
        fault,
    };
    let files = certificates_in(&named.path).map_err(at)?;
    if files.is_empty() {
        let path = named.path.clone();
        return Err(at(TlsFault::EmptyFolder { path }));
    }
    files
        .iter()
        .map(|file| load_certificate(file, None, None, provider).map_err(at))
        .collect()
}

/// The files whose change means something for what `path` names: itself, what may stand beside it, and all that is
/// in it if it is a folder.
pub fn tls_files(path: &Path) -> Vec<PathBuf> {
    if let Ok(entries) = fs::read_dir(path) {
        let inside = entries.filter_map(|entry| Some(entry.ok()?.path()));
        return inside.chain([path.to_owned()]).collect();
    }
    vec![
        path.to_owned(),
        with_ending(path, ".key"),
        path.with_extension("key"),
        with_ending(path, ".ocsp"),
    ]
}

/// The files of a folder that should be certificates: all but hidden ones and what stands beside one.
fn certificates_in(folder: &Path) -> Result<Vec<PathBuf>, TlsFault> {
    const BESIDE: [&str; 4] = ["key", "ocsp", "issuer", "sctl"];
    let unreadable = |source| TlsFault::Unreadable {
        path: folder.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let beside = path
            .extension()
            .is_some_and(|ending| BESIDE.iter().any(|beside| ending == *beside));
        if !hidden && !beside && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

pub(super) fn load_certificate(
    file: &Path,
    key: Option<&Path>,
    ocsp: Option<&Path>,
    provider: &CryptoProvider,
) -> Result<Loaded, TlsFault> {
    let text = read(file)?;
    let chain = certificates(file, &text)?;
    let (key_file, key) = find_key(file, &text, key)?;
    let bad_key = |reason: String| TlsFault::BadKey {
        path: key_file.clone(),
        reason,
    };
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(|error| bad_key(error.to_string()))?;
    let about = facts::read_certificate(&chain[0]).map_err(|reason| TlsFault::BadCertificate {
        path: file.to_owned(),
        reason,
    })?;
    if let Some(problem) = about.out_of_date() {
        warn!("the certificate in {} {problem}", file.display());
    }
    let mut certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
        Err(rustls::Error::InconsistentKeys(_)) => {
            return Err(TlsFault::KeyMismatch {
                certificate: file.to_owned(),
                key: key_file,
            });
        }
        Err(rustls::Error::InvalidCertificate(reason)) => {
            return Err(TlsFault::BadCertificate {
                path: file.to_owned(),
                reason: format!("{reason:?}"),
            });
        }
        Err(error) => return Err(bad_key(error.to_string())),
    }
    certified.ocsp = load_ocsp(file, ocsp)?;
    Ok(Loaded {
        key: Arc::new(certified),
        names: about.names,
    })
}

/// The key from the file of its own, or from the certificate's, or from one beside that.
fn find_key(
    file: &Path,
    text: &[u8],
    own: Option<&Path>,
) -> Result<(PathBuf, PrivateKeyDer<'static>), TlsFault> {
    if let Some(own) = own {
        let text = read(own)?;
        let key = private_key(own, &text)?.ok_or_else(|| TlsFault::NoKey {
            path: own.to_owned(),
            looked: Vec::new(),
        })?;
        return Ok((own.to_owned(), key));
    }
    if let Some(key) = private_key(file, text)? {
        return Ok((file.to_owned(), key));
    }
    let beside = [with_ending(file, ".key"), file.with_extension("key")];
    for path in &beside {
        if path.is_file() {
            let text = read(path)?;
            if let Some(key) = private_key(path, &text)? {
                return Ok((path.clone(), key));
            }
        }
    }
    Err(TlsFault::NoKey {
        path: file.to_owned(),
        looked: beside.to_vec(),
    })
}

fn private_key(file: &Path, text: &[u8]) -> Result<Option<PrivateKeyDer<'static>>, TlsFault> {
    match PrivateKeyDer::from_pem_slice(text) {
        Ok(key) => Ok(Some(key)),
        Err(PemError::NoItemsFound) => {
            if memchr::memmem::find(text, b"ENCRYPTED").is_some() {
                return Err(TlsFault::EncryptedKey {
                    path: file.to_owned(),
                });
            }
            Ok(None)
        }
        Err(error) => Err(not_pem(file, &error)),
    }
}

fn load_ocsp(file: &Path, own: Option<&Path>) -> Result<Option<Vec<u8>>, TlsFault> {
    let path = match own {
        Some(own) => own.to_owned(),
        None => {
            let beside = with_ending(file, ".ocsp");
            if !beside.is_file() {
                return Ok(None);
            }
            beside
        }
    };
    let response = read(&path)?;
    match ocsp::check(&response) {
        Ok(ocsp::Freshness::Current) => Ok(Some(response)),
        Ok(ocsp::Freshness::Expired) => {
            warn!(
                "the OCSP response in {} has expired and is not stapled",
                path.display()
            );
            Ok(None)
        }
        Err(reason) => Err(TlsFault::BadOcsp { path, reason }),
    }
}

/// All certificates of a file; at least one.
pub(super) fn certificates(
    file: &Path,
    text: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let found = found.map_err(|error| not_pem(file, &error))?;
    match found.is_empty() {
        true => Err(TlsFault::NoCertificate {
            path: file.to_owned(),
        }),
        false => Ok(found),
    }
}

/// All revocation lists of a file; at least one.
pub(super) fn revocation_lists(
    file: &Path,
    text: &[u8],
) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsFault> {
    let found: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(text).collect();
    let found = found.map_err(|error| not_pem(file, &error))?;
    match found.is_empty() {
        true => Err(TlsFault::NoRevocationList {
            path: file.to_owned(),
        }),
        false => Ok(found),
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsFault> {
    let unreadable = |source| TlsFault::Unreadable {
        path: path.to_owned(),
        source,
    };
    let about = fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() {
        // Opening a pipe waits for whoever writes into it, and with it all that is loaded after.
        return Err(unreadable(io::Error::other("it is not a regular file")));
    }
    let size = about.len();
    if size > LARGEST {
        return Err(TlsFault::TooLarge {
            path: path.to_owned(),
            size,
        });
    }
    fs::read(path).map_err(unreadable)
}

fn not_pem(file: &Path, error: &PemError) -> TlsFault {
    TlsFault::NotPem {
        path: file.to_owned(),
        reason: error.to_string(),
    }
}

fn with_ending(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
