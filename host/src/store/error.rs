//! Why a component could not be fetched, sent, signed or verified.

use std::{io, path::PathBuf, time::Duration};

use crate::config::OciReference;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{} can't be read or written", file.display())]
    File { file: PathBuf, source: io::Error },

    #[error("the registry {registry} can't be reached: {message}")]
    Unreachable { registry: String, message: String },

    #[error("the registry {registry} did not answer within {limit:?}")]
    TooSlow { registry: String, limit: Duration },

    /// The connection ended in the middle.
    #[error("the registry {registry} broke off: {message}")]
    BrokenOff { registry: String, message: String },

    #[error("the registry {registry} has trouble of its own: {message}")]
    Trouble { registry: String, message: String },

    #[error(
        "the registry {registry} wants other credentials{}; `docker login {registry}` keeps some, and \
         WKG_OCI_USERNAME and WKG_OCI_PASSWORD come before those",
        reason(message)
    )]
    Unauthorized { registry: String, message: String },

    #[error("there is no {reference}{}", reason(message))]
    NotFound { reference: String, message: String },

    #[error("the registry {registry} answered what is not understood: {message}")]
    Strange { registry: String, message: String },

    #[error(
        "{reference} has moved: it named {from} when it was first used here, and now {to}; pin the one that is \
         meant, as in `oci://{}/{}@{to}`, or write `moved_tags = \"follow\"` into \
         [registry.\"{}\"]",
        reference.registry, reference.repository, reference.registry
    )]
    Moved {
        reference: Box<OciReference>,
        from: String,
        to: String,
    },

    #[error("what came is altered: it has the digest {found}, and {wanted} was asked for")]
    WrongDigest { wanted: String, found: String },

    /// And it could not be fetched again.
    #[error("{} is altered: it has the digest {found}, and should have {wanted}", file.display())]
    Altered {
        file: PathBuf,
        wanted: String,
        found: String,
        source: Box<StoreError>,
    },

    #[error(
        "{reference} is no component: {found}; a component has one layer of the type application/wasm"
    )]
    NotAComponent { reference: String, found: String },

    #[error("{reference} has {found} bytes, and {limit} is the limit of a component")]
    TooLarge {
        reference: String,
        found: u64,
        limit: u64,
    },

    #[error("{what} is not signed (looked for {looked_for}), and [trust] wants a signature")]
    Unsigned { what: String, looked_for: String },

    #[error("{what} is not signed by {keys}, or was altered after it was signed")]
    NotByKey { what: String, keys: String },

    #[error("{} is no public key of the kind that is used here (ECDSA on P-256): {message}", file.display())]
    BadKey { file: PathBuf, message: String },

    #[error(
        "{} is no secret key of the kind that is used here (ECDSA on P-256, PKCS#8, not encrypted): {message}; \
         `weir plugin keygen` makes one",
        file.display()
    )]
    BadSecretKey { file: PathBuf, message: String },

    #[error("the fetching thread could not be started")]
    Thread { source: io::Error },
}

fn reason(message: &str) -> String {
    match message {
        "" => String::new(),
        message => format!(": {message}"),
    }
}

impl StoreError {
    /// Whether the registry said nothing at all about what was asked, so that what is kept may be used.
    pub(super) fn is_silence(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::TooSlow { .. }
            | Self::BrokenOff { .. }
            | Self::Trouble { .. } => true,
            Self::File { .. }
            | Self::Unauthorized { .. }
            | Self::NotFound { .. }
            | Self::Strange { .. }
            | Self::Moved { .. }
            | Self::WrongDigest { .. }
            | Self::Altered { .. }
            | Self::NotAComponent { .. }
            | Self::TooLarge { .. }
            | Self::Unsigned { .. }
            | Self::NotByKey { .. }
            | Self::BadKey { .. }
            | Self::BadSecretKey { .. }
            | Self::Thread { .. } => false,
        }
    }
}
