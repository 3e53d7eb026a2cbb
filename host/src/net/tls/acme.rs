//! What an authority that issues certificates by itself wants of a listener: an answer to its challenge
//! (TLS-ALPN-01, RFC 8737), and something to show until there is a certificate.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::{
    crypto::CryptoProvider,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    sign::CertifiedKey,
};

use super::{
    facts,
    files::{Loaded, certificates, read},
    provider::provider,
};

/// The protocol that a challenge is spoken in.
pub(super) const PROTOCOL: &[u8] = b"acme-tls/1";

/// The challenges that are open, for all workers. A clone is the same set.
#[derive(Debug, Clone, Default)]
pub struct AcmeChallenges(Arc<RwLock<HashMap<String, Arc<CertifiedKey>>>>);

/// A certificate for a challenge, or to begin with, cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("no certificate can be made for {name}: {reason}")]
pub struct CannotMake {
    name: String,
    reason: String,
}

impl AcmeChallenges {
    /// From now on answers the challenge for `name` with this digest of its key authorisation.
    pub fn answer(&self, name: &str, digest: &[u8]) -> Result<(), CannotMake> {
        let extension = CustomExtension::new_acme_identifier(digest);
        let key = self_signed(&[name.to_owned()], Some(extension), &provider(None))?;
        let mut open = self.0.write().unwrap_or_else(PoisonError::into_inner);
        open.insert(name.to_owned(), key);
        Ok(())
    }

    /// The challenge for `name` is over.
    pub fn forget(&self, name: &str) {
        let mut open = self.0.write().unwrap_or_else(PoisonError::into_inner);
        open.remove(name);
    }

    pub(super) fn find(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let open = self.0.read().unwrap_or_else(PoisonError::into_inner);
        open.get(&name.to_ascii_lowercase()).cloned()
    }
}

/// What is shown until the authority has issued a certificate.
pub(super) fn placeholder(
    names: &[String],
    provider: &CryptoProvider,
) -> Result<Loaded, CannotMake> {
    Ok(Loaded {
        key: self_signed(names, None, provider)?,
        names: names.to_vec(),
    })
}

fn self_signed(
    names: &[String],
    extension: Option<CustomExtension>,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, CannotMake> {
    let cannot = |reason: String| CannotMake {
        name: names.join(", "),
        reason,
    };
    let failed = |error: rcgen::Error| cannot(error.to_string());
    let mut params = CertificateParams::new(names.to_vec()).map_err(failed)?;
    params.custom_extensions.extend(extension);
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(|error| cannot(error.to_string()))?;
    Ok(Arc::new(CertifiedKey::new(
        vec![certificate.der().clone()],
        key,
    )))
}

/// How long the certificate in `file` is good without another: two thirds of its life, counted from now. Nothing
/// if there is none, it cannot be read, or it is not for all of `names`.
pub fn until_renewal(file: &Path, names: &[String]) -> Option<Duration> {
    let text = read(file).ok()?;
    let chain = certificates(file, &text).ok()?;
    let about = facts::read_certificate(chain.first()?).ok()?;
    if names.iter().any(|name| !about.names.contains(name)) {
        return None;
    }
    let (from, until) = about.lifetime()?;
    let renew_at = from + until.duration_since(from).ok()? * 2 / 3;
    renew_at.duration_since(SystemTime::now()).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn file(names: &[&str], from: i64, until: i64) -> tempfile::NamedTempFile {
        let owned: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(owned).unwrap();
        let now = SystemTime::now();
        let at = |hours: i64| {
            let away = Duration::from_secs(hours.unsigned_abs() * 3600);
            match hours < 0 {
                true => now - away,
                false => now + away,
            }
        };
        params.not_before = at(from).into();
        params.not_after = at(until).into();
        let key = KeyPair::generate().unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), params.self_signed(&key).unwrap().pem()).unwrap();
        file
    }

    #[test]
    fn a_certificate_is_renewed_when_a_third_of_its_life_is_left() {
        let names = ["a.example".to_owned()];
        let left = |file: &tempfile::NamedTempFile| until_renewal(file.path(), &names);
        let fresh = left(&file(&["a.example"], -10, 50)).unwrap();
        assert!(fresh > Duration::from_secs(29 * 3600) && fresh <= Duration::from_secs(30 * 3600));
        assert_eq!(left(&file(&["a.example"], -50, 10)), None, "it is time");
        assert_eq!(left(&file(&["b.example"], -10, 50)), None, "another name");
        assert_eq!(until_renewal(Path::new("/no/such.pem"), &names), None);
    }

    #[test]
    fn a_challenge_is_answered_until_it_is_over() {
        let challenges = AcmeChallenges::default();
        challenges.answer("a.example", &[7; 32]).unwrap();
        assert!(challenges.clone().find("A.example").is_some());
        challenges.forget("a.example");
        assert!(challenges.find("a.example").is_none());
    }
}
