//! Certificates from an authority that issues them by itself: obtained and renewed beside the data path, written
//! to a file, and taken over by a new generation as any changed certificate is.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Identifier, NewAccount,
    NewOrder, OrderStatus, RetryPolicy,
};
use tokio::{
    sync::{mpsc::UnboundedSender, oneshot},
    task::{JoinHandle, spawn_local},
    time::sleep,
};
use tracing::{error, info};

use super::{admin::ReloadWish, assemble::with_cause};
use crate::{
    config::{Acme, AcmeNames, Config},
    net::{AcmeChallenges, CannotMake, until_renewal, use_one_cryptography},
};

/// Between looks at a certificate that is good for long.
const LOOK: Duration = Duration::from_secs(12 * 3600);
/// Before the first attempt after one that failed; each further one waits twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Authorities count failures by the hour.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Why there is no certificate yet.
#[derive(Debug, thiserror::Error)]
enum ObtainError {
    #[error("the authority at {directory}")]
    Authority {
        directory: String,
        source: instant_acme::Error,
    },
    #[error("the authority offers no challenge for {name} that Weir answers (tls-alpn-01)")]
    NoChallenge { name: String },
    #[error("the authority has refused {name}: {status:?}")]
    Refused {
        name: String,
        status: AuthorizationStatus,
    },
    #[error("the authority does not believe that {names} lead here: the order is {status:?}")]
    NotReady { names: String, status: OrderStatus },
    #[error(transparent)]
    Challenge(#[from] CannotMake),
    #[error("{} cannot be written", path.display())]
    Storage { path: PathBuf, source: io::Error },
    #[error("{} is no account", path.display())]
    Account {
        path: PathBuf,
        source: serde_json::Error,
    },
}

/// The certificates that are looked after, a task for each.
#[derive(Debug, Default)]
pub struct Certificates {
    of: Option<Acme>,
    running: Vec<(AcmeNames, Task)>,
}

#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Certificates {
    /// Looks after the certificates of `config` and no others. What is being obtained goes on.
    pub fn follow(
        &mut self,
        config: &Config,
        challenges: &AcmeChallenges,
        reloads: &UnboundedSender<ReloadWish>,
    ) {
        if self.of != config.acme {
            self.running.clear();
            self.of.clone_from(&config.acme);
        }
        let Some(acme) = &config.acme else {
            return;
        };
        let binds = config.frontends.iter().flat_map(|frontend| &frontend.bind);
        let wanted = binds.filter_map(|bind| bind.tls.as_ref()?.acme.as_ref());
        let mut before = std::mem::take(&mut self.running);
        for names in wanted {
            if self.running.iter().any(|(known, _)| known == names) {
                continue;
            }
            let known = before.iter().position(|(known, _)| known == names);
            let running = match known {
                Some(position) => before.swap_remove(position),
                None => {
                    let task = look_after(
                        acme.clone(),
                        names.clone(),
                        challenges.clone(),
                        reloads.clone(),
                    );
                    (names.clone(), Task(spawn_local(task)))
                }
            };
            self.running.push(running);
        }
    }
}

