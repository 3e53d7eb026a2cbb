//! Giving rights away once all is open: a jail, another user, a pid file that says who runs.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
};

use nix::unistd::{Gid, Uid, chdir, chroot, geteuid, initgroups, setgroups, setresgid, setresuid};
use tracing::info;

use crate::{
    config::Process,
    net::account::{self, AccountError},
};

#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    #[error("`user` or `group`")]
    Account(#[from] AccountError),
    #[error("cannot become user {user}; that takes root")]
    Become { user: String, source: io::Error },
    #[error("cannot give the groups of root away")]
    Groups { source: io::Error },
    #[error("cannot make {} the root of all paths; that takes root", path.display())]
    Jail { path: PathBuf, source: io::Error },
    #[error("the pid file {} cannot be written", path.display())]
    PidFile { path: PathBuf, source: io::Error },
}

/// Who the process is to become, looked up while the system's files can still be read.
#[derive(Debug)]
struct Identity {
    name: String,
    user: Option<Uid>,
    group: Option<Gid>,
}

impl Identity {
    fn wanted(process: &Process) -> Result<Option<Self>, PrivilegeError> {
        let user = process.user.as_deref().map(account::user).transpose()?;
        let group = process.group.as_deref().map(account::group).transpose()?;
        if user.is_none() && group.is_none() {
            return Ok(None);
        }
        Ok(Some(Self {
            name: process.user.clone().unwrap_or_default(),
            user: user.map(|(user, _)| user),
            group: group.or(user.map(|(_, group)| group)),
        }))
    }

    /// For all threads: the C library sees to that.
    fn become_it(&self) -> Result<(), PrivilegeError> {
        if self.user == Some(geteuid()) && !geteuid().is_root() {
            // Started as that user, by a service manager or by the proxy before this one.
            return Ok(());
        }
        let groups = |error: nix::Error| PrivilegeError::Groups {
            source: error.into(),
        };
        if let Some(group) = self.group {
            match std::ffi::CString::new(self.name.clone()) {
                Ok(name) if !name.is_empty() && self.name.parse::<u32>().is_err() => {
                    initgroups(&name, group).map_err(groups)?;
                }
                _ => setgroups(&[group]).map_err(groups)?,
            }
            setresgid(group, group, group).map_err(groups)?;
        }
        if let Some(user) = self.user {
            setresuid(user, user, user).map_err(|error| PrivilegeError::Become {
                user: self.name.clone(),
                source: error.into(),
            })?;
        }
        Ok(())
    }
}

/// Whether giving rights away could work as far as that shows before it is done: that the accounts are there, and the
/// folders.
pub fn check(process: &Process) -> Result<(), PrivilegeError> {
    Identity::wanted(process)?;
    if let Some(path) = &process.chroot {
        fs::read_dir(path).map_err(|source| PrivilegeError::Jail {
            path: path.clone(),
            source,
        })?;
    }
    if let Some(path) = &process.pid_file
        && let Some(folder) = path.parent()
    {
        fs::read_dir(folder).map_err(|source| PrivilegeError::PidFile {
            path: path.clone(),
            source,
        })?;
    }
    Ok(())
}

/// Gives away what `process` says is not needed any more, now that sockets, logs and plugins are open.
pub fn give_away(process: &Process) -> Result<(), PrivilegeError> {
    let identity = Identity::wanted(process)?;
    if let Some(path) = &process.chroot {
        let jail = |error: nix::Error| PrivilegeError::Jail {
            path: path.clone(),
            source: error.into(),
        };
        chroot(path).map_err(jail)?;
        chdir("/").map_err(jail)?;
        info!(path = %path.display(), "all paths begin here from now on");
    }
    if let Some(identity) = identity {
        identity.become_it()?;
        info!(user = identity.name, "rights given away");
    }
    Ok(())
}

/// A file with the number of this process. Dropping it removes it, unless it is another's by then.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
}

impl PidFile {
    pub fn write(path: &Path) -> Result<Self, PrivilegeError> {
        fs::write(path, format!("{}\n", process::id())).map_err(|source| {
            PrivilegeError::PidFile {
                path: path.to_owned(),
                source,
            }
        })?;
        Ok(Self {
            path: path.to_owned(),
        })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let ours = process::id().to_string();
        if fs::read_to_string(&self.path).is_ok_and(|text| text.trim() == ours) {
            // The rights to remove it may be given away, and a stale number does no harm.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_goes_with_its_process_and_not_with_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weir.pid");
        let file = PidFile::write(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.trim(), process::id().to_string());
        fs::write(&path, "1\n").unwrap();
        drop(file);
        assert!(path.exists(), "it is another's");
        drop(PidFile::write(&path).unwrap());
        assert!(!path.exists());
    }
}
