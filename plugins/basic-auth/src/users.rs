//! Who may log in: the users of the config and those of a map.

use std::{collections::HashMap, fmt, hash::Hasher, hint, time::Duration};

use sha2::{Digest, Sha256};
use siphasher::sip128::{Hasher128, SipHasher24};
use weir_sdk::{ConfigError, log};

use crate::{config, credentials::Credentials, hash::PasswordHash};

/// A hash that takes longer to check may not fit into the deadline that a plugin has by default, 100 ms.
const DEAR: Duration = Duration::from_millis(50);
/// A hash that needs more may not fit into the memory that a plugin has by default, 32 MiB; in KiB.
const LARGE: u32 = 24 << 10;

#[derive(Debug, Clone)]
pub struct User {
    pub name: String,
    /// Joined by commas, as the variable `groups` has them.
    pub groups: String,
    pub hash: PasswordHash,
}

/// A line of the users' map that is left out, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    pub name: String,
    pub problem: String,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user `{}`: {}", self.name, self.problem)
    }
}

/// Position of a user; good until the users change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserIndex(u32);

/// A set of users with unique names.
#[derive(Debug)]
pub struct Users {
    list: Vec<User>,
    by_name: HashMap<String, UserIndex>,
    key: (u64, u64),
}

impl Users {
    /// The first of several users with one name counts.
    pub fn new(all: impl IntoIterator<Item = User>) -> Self {
        let mut list: Vec<User> = Vec::new();
        let mut by_name = HashMap::new();
        let mut secrets = Sha256::new();
        for user in all {
            if by_name.contains_key(&user.name) {
                continue;
            }
            user.hash.feed(&mut secrets);
            by_name.insert(user.name.clone(), UserIndex(list.len() as u32));
            list.push(user);
        }
        let digest = secrets.finalize();
        let half = |at: usize| {
            let bytes = std::array::from_fn(|i| digest[at + i]);
            u64::from_le_bytes(bytes)
        };
        Self {
            key: (half(0), half(8)),
            list,
            by_name,
        }
    }

    pub fn get(&self, index: UserIndex) -> &User {
        &self.list[index.0 as usize]
    }

    /// The user who has this name and this password. Slow by intention.
    ///
    /// A name that is not known takes as long as one that is: the password is checked against the hash of
    /// a user that is chosen by the name, and the outcome thrown away. So names that do not exist take the
    /// same times, in the same mixture, as those that do.
    pub fn check(&self, credentials: &Credentials) -> Option<UserIndex> {
        let known = self.by_name.get(credentials.name()).copied();
        let index = match known {
            Some(index) => index,
            None if self.list.is_empty() => return None,
            None => self.stand_in(credentials.name()),
        };
        // Without the black box a check whose outcome does not matter might be left out.
        let passed = hint::black_box(self.get(index).hash.verify(credentials.password()));
        known.filter(|_| passed)
    }

    /// Says which limits the filter needs if checking a password goes beyond the usual ones.
    pub fn warn_of_dear_hashes(&self) {
        let dearest = self.list.iter().max_by_key(|user| user.hash.cost());
        if let Some(User { name, hash, .. }) = dearest.filter(|user| user.hash.cost() > DEAR) {
            let about = hash.cost().as_millis();
            log::warn(format_args!(
                "checking the password of `{name}` takes about {about} ms, in which its worker does nothing else; \
                 set `deadline = \"{}ms\"` for this filter, or use a cheaper hash",
                about * 4
            ));
        }
        let largest = self.list.iter().max_by_key(|user| user.hash.memory());
        if let Some(User { name, hash, .. }) = largest.filter(|user| user.hash.memory() > LARGE) {
            let needed = hash.memory() / 1024;
            log::warn(format_args!(
                "checking the password of `{name}` takes {needed} MiB of memory; set `memory = \"{}MiB\"` for this filter",
                needed * 2
            ));
        }
    }

    /// A fingerprint under a key that only those know who know the password hashes.
    pub fn fingerprint(&self, text: &str) -> u128 {
        let mut hasher = SipHasher24::new_with_keys(self.key.0, self.key.1);
        hasher.write(text.as_bytes());
        hasher.finish128().as_u128()
    }

    fn stand_in(&self, name: &str) -> UserIndex {
        let position = self.fingerprint(name) % self.list.len() as u128;
        UserIndex(position as u32)
    }
}

/// Reads the users of the config.
pub fn configured(users: &[config::User]) -> Result<Vec<User>, ConfigError> {
    let mut read: Vec<User> = Vec::with_capacity(users.len());
    for (position, user) in users.iter().enumerate() {
        let at = |key: &str, problem: &dyn fmt::Display| {
            ConfigError::at(&format!("/user/{position}{key}"), problem)
        };
        check_name(&user.name).map_err(|problem| at("/name", &problem))?;
        if read.iter().any(|other| other.name == user.name) {
            return Err(at(
                "/name",
                &format_args!("user `{}` is there twice", user.name),
            ));
        }
        let hash = match (&user.password_hash, &user.insecure_password) {
            (Some(hash), None) => {
                PasswordHash::parse(hash).map_err(|error| at("/password_hash", &error))?
            }
            (None, Some(password)) => PasswordHash::insecure(password),
            (None, None) => return Err(at("", &"a user needs a `password_hash`")),
            (Some(_), Some(_)) => {
                return Err(at(
                    "/insecure_password",
                    &"a user has a `password_hash` or an `insecure_password`, not both",
                ));
            }
        };
        let groups = join(user.groups.iter().map(String::as_str))
            .map_err(|problem| at("/groups", &problem))?;
        read.push(User {
            name: user.name.clone(),
            groups,
            hash,
        });
    }
    Ok(read)
}

/// Reads the entries of a map: the name, and `HASH GROUP,GROUP`.
pub fn mapped(entries: &[(String, String)]) -> (Vec<User>, Vec<BadLine>) {
    let mut users = Vec::with_capacity(entries.len());
    let mut bad = Vec::new();
    for (name, value) in entries {
        match mapped_user(name, value) {
            Ok(user) => users.push(user),
            Err(problem) => bad.push(BadLine {
                name: name.clone(),
                problem,
            }),
        }
    }
    (users, bad)
}

fn mapped_user(name: &str, value: &str) -> Result<User, String> {
    check_name(name)?;
    let mut fields = value.split_whitespace();
    let hash = fields.next().ok_or("there is no hash after the name")?;
    let groups = fields.next().unwrap_or_default();
    if fields.next().is_some() {
        return Err(
            "there is more than a hash and the groups; groups are joined by commas, without blanks"
                .to_owned(),
        );
    }
    Ok(User {
        name: name.to_owned(),
        groups: join(groups.split(',').filter(|_| !groups.is_empty()))?,
        hash: PasswordHash::parse(hash).map_err(|error| error.to_string())?,
    })
}

fn check_name(name: &str) -> Result<(), String> {
    match name.chars().find(|c| *c == ':' || c.is_control()) {
        Some(c) => Err(format!(
            "a name with `{}` in it cannot be sent",
            c.escape_default()
        )),
        None if name.is_empty() => Err("a user needs a name".to_owned()),
        None => Ok(()),
    }
}

fn join<'g>(groups: impl Iterator<Item = &'g str>) -> Result<String, String> {
    let groups: Vec<&str> = groups.collect();
    match groups.iter().find(|group| {
        group.is_empty() || group.contains([',', ' ']) || group.chars().any(char::is_control)
    }) {
        Some(group) => Err(format!("`{group}` cannot be the name of a group")),
        None => Ok(groups.join(",")),
    }
}