/// Obtains a certificate whenever one is due, for ever.
async fn look_after(
    acme: Acme,
    wanted: AcmeNames,
    challenges: AcmeChallenges,
    reloads: UnboundedSender<ReloadWish>,
) {
    let shown = wanted.names.join(", ");
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(left) = until_renewal(&wanted.file, &wanted.names) {
            sleep(left.min(LOOK)).await;
            continue;
        }
        info!(
            names = shown,
            directory = acme.directory,
            "obtaining a certificate"
        );
        match obtain(&acme, &wanted, &challenges).await {
            Ok(()) => {
                info!(names = shown, file = %wanted.file.display(), "certificate obtained");
                pause = FIRST_PAUSE;
                let (tell, told) = oneshot::channel();
                // Nobody listens any more when the proxy is stopping.
                if reloads.send(tell).is_err() {
                    return;
                }
                // What came of it is in the log already.
                let _ = told.await;
            }
            Err(error) => {
                error!(
                    names = shown,
                    "no certificate, trying again in {pause:?}: {}",
                    with_cause(&error)
                );
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One order, from the account to the file.
async fn obtain(
    acme: &Acme,
    wanted: &AcmeNames,
    challenges: &AcmeChallenges,
) -> Result<(), ObtainError> {
    let failed = |source| ObtainError::Authority {
        directory: acme.directory.clone(),
        source,
    };
    make_folder(&acme.storage)?;
    let account = account(acme).await?;
    let identifiers: Vec<_> = wanted.names.iter().cloned().map(Identifier::Dns).collect();
    let mut order = account
        .new_order(&NewOrder::new(&identifiers))
        .await
        .map_err(failed)?;
    let mut open = Open {
        challenges,
        names: Vec::new(),
    };
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(failed)?;
        let name = authorization.identifier().to_string();
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            status => return Err(ObtainError::Refused { name, status }),
        }
        let Some(mut challenge) = authorization.challenge(ChallengeType::TlsAlpn01) else {
            return Err(ObtainError::NoChallenge { name });
        };
        let digest = challenge.key_authorization().digest();
        challenges.answer(&name, digest.as_ref())?;
        open.names.push(name);
        challenge.set_ready().await.map_err(failed)?;
    }
    let patience = RetryPolicy::default();
    let status = order.poll_ready(&patience).await.map_err(failed)?;
    if status != OrderStatus::Ready {
        let names = wanted.names.join(", ");
        return Err(ObtainError::NotReady { names, status });
    }
    let key = order.finalize().await.map_err(failed)?;
    let chain = order.poll_certificate(&patience).await.map_err(failed)?;
    write(&wanted.file, format!("{chain}{key}").as_bytes())
}

/// Challenges that are answered as long as this lives.
struct Open<'a> {
    challenges: &'a AcmeChallenges,
    names: Vec<String>,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        for name in &self.names {
            self.challenges.forget(name);
        }
    }
}

/// The account that is kept beside the certificates, or a new one.
async fn account(acme: &Acme) -> Result<Account, ObtainError> {
    let failed = |source| ObtainError::Authority {
        directory: acme.directory.clone(),
        source,
    };
    use_one_cryptography();
    let builder = match &acme.ca {
        Some(ca) => Account::builder_with_root(ca),
        None => Account::builder(),
    }
    .map_err(failed)?;
    let file = acme.storage.join("account.json");
    if let Ok(text) = fs::read(&file) {
        let credentials: AccountCredentials =
            serde_json::from_slice(&text).map_err(|source| ObtainError::Account {
                path: file.clone(),
                source,
            })?;
        return builder.from_credentials(credentials).await.map_err(failed);
    }
    let contact: Vec<String> = acme
        .contact
        .iter()
        .map(|address| format!("mailto:{address}"))
        .collect();
    let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
    let wanted = NewAccount {
        contact: &contact,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let (account, credentials) = builder
        .create(&wanted, acme.directory.clone(), None)
        .await
        .map_err(failed)?;
    let text = serde_json::to_vec(&credentials).map_err(|source| ObtainError::Account {
        path: file.clone(),
        source,
    })?;
    write(&file, &text)?;
    Ok(account)
}

/// A folder that only its owner can look into, since there are keys in it.
fn make_folder(path: &Path) -> Result<(), ObtainError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| ObtainError::Storage {
            path: path.to_owned(),
            source,
        })
}

/// Puts a whole file in place of the old one, readable by its owner only.
fn write(path: &Path, content: &[u8]) -> Result<(), ObtainError> {
    let failed = |source| ObtainError::Storage {
        path: path.to_owned(),
        source,
    };
    let new = path.with_extension("new");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&new, path).map_err(failed)
}
