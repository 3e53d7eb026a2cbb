//! Choosing a certificate by the name that a client asks for.

use std::{cell::Cell, collections::HashMap, sync::Arc};

use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::{
    acme::{AcmeChallenges, PROTOCOL},
    files::Loaded,
};
use crate::config::UnknownName;

thread_local! {
    /// What the last client asked for whose hello was looked at on this thread. The library tells the
    /// name to whoever chooses the certificate and to nobody else; it is fetched right after the call that
    /// it arrived in.
    static ASKED: Cell<Option<Box<str>>> = const { Cell::new(None) };
    /// Whether there was no certificate for it.
    static REFUSED: Cell<bool> = const { Cell::new(false) };
}

/// The name that came in the hello that was just looked at.
pub(super) fn take_asked() -> Option<Box<str>> {
    ASKED.take()
}

/// Whether there was no certificate for that name.
pub(super) fn take_refused() -> bool {
    REFUSED.take()
}

/// Certificates by name. Of several for one name, the first that the client can check is shown.
#[derive(Debug)]
pub(super) struct Names {
    exact: HashMap<Box<str>, Vec<Arc<CertifiedKey>>>,
    /// By what follows the `*.`.
    wildcard: HashMap<Box<str>, Vec<Arc<CertifiedKey>>>,
    /// Never empty.
    default: Vec<Arc<CertifiedKey>>,
    unknown: UnknownName,
    challenges: AcmeChallenges,
}

impl Names {
    /// `loaded` has at least one certificate; the first is the default, together with others for its names.
    pub fn new(loaded: Vec<Loaded>, unknown: UnknownName, challenges: AcmeChallenges) -> Self {
        let mut names = Self {
            exact: HashMap::new(),
            wildcard: HashMap::new(),
            default: Vec::new(),
            unknown,
            challenges,
        };
        let of_default: Vec<String> = loaded
            .first()
            .map(|loaded| loaded.names.clone())
            .unwrap_or_default();
        for (position, Loaded { key, names: of }) in loaded.into_iter().enumerate() {
            let alike = !of.is_empty() && of == of_default;
            if position == 0 || alike {
                names.default.push(Arc::clone(&key));
            }
            for name in of {
                let (map, name) = match name.strip_prefix("*.") {
                    Some(rest) => (&mut names.wildcard, rest),
                    None => (&mut names.exact, &*name),
                };
                map.entry(name.into()).or_default().push(Arc::clone(&key));
            }
        }
        names
    }

    /// The certificates for `name`; the default's if it is unknown and that is allowed.
    fn find(&self, name: Option<&str>) -> Option<&[Arc<CertifiedKey>]> {
        let known = name.and_then(|name| {
            let lower = name.to_ascii_lowercase();
            let wildcard = || self.wildcard.get(lower.split_once('.')?.1);
            self.exact.get(&*lower).or_else(wildcard)
        });
        match (known, self.unknown) {
            (Some(known), _) => Some(known),
            (None, UnknownName::DefaultCertificate) => Some(&self.default),
            (None, UnknownName::Refused) => None,
        }
    }
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name();
        ASKED.set(name.map(|name| name.to_ascii_lowercase().into_boxed_str()));
        if let Some(mut offered) = hello.alpn()
            && offered.next() == Some(PROTOCOL)
            && offered.next().is_none()
        {
            return self.challenges.find(name?);
        }
        let found = self.find(name);
        REFUSED.set(found.is_none());
        let candidates = found?;
        if let [only] = candidates {
            return Some(Arc::clone(only));
        }
        let fits = |key: &&Arc<CertifiedKey>| {
            let schemes = hello.signature_schemes();
            key.key.choose_scheme(schemes).is_some()
        };
        let chosen = candidates.iter().find(fits).or(candidates.first());
        chosen.map(Arc::clone)
    }
}

#[cfg(test)]
mod tests {
    use rustls::{
        crypto::aws_lc_rs::sign::any_supported_type,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    };

    use super::*;

    /// Certificates for these names, one for each list.
    fn names(lists: &[&[&str]], unknown: UnknownName) -> (Names, Vec<Arc<CertifiedKey>>) {
        let keys: Vec<_> = lists.iter().map(|_| key()).collect();
        let loaded = lists.iter().zip(&keys).map(|(list, key)| Loaded {
            key: Arc::clone(key),
            names: list.iter().map(|name| (*name).to_owned()).collect(),
        });
        (
            Names::new(loaded.collect(), unknown, AcmeChallenges::default()),
            keys,
        )
    }

    fn key() -> Arc<CertifiedKey> {
        let made = rcgen::generate_simple_self_signed(vec!["any.example".to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let key = any_supported_type(&PrivateKeyDer::Pkcs8(key)).unwrap();
        Arc::new(CertifiedKey::new(vec![made.cert.der().clone()], key))
    }

    #[test]
    fn an_exact_name_goes_before_a_wildcard_and_a_wildcard_before_the_default() {
        let (names, keys) = names(
            &[&["other.net"], &["*.example.com"], &["www.example.com"]],
            UnknownName::DefaultCertificate,
        );
        let found = |name| Arc::clone(&names.find(name).unwrap()[0]);
        for (name, expected) in [
            (Some("www.example.com"), 2),
            (Some("WWW.Example.COM"), 2),
            (Some("api.example.com"), 1),
            (Some("deep.api.example.com"), 0),
            (Some("example.com"), 0),
            (Some("nowhere"), 0),
            (None, 0),
        ] {
            assert!(Arc::ptr_eq(&found(name), &keys[expected]), "{name:?}");
        }
    }

    #[test]
    fn a_strict_listener_has_nothing_for_strangers() {
        let (names, _) = names(&[&["a.example"]], UnknownName::Refused);
        assert!(names.find(Some("a.example")).is_some());
        assert!(names.find(Some("b.example")).is_none());
        assert!(names.find(None).is_none());
    }

    #[test]
    fn two_certificates_for_one_name_are_both_candidates() {
        let (names, _) = names(&[&["a.example"], &["a.example"]], UnknownName::Refused);
        assert_eq!(names.find(Some("a.example")).unwrap().len(), 2);
        assert_eq!(names.default.len(), 2);
    }
}
