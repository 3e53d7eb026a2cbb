//! Signatures as cosign makes and checks them: ECDSA on P-256 with SHA-256, in base64.
//!
//! Of a file, the signature is over its bytes (`cosign verify-blob`, `openssl dgst -sha256 -verify`). Of a
//! component in a registry it is over a small payload that names the manifest's digest.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use p256::{
    ecdsa::{
        Signature as Ecdsa, SigningKey, VerifyingKey,
        signature::{Signer, Verifier},
    },
    pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, LineEnding},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{StoreError, repository};
use crate::config::{KeyFile, OciReference, SignedBy};

pub const PAYLOAD_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
pub const ANNOTATION: &str = "dev.cosignproject.cosign/signature";
const KIND: &str = "cosign container image signature";

/// A signature that lies beside a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// What is signed, as it is written.
    pub payload: String,
    /// In base64.
    pub signature: String,
}

/// A key to sign with.
pub struct SecretKey(SigningKey);

/// A new key, both halves as PEM.
pub struct KeyPair {
    pub secret: String,
    pub public: String,
}

impl KeyPair {
    /// Fails if the system has no random numbers.
    pub fn new() -> io::Result<Self> {
        let mut bytes = [0; 32];
        let key = loop {
            getrandom::fill(&mut bytes).map_err(io::Error::other)?;
            // All but one in 2³² are keys.
            if let Ok(key) = SigningKey::from_slice(&bytes) {
                break key;
            }
        };
        let public = key.verifying_key().to_public_key_pem(LineEnding::LF);
        let secret = key.to_pkcs8_pem(LineEnding::LF);
        Ok(Self {
            secret: secret.map_err(io::Error::other)?.to_string(),
            public: public.map_err(io::Error::other)?,
        })
    }

    /// Writes both halves to files that must not be there yet; the secret one only its owner can read.
    pub fn write(&self, secret: &Path, public: &Path) -> Result<(), StoreError> {
        let write = |file: &Path, mode, text: &str| {
            let opened = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(mode)
                .open(file);
            opened
                .and_then(|mut opened| opened.write_all(text.as_bytes()))
                .map_err(|source| StoreError::File {
                    file: file.to_owned(),
                    source,
                })
        };
        write(secret, 0o600, &self.secret)?;
        write(public, 0o644, &self.public)
    }
}

impl SecretKey {
    pub fn read(file: &Path) -> Result<Self, StoreError> {
        let pem = fs::read_to_string(file).map_err(|source| StoreError::File {
            file: file.to_owned(),
            source,
        })?;
        let key = SigningKey::from_pkcs8_pem(&pem).map_err(|error| StoreError::BadSecretKey {
            file: file.to_owned(),
            message: error.to_string(),
        })?;
        Ok(Self(key))
    }

    /// The signature over a file's bytes, in base64.
    pub fn sign_bytes(&self, bytes: &[u8]) -> String {
        let signature: Ecdsa = self.0.sign(bytes);
        STANDARD.encode(signature.to_der().as_bytes())
    }

    pub(super) fn sign(&self, reference: &OciReference, manifest: &str) -> Signature {
        let name = repository(reference);
        let payload = json!({
            "critical": {
                "identity": { "docker-reference": name.trim_start_matches("oci://") },
                "image": { "docker-manifest-digest": manifest },
                "type": KIND,
            },
            "optional": null,
        })
        .to_string();
        Signature {
            signature: self.sign_bytes(payload.as_bytes()),
            payload,
        }
    }
}

/// A public key that can check, and where it came from.
pub(super) type Key<'a> = (&'a KeyFile, VerifyingKey);

/// The keys, or which of them is none.
pub(super) fn keys(trust: &SignedBy) -> Result<Vec<Key<'_>>, StoreError> {
    let key = |key: &'_ KeyFile| {
        VerifyingKey::from_public_key_pem(&key.pem).map_err(|error| StoreError::BadKey {
            file: key.file.clone(),
            message: error.to_string(),
        })
    };
    let keys = trust.keys.iter().map(|file| Ok((file, key(file)?)));
    keys.collect()
}

