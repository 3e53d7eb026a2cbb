//! Whom to believe: roots from files or from the system, revocation lists, and the checks made of them.

use std::{cell::OnceCell, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use sha2::{Digest, Sha256};

use super::{
    error::{TlsFault, TlsFileError},
    facts,
    files::{certificates, read, revocation_lists},
};
use crate::config::{ClientCertificates, NamedFile, ServerCertificates, Spot, Trust};

/// Tells apart what was read: the same bytes have the same digest.
pub(super) type ContentDigest = [u8; 32];

/// The roots that the system believes, read at most once.
#[derive(Debug, Default)]
pub struct SystemRoots(OnceCell<Arc<RootCertStore>>);

impl SystemRoots {
    fn get(&self) -> Result<Arc<RootCertStore>, TlsFault> {
        if let Some(roots) = self.0.get() {
            return Ok(Arc::clone(roots));
        }
        let loaded = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (added, _ignored) = roots.add_parsable_certificates(loaded.certs);
        if added == 0 {
            let reason = loaded
                .errors
                .first()
                .map_or_else(|| "none were found".to_owned(), ToString::to_string);
            return Err(TlsFault::NoSystemRoots { reason });
        }
        let roots = Arc::new(roots);
        // Nobody else can have set it: this is the only place, and not shared between threads.
        let _ = self.0.set(Arc::clone(&roots));
        Ok(roots)
    }
}

/// Makes what checks clients' certificates, and a digest of all that it goes by.
pub(super) fn client_verifier(
    clients: &ClientCertificates,
    provider: &Arc<CryptoProvider>,
    spot: &Spot,
) -> Result<(Option<Arc<dyn ClientCertVerifier>>, ContentDigest), TlsFileError> {
    let mut digest = Sha256::new();
    let (trust, optional) = match clients {
        ClientCertificates::NotAsked => return Ok((None, digest.finalize().into())),
        ClientCertificates::Optional(trust) => (trust, true),
        ClientCertificates::Required(trust) => (trust, false),
    };
    digest.update([u8::from(optional)]);
    let (ca, crl) = read_trust(trust, &mut digest)?;
    let roots = Arc::new(roots_of(&ca)?);
    let mut builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider))
        .with_crls(crl)
        .enforce_revocation_expiration();
    if optional {
        builder = builder.allow_unauthenticated();
    }
    let verifier = builder.build().map_err(|error| unusable(spot, &error))?;
    Ok((Some(verifier), digest.finalize().into()))
}

/// Makes what checks servers' certificates.
pub(super) fn server_verifier(
    servers: &ServerCertificates,
    provider: &Arc<CryptoProvider>,
    system: &SystemRoots,
    spot: &Spot,
    digest: &mut Sha256,
) -> Result<Arc<dyn ServerCertVerifier>, TlsFileError> {
    let (roots, crl, pinned) = match servers {
        ServerCertificates::Unchecked => {
            digest.update(b"unchecked");
            return Ok(Arc::new(AnyCertificate(Arc::clone(provider))));
        }
        ServerCertificates::System { crl } => {
            let roots = system.get().map_err(|fault| TlsFileError {
                spot: spot.clone(),
                fault,
            })?;
            for root in &roots.roots {
                digest.update(&root.subject);
                digest.update(&root.subject_public_key_info);
            }
            (roots, read_lists(crl, digest)?, Vec::new())
        }
        ServerCertificates::Issued(trust) => {
            let (ca, crl) = read_trust(trust, digest)?;
            let roots = Arc::new(roots_of(&ca)?);
            let pinned = ca.into_iter().map(|(certificate, _)| certificate).collect();
            (roots, crl, pinned)
        }
    };
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider))
        .with_crls(crl)
        .enforce_revocation_expiration()
        .build()
        .map_err(|error| unusable(spot, &error))?;
    match pinned.is_empty() {
        true => Ok(verifier),
        false => Ok(Arc::new(IssuedOrNamed { verifier, pinned })),
    }
}

type Read<'a> = (
    Vec<(CertificateDer<'static>, &'a NamedFile)>,
    Vec<CertificateRevocationListDer<'static>>,
);

fn read_trust<'a>(trust: &'a Trust, digest: &mut Sha256) -> Result<Read<'a>, TlsFileError> {
    let mut ca = Vec::new();
    for file in &trust.ca {
        let found = read(&file.path).and_then(|text| certificates(&file.path, &text));
        for certificate in found.map_err(|fault| at(file, fault))? {
            digest.update(&certificate);
            ca.push((certificate, file));
        }
    }
    digest.update(b"crl");
    let crl = read_lists(&trust.crl, digest)?;
    Ok((ca, crl))
}

fn read_lists(
    files: &[NamedFile],
    digest: &mut Sha256,
) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsFileError> {
    let mut lists = Vec::new();
    for file in files {
        let found = read(&file.path).and_then(|text| revocation_lists(&file.path, &text));
        for list in found.map_err(|fault| at(file, fault))? {
            digest.update(&list);
            lists.push(list);
        }
    }
    Ok(lists)
}

fn roots_of(
    certificates: &[(CertificateDer<'static>, &NamedFile)],
) -> Result<RootCertStore, TlsFileError> {
    let mut roots = RootCertStore::empty();
    for (certificate, file) in certificates {
        roots.add(certificate.clone()).map_err(|error| {
            let path = file.path.clone();
            let reason = error.to_string();
            at(file, TlsFault::BadCertificate { path, reason })
        })?;
    }
    Ok(roots)
}

fn at(file: &NamedFile, fault: TlsFault) -> TlsFileError {
    TlsFileError {
        spot: file.spot.clone(),
        fault,
    }
}

fn unusable(spot: &Spot, error: &dyn std::error::Error) -> TlsFileError {
    let reason = error.to_string();
    TlsFileError {
        spot: spot.clone(),
        fault: TlsFault::Unusable { reason },
    }
}

/// Believes what an authority has issued, and also a server whose own certificate is among the files: that is
/// how people run servers that signed for themselves. Its name and its dates must be right all the same.
#[derive(Debug)]
struct IssuedOrNamed {
    verifier: Arc<WebPkiServerVerifier>,
    pinned: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for IssuedOrNamed {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self
            .verifier
            .verify_server_cert(end_entity, intermediates, name, ocsp, now);
        let error = match verified {
            Ok(verified) => return Ok(verified),
            Err(error) => error,
        };
        if !self.pinned.contains(&end_entity.clone().into_owned()) {
            return Err(error);
        }
        let parsed = rustls::server::ParsedCertificate::try_from(end_entity)?;
        rustls::client::verify_server_name(&parsed, name)?;
        match facts::read_certificate(end_entity) {
            Ok(about) if about.out_of_date().is_none() => Ok(ServerCertVerified::assertion()),
            Ok(_) | Err(_) => Err(Error::InvalidCertificate(CertificateError::Expired)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Believes anybody; `verify = "none"` asks for it. That the other side has the key of the certificate that
/// it shows is checked all the same.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
