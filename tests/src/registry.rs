//! A real registry on loopback: Debian's `docker-registry`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::{Child, Command};

use crate::{deadline::eventually, output::Lines};

/// A running registry with a folder of its own. Dropping it kills it.
pub struct Registry {
    folder: tempfile::TempDir,
    address: String,
    child: Child,
}

impl Registry {
    /// Starts one; `None`, with a word about it, where the program is missing.
    pub async fn start() -> Option<Self> {
        let folder = tempfile::tempdir().expect("there is room for temporary files");
        let config = format!(
            "version: 0.1\nlog: {{ level: info }}\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\n\
             http: {{ addr: \"127.0.0.1:0\" }}\n",
            folder.path().join("data").display()
        );
        fs::write(folder.path().join("config.yml"), config).expect("files can be written");
        let child = Command::new("docker-registry")
            .args(["serve", "config.yml"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) => {
                eprintln!(
                    "skipped: there is no docker-registry ({error}); apt-get install docker-registry"
                );
                return None;
            }
        };
        let log = Lines::default();
        // Its pipe must be read for as long as it runs.
        drop(log.collect(child.stderr.take().expect("stderr is piped")));
        let address = eventually("a registry that listens", async || {
            log.find(0, |line| {
                let (_, rest) = line.split_once("listening on ")?;
                Some(rest.split('"').next()?.to_owned())
            })
        })
        .await;
        Some(Self {
            folder,
            address,
            child,
        })
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The reference to something in it.
    pub fn reference(&self, rest: &str) -> String {
        format!("oci://{}/{rest}", self.address)
    }

    /// What weir.toml says so that it is reached.
    pub fn access(&self) -> String {
        format!("[registry.\"{}\"]\nplain_http = true\n", self.address)
    }

    /// From now on nobody answers there.
    pub async fn stop(&mut self) {
        self.child.kill().await.expect("it is our own child");
    }

    /// Where it keeps the bytes of a digest.
    pub fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        let blobs = Path::new("data/docker/registry/v2/blobs/sha256");
        let folder = self.folder.path().join(blobs);
        folder.join(&hex[..2]).join(hex).join("data")
    }
}