/// The key that has signed `bytes`, if one has.
pub(super) fn of_bytes(keys: &[Key<'_>], bytes: &[u8], signature: &str) -> Option<KeyFile> {
    let der = STANDARD.decode(signature.trim()).ok()?;
    let signature = Ecdsa::from_der(&der).ok()?;
    let fits = |(_, key): &&Key<'_>| key.verify(bytes, &signature).is_ok();
    keys.iter().find(fits).map(|(file, _)| (*file).clone())
}

/// The key that has signed a manifest, if one has.
pub(super) fn by_one_of(
    keys: &[Key<'_>],
    signatures: &[Signature],
    manifest: &str,
) -> Option<KeyFile> {
    let mut of_manifest = signatures.iter().filter(|it| names(it, manifest));
    of_manifest.find_map(|it| of_bytes(keys, it.payload.as_bytes(), &it.signature))
}

/// Whether a payload is about this manifest.
fn names(signature: &Signature, manifest: &str) -> bool {
    let payload: Value = serde_json::from_str(&signature.payload).unwrap_or_default();
    let critical = &payload["critical"];
    critical["type"] == KIND && critical["image"]["docker-manifest-digest"] == manifest
}

/// Why none of the signatures would do.
pub(super) fn refusal(
    reference: &OciReference,
    manifest: &str,
    found: &[Signature],
    trust: &SignedBy,
) -> StoreError {
    let what = format!("{}@{manifest}", repository(reference));
    match found.is_empty() {
        true => StoreError::Unsigned {
            what,
            looked_for: format!("the tag {}.sig", manifest.replace(':', "-")),
        },
        false => StoreError::NotByKey {
            what,
            keys: key_names(trust),
        },
    }
}

/// The keys' files, for people.
pub(super) fn key_names(trust: &SignedBy) -> String {
    let names = trust.keys.iter().map(|key| key.file.display().to_string());
    names.collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str) -> (SecretKey, KeyFile) {
        let pair = KeyPair::new().unwrap();
        let secret = SigningKey::from_pkcs8_pem(&pair.secret).unwrap();
        let public = KeyFile {
            file: name.into(),
            pem: pair.public,
        };
        (SecretKey(secret), public)
    }

    #[test]
    fn a_signature_fits_its_key_and_its_bytes_alone() {
        let (secret, public) = pair("a.pub");
        let (_, other) = pair("b.pub");
        let signature = secret.sign_bytes(b"component");
        let both = SignedBy {
            keys: vec![other.clone(), public.clone()],
        };
        let keys = keys(&both).unwrap();
        assert_eq!(of_bytes(&keys, b"component", &signature), Some(public));
        assert_eq!(of_bytes(&keys, b"c0mponent", &signature), None);
        assert_eq!(of_bytes(&keys[..1], b"component", &signature), None);
        assert_eq!(of_bytes(&keys, b"component", "no base64"), None);
    }

    #[test]
    fn a_payload_about_another_manifest_is_worth_nothing() {
        let (secret, public) = pair("a.pub");
        let reference = "oci://h/team/a:1".parse().unwrap();
        let trust = SignedBy { keys: vec![public] };
        let keys = keys(&trust).unwrap();
        let signature = secret.sign(&reference, "sha256:1");
        assert!(by_one_of(&keys, std::slice::from_ref(&signature), "sha256:1").is_some());
        assert!(by_one_of(&keys, std::slice::from_ref(&signature), "sha256:2").is_none());
        let altered = Signature {
            payload: signature.payload.replace("sha256:1", "sha256:2"),
            ..signature
        };
        assert!(by_one_of(&keys, &[altered], "sha256:2").is_none());
    }

    #[test]
    fn what_is_no_key_is_named() {
        let trust = SignedBy {
            keys: vec![KeyFile {
                file: "x.pub".into(),
                pem: "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n".to_owned(),
            }],
        };
        let error = keys(&trust).unwrap_err().to_string();
        assert!(error.contains("x.pub is no public key"), "{error}");
    }
}
