//! The certificate that proxies have where clients come over TLS.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::model::Model;

/// Whom the certificate names.
pub const NAME: &str = "bench.local";

/// Files in PEM that a proxy reads.
#[derive(Debug, Clone)]
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Both, as HAProxy wants them.
    pub both: PathBuf,
}

impl Files {
    /// Makes them in `folder`, unless they are there.
    pub fn make(folder: &Path) -> Result<Self> {
        let files = Self {
            certificate: folder.join("cert.pem"),
            key: folder.join("key.pem"),
            both: folder.join("both.pem"),
        };
        if files.both.exists() {
            return Ok(files);
        }
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
            .args(["ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
            .args(["-subj", &format!("/CN={NAME}")])
            .args(["-addext", &format!("subjectAltName=DNS:{NAME}")])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-keyout")
            .arg(&files.key)
            .arg("-out")
            .arg(&files.certificate)
            .output()
            .context("openssl is needed for this case")?;
        let said = String::from_utf8_lossy(&made.stderr);
        ensure!(made.status.success(), "openssl made no certificate: {said}");
        let both = [fs::read(&files.certificate)?, fs::read(&files.key)?].concat();
        fs::write(&files.both, both).context("cannot write the certificate with its key")?;
        Ok(files)
    }

    /// Has the proxies of a case use them.
    pub fn name_in(&self, model: &mut Model) {
        let text = |file: &Path| Some(file.display().to_string());
        model.cert = text(&self.certificate);
        model.key = text(&self.key);
        model.cert_and_key = text(&self.both);
    }
}
