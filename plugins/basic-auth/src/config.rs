//! The plugin's part of weir.toml, as it is written.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    #[serde(rename = "user")]
    pub users: Vec<User>,
    /// The name of a granted map with more users: `name hash group1,group2`.
    pub users_map: Option<String>,
    /// What browsers show when they ask. The frontend's name if left out.
    pub realm: Option<String>,
    /// Only these paths need a password, each with all below it. All paths if left out.
    pub paths: Option<Vec<String>>,
    /// These paths, each with all below it, need none.
    pub except_paths: Vec<String>,
    /// Say who it is if that can be told, and let everybody pass.
    pub optional: bool,
    /// The variable that the name goes into; `user` if left out.
    pub user_var: Option<String>,
    /// The variable that the groups go into, joined by commas; `groups` if left out.
    pub groups_var: Option<String>,
    /// Keep the credentials from the servers.
    pub strip_authorization: bool,
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct User {
    pub name: String,
    /// SHA-512-crypt or SHA-256-crypt (`$6$`, `$5$`), bcrypt (`$2a$`, `$2b$`, `$2y$`) or argon2id.
    pub password_hash: Option<String>,
    /// The password in clear text, for tests and demonstrations.
    pub insecure_password: Option<String>,
    #[serde(default)]
    pub groups: Vec<String>,
}

impl fmt::Debug for User {
    /// Leaves the secrets out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .field("groups", &self.groups)
            .finish_non_exhaustive()
    }
}
