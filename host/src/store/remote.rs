//! One registry, asked about one repository. The only file that knows the client library.
//!
//! Calls block their thread: each has an event loop of its own for as long as it takes, so that they can
//! be made from wherever a generation is built.

use std::{
    env,
    future::Future,
    io,
    path::PathBuf,
    pin::Pin,
    task::{Context, Poll},
    thread,
    time::Duration,
};

use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential};
use oci_client::{
    Client, Reference,
    client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol, Config, ImageLayer},
    errors::{OciDistributionError, OciErrorCode},
    manifest::{OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageManifest},
    secrets::RegistryAuth,
};
use serde_json::json;
use tokio::io::AsyncWrite;

use super::{
    About, StoreError,
    artifact::{self, CONFIG_TYPE, LAYER_TYPE},
    digest,
    signature::{ANNOTATION, PAYLOAD_TYPE, Signature},
};
use crate::config::{OciReference, OciSource};

const CONNECT: Duration = Duration::from_secs(5);
/// Between two pieces of an answer.
const SILENCE: Duration = Duration::from_secs(20);
/// For all that is asked in one go.
const WHOLE: Duration = Duration::from_secs(120);
/// Of a signature's payload, which is a few lines.
const LARGEST_PAYLOAD: usize = 64 << 10;

pub(super) struct Remote<'a> {
    source: &'a OciSource,
}

impl<'a> Remote<'a> {
    pub fn new(source: &'a OciSource) -> Self {
        Self { source }
    }

