//! Which cryptography is on offer: the configuration's suites and versions as rustls knows them.

use std::sync::Arc;

use rustls::{
    SupportedCipherSuite, SupportedProtocolVersion,
    crypto::{
        CryptoProvider,
        aws_lc_rs::{cipher_suite as suite, default_provider},
    },
    version::{TLS12, TLS13},
};

use crate::config::{Cipher, TlsVersion, TlsVersions};

/// Everything from aws-lc-rs, with these suites in this order.
pub(super) fn provider(ciphers: Option<&[Cipher]>) -> Arc<CryptoProvider> {
    let mut provider = default_provider();
    if let Some(ciphers) = ciphers {
        provider.cipher_suites = ciphers.iter().map(|cipher| suite_of(*cipher)).collect();
    }
    Arc::new(provider)
}

/// Tells libraries that bring their own use of TLS whose cryptography to take, as they find more than one.
pub fn use_one_cryptography() {
    // The second time it is there already.
    let _ = default_provider().install_default();
}

pub(super) fn versions(wanted: TlsVersions) -> Vec<&'static SupportedProtocolVersion> {
    TlsVersion::ALL
        .into_iter()
        .filter(|version| wanted.contains(*version))
        .map(|version| match version {
            TlsVersion::V1_2 => &TLS12,
            TlsVersion::V1_3 => &TLS13,
        })
        .collect()
}

fn suite_of(cipher: Cipher) -> SupportedCipherSuite {
    match cipher {
        Cipher::Aes256GcmSha384 => suite::TLS13_AES_256_GCM_SHA384,
        Cipher::Aes128GcmSha256 => suite::TLS13_AES_128_GCM_SHA256,
        Cipher::Chacha20Poly1305Sha256 => suite::TLS13_CHACHA20_POLY1305_SHA256,
        Cipher::EcdheEcdsaAes256GcmSha384 => suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        Cipher::EcdheEcdsaAes128GcmSha256 => suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        Cipher::EcdheEcdsaChacha20Poly1305 => suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        Cipher::EcdheRsaAes256GcmSha384 => suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        Cipher::EcdheRsaAes128GcmSha256 => suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        Cipher::EcdheRsaChacha20Poly1305 => suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    }
}

/// The name that the configuration has for a suite.
pub(super) fn name_of(suite: SupportedCipherSuite) -> &'static str {
    Cipher::ALL
        .into_iter()
        .find(|cipher| suite_of(*cipher) == suite)
        .map_or("", Cipher::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_that_rustls_has_is_one_of_the_configurations() {
        let all = default_provider().cipher_suites;
        assert_eq!(all.len(), Cipher::ALL.len());
        for suite in all {
            assert_ne!(name_of(suite), "", "{suite:?}");
        }
    }
}
