//! Giving rights away once all is open: a jail, another user, a pid file that says who runs.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
};

use nix::unistd::{Gid, Uid, chdir, chroot, geteuid, initgroups, setgroups, setresgid, setresuid};
use rustix::fs::{Access, access};
use tracing::info;

use super::BuildError;
use crate::{
    config::{Config, Process},
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

/// The accounts that `config` names and this machine does not have: of the process, and of Unix sockets.
pub fn unknown_accounts(config: &Config) -> Vec<BuildError> {
    let process = &config.process;
    let binds = config.frontends.iter().flat_map(|frontend| &frontend.bind);
    let owners = binds
        .map(|bind| &bind.socket)
        .chain(process.runtime_sockets.iter().map(|socket| &socket.socket))
        .map(|socket| (&socket.user, &socket.group));
    let mut found = Vec::new();
    for (user, group) in [(&process.user, &process.group)].into_iter().chain(owners) {
        let user = user.as_deref().map(|name| account::user(name).map(drop));
        let group = group.as_deref().map(|name| account::group(name).map(drop));
        for (key, looked_up) in [("user", user), ("group", group)] {
            if let Some(Err(source)) = looked_up {
                found.push(BuildError::Account { key, source });
            }
        }
    }
    found
}

/// What is likely to keep `process` from starting here as far as folders go. Those may be made just before the start,
/// so nothing is certain.
pub fn doubts(process: &Process) -> Vec<String> {
    let mut doubts = Vec::new();
    if let Some(jail) = &process.chroot
        && let Some(why) = is_no_folder(jail)
    {
        doubts.push(format!("`chroot`: {why}"));
    }
    if let Some(file) = &process.pid_file {
        let folder = file.parent().unwrap_or(Path::new("/"));
        let shut = Access::WRITE_OK | Access::EXEC_OK;
        if file.is_dir() {
            doubts.push(format!("`pid_file`: {} is a folder", file.display()));
        } else if let Some(why) = is_no_folder(folder) {
            doubts.push(format!("`pid_file`: {why}"));
        } else if access(folder, shut).is_err() {
            let folder = folder.display();
            doubts.push(format!(
                "`pid_file`: whoever checks may not write into {folder}"
            ));
        }
    }
    doubts
}

fn is_no_folder(path: &Path) -> Option<String> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => None,
        Ok(_) => Some(format!("{} is no folder", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Some(format!("there is no {} here", path.display()))
        }
        // Whoever starts Weir may see more.
        Err(_) => None,
    }
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