    fn reference(&self) -> &'a OciReference {
        &self.source.reference
    }

    /// The digest of the manifest that the tag names now.
    pub fn resolve(&self) -> Result<String, StoreError> {
        let image = self.image(self.reference().tag.as_deref().unwrap_or("latest"));
        self.ask(async |client, auth| client.fetch_manifest_digest(&image, auth).await)
    }

    pub fn manifest(&self, digest: &str) -> Result<Vec<u8>, StoreError> {
        let image = self.pinned(digest);
        let accepted = [OCI_IMAGE_MEDIA_TYPE];
        let (bytes, _) =
            self.ask(async |client, auth| client.pull_manifest_raw(&image, auth, &accepted).await)?;
        Ok(bytes.to_vec())
    }

    pub fn layer(&self, layer: &OciDescriptor) -> Result<Vec<u8>, StoreError> {
        let most = usize::try_from(layer.size).unwrap_or_default();
        self.blob(layer, most)
    }

    fn blob(&self, layer: &OciDescriptor, most: usize) -> Result<Vec<u8>, StoreError> {
        let image = self.pinned(&layer.digest);
        self.ask(async |client, auth| {
            client
                .store_auth_if_needed(image.resolve_registry(), auth)
                .await;
            let mut collected = Collected::at_most(most);
            client.pull_blob(&image, layer, &mut collected).await?;
            Ok(collected.bytes)
        })
    }

    pub fn push(&self, component: Vec<u8>, about: &About) -> Result<String, StoreError> {
        let config = Config::new(
            artifact::config(&component, about),
            CONFIG_TYPE.to_owned(),
            None,
        );
        let layer = ImageLayer::new(component, LAYER_TYPE.to_owned(), None);
        let annotations = artifact::annotations(about);
        let tag = self.reference().tag.as_deref().unwrap_or("latest");
        self.push_image(tag, config, vec![layer], |manifest| {
            manifest.annotations = Some(annotations);
        })
    }

    /// Sends an image and hands back the digest of its manifest.
    fn push_image(
        &self,
        tag: &str,
        config: Config,
        layers: Vec<ImageLayer>,
        change: impl FnOnce(&mut OciImageManifest),
    ) -> Result<String, StoreError> {
        let image = self.image(tag);
        let mut manifest = OciImageManifest::build(&layers, &config, None);
        manifest.media_type = Some(OCI_IMAGE_MEDIA_TYPE.to_owned());
        change(&mut manifest);
        self.ask(async |client, auth| {
            client
                .push(&image, &layers, config, auth, Some(manifest))
                .await
        })?;
        let pushed =
            self.ask(async |client, auth| client.fetch_manifest_digest(&image, auth).await)?;
        Ok(pushed)
    }

    /// The signatures that lie beside a manifest; none if there are none.
    pub fn signatures(&self, manifest: &str) -> Result<Vec<Signature>, StoreError> {
        let tag = signature_tag(manifest);
        let (_, layers) = match self.signature_layers(&tag) {
            Err(StoreError::NotFound { .. }) => return Ok(Vec::new()),
            answered => answered?,
        };
        let mut signatures = Vec::new();
        for layer in layers
            .iter()
            .filter(|layer| layer.media_type == PAYLOAD_TYPE)
        {
            let annotation = layer
                .annotations
                .as_ref()
                .and_then(|all| all.get(ANNOTATION));
            if let Some(signature) = annotation {
                let payload = self.blob(layer, LARGEST_PAYLOAD)?;
                signatures.push(Signature {
                    payload: String::from_utf8_lossy(&payload).into_owned(),
                    signature: signature.clone(),
                });
            }
        }
        Ok(signatures)
    }

    fn signature_layers(&self, tag: &str) -> Result<(String, Vec<OciDescriptor>), StoreError> {
        let image = self.image(tag);
        let (manifest, digest) =
            self.ask(async |client, auth| client.pull_image_manifest(&image, auth).await)?;
        Ok((digest, manifest.layers))
    }

    /// Adds a signature to those that lie beside a manifest.
    pub fn push_signature(&self, manifest: &str, signature: Signature) -> Result<(), StoreError> {
        let mut all = self.signatures(manifest)?;
        if all.contains(&signature) {
            return Ok(());
        }
        all.push(signature);
        let payloads: Vec<String> = all.iter().map(|it| digest(it.payload.as_bytes())).collect();
        // What cosign writes: an image without anything but its layers.
        let config = json!({
            "architecture": "",
            "config": {},
            "created": "0001-01-01T00:00:00Z",
            "history": vec![json!({ "created": "0001-01-01T00:00:00Z" }); all.len()],
            "os": "",
            "rootfs": { "type": "layers", "diff_ids": payloads },
        });
        let config = Config::oci_v1(config.to_string().into_bytes(), None);
        let layers = all.into_iter().map(|it| {
            let annotations = [(ANNOTATION.to_owned(), it.signature)].into();
            ImageLayer::new(
                it.payload.into_bytes(),
                PAYLOAD_TYPE.to_owned(),
                Some(annotations),
            )
        });
        self.push_image(&signature_tag(manifest), config, layers.collect(), |_| {})
            .map(drop)
    }

    pub fn tags(&self) -> Result<Vec<String>, StoreError> {
        let image = self.image("latest");
        let mut tags: Vec<String> = Vec::new();
        loop {
            let last = tags.last().cloned();
            let page = self.ask(async |client, auth| {
                client
                    .list_tags(&image, auth, Some(1_000), last.as_deref())
                    .await
            })?;
            let full = page.tags.len() >= 1_000;
            tags.extend(page.tags);
            if !full {
                break;
            }
        }
        tags.sort();
        tags.retain(|tag| !(tag.starts_with("sha256-") && tag.ends_with(".sig")));
        Ok(tags)
    }

    fn image(&self, tag: &str) -> Reference {
        let OciReference {
            registry,
            repository,
            ..
        } = self.reference();
        Reference::with_tag(registry.clone(), repository.clone(), tag.to_owned())
    }

    fn pinned(&self, digest: &str) -> Reference {
        let OciReference {
            registry,
            repository,
            ..
        } = self.reference();
        Reference::with_digest(registry.clone(), repository.clone(), digest.to_owned())
    }

    /// Asks on a thread of its own, since the caller's may have an event loop already.
    fn ask<T: Send>(
        &self,
        question: impl AsyncFnOnce(&Client, &RegistryAuth) -> Result<T, OciDistributionError> + Send,
    ) -> Result<T, StoreError> {
        let registry = &self.reference().registry;
        let answer = || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|source| StoreError::Thread { source })?;
            let auth = credentials(registry)?;
            let client = Client::new(client_config(self.source));
            let asked = question(&client, &auth);
            runtime
                .block_on(within(registry, asked))?
                .map_err(|error| self.error(error))
        };
        thread::scope(|scope| {
            let thread = thread::Builder::new().name("registry".to_owned());
            let handle = thread
                .spawn_scoped(scope, answer)
                .map_err(|source| StoreError::Thread { source })?;
            handle
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn error(&self, error: OciDistributionError) -> StoreError {
        let registry = self.reference().registry.clone();
        let reference = self.reference().to_string();
        let message = root_cause(&error);
        match error {
            OciDistributionError::RequestError(error) if error.is_connect() => {
                StoreError::Unreachable { registry, message }
            }
            OciDistributionError::RequestError(error) if error.is_timeout() => {
                let limit = SILENCE;
                StoreError::TooSlow { registry, limit }
            }
            OciDistributionError::RequestError(_) => StoreError::BrokenOff { registry, message },
            // What cuts a blob short on our side.
            OciDistributionError::IoError(_) => StoreError::Strange { registry, message },
            OciDistributionError::ImageManifestNotFoundError(_) => {
                let message = String::new();
                StoreError::NotFound { reference, message }
            }
            OciDistributionError::RegistryError { ref envelope, .. } => {
                let codes: Vec<&OciErrorCode> = envelope.errors.iter().map(|e| &e.code).collect();
                let is = |known: &[OciErrorCode]| codes.iter().any(|code| known.contains(code));
                let message = envelope.errors.iter().map(|e| e.message.clone());
                let message = message.collect::<Vec<_>>().join("; ");
                if is(&[OciErrorCode::Unauthorized, OciErrorCode::Denied]) {
                    return StoreError::Unauthorized { registry, message };
                }
                if is(&[
                    OciErrorCode::ManifestUnknown,
                    OciErrorCode::NameUnknown,
                    OciErrorCode::BlobUnknown,
                    OciErrorCode::NotFound,
                ]) {
                    return StoreError::NotFound { reference, message };
                }
                StoreError::Strange { registry, message }
            }
            OciDistributionError::AuthenticationFailure(message) => {
                StoreError::Unauthorized { registry, message }
            }
            OciDistributionError::UnauthorizedError { .. } => StoreError::Unauthorized {
                registry,
                message: String::new(),
            },
            OciDistributionError::ServerError { code: 404, .. } => StoreError::NotFound {
                reference,
                message: String::new(),
            },
            OciDistributionError::ServerError { code, message, .. } => StoreError::Trouble {
                registry,
                message: format!("{code} {message}"),
            },
            OciDistributionError::DigestError(error) => StoreError::Strange {
                registry,
                message: format!("what came is altered: {error}"),
            },
            _ => StoreError::Strange { registry, message },
        }
    }
}

/// Where cosign lays the signatures of a manifest.
fn signature_tag(manifest: &str) -> String {
    format!("{}.sig", manifest.replace(':', "-"))
}

async fn within<T>(registry: &str, asked: impl Future<Output = T>) -> Result<T, StoreError> {
    let answer = tokio::time::timeout(WHOLE, asked).await;
    answer.map_err(|_| StoreError::TooSlow {
        registry: registry.to_owned(),
        limit: WHOLE,
    })
}

fn client_config(source: &OciSource) -> ClientConfig {
    let ca = source.access.ca.iter().map(|pem| Certificate {
        encoding: CertificateEncoding::Pem,
        data: pem.clone(),
    });
    ClientConfig {
        protocol: match source.access.plain_http {
            true => ClientProtocol::Http,
            false => ClientProtocol::Https,
        },
        extra_root_certificates: ca.collect(),
        connect_timeout: Some(CONNECT),
        read_timeout: Some(SILENCE),
        user_agent: concat!("weir/", env!("CARGO_PKG_VERSION")),
        ..ClientConfig::default()
    }
}

/// From the environment, else as docker keeps them, else none.
fn credentials(registry: &str) -> Result<RegistryAuth, StoreError> {
    if let (Ok(user), Ok(password)) = (env::var("WKG_OCI_USERNAME"), env::var("WKG_OCI_PASSWORD")) {
        return Ok(RegistryAuth::Basic(user, password));
    }
    match get_credential(registry) {
        Ok(DockerCredential::UsernamePassword(user, password)) => {
            Ok(RegistryAuth::Basic(user, password))
        }
        Ok(DockerCredential::IdentityToken(token)) => Ok(RegistryAuth::Bearer(token)),
        Err(
            CredentialRetrievalError::ConfigNotFound
            | CredentialRetrievalError::NoCredentialConfigured,
        ) => Ok(RegistryAuth::Anonymous),
        // The library says so of a file that isn't there, too.
        Err(CredentialRetrievalError::ConfigReadError) if !docker_has_a_file() => {
            Ok(RegistryAuth::Anonymous)
        }
        Err(error) => Err(StoreError::Unauthorized {
            registry: registry.to_owned(),
            message: error.to_string(),
        }),
    }
}

fn docker_has_a_file() -> bool {
    let folder = env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".docker")));
    folder.is_some_and(|folder| folder.join("config.json").exists())
}

/// The innermost cause, which says most: `Connection refused` rather than `error sending request`.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// A blob as it comes, cut off where it gets longer than it said.
struct Collected {
    bytes: Vec<u8>,
    most: usize,
}

impl Collected {
    fn at_most(most: usize) -> Self {
        Self {
            bytes: Vec::new(),
            most,
        }
    }
}

impl AsyncWrite for Collected {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        piece: &[u8],
    ) -> Poll<io::Result<usize>> {
        if piece.len() > self.most - self.bytes.len() {
            let message = format!(
                "it sent more than the {} bytes that it had announced",
                self.most
            );
            return Poll::Ready(Err(io::Error::other(message)));
        }
        self.bytes.extend_from_slice(piece);
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
