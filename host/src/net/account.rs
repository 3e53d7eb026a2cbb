//! Names of users and groups to the numbers that the system goes by.

use std::io;

use nix::unistd::{Gid, Group, Uid, User};

#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error("there is no user `{name}`")]
    NoUser { name: String },
    #[error("there is no group `{name}`")]
    NoGroup { name: String },
    #[error("accounts cannot be looked up")]
    LookUp(#[source] io::Error),
}

/// A user's number and first group. A number is taken as it is, with itself for the group.
pub fn user(name: &str) -> Result<(Uid, Gid), AccountError> {
    let found = User::from_name(name).map_err(|error| AccountError::LookUp(error.into()))?;
    if let Some(user) = found {
        return Ok((user.uid, user.gid));
    }
    match name.parse() {
        Ok(number) => Ok((Uid::from_raw(number), Gid::from_raw(number))),
        Err(_) => Err(AccountError::NoUser {
            name: name.to_owned(),
        }),
    }
}

pub fn group(name: &str) -> Result<Gid, AccountError> {
    let found = Group::from_name(name).map_err(|error| AccountError::LookUp(error.into()))?;
    if let Some(group) = found {
        return Ok(group.gid);
    }
    name.parse()
        .map(Gid::from_raw)
        .map_err(|_| AccountError::NoGroup {
            name: name.to_owned(),
        })
}
