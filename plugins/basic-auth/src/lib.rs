//! The filter `basic-auth`: asks for a user name and password (RFC 7617) and tells later plugins who it
//! is, in the variables `user` and `groups`. How it is configured is in README.md.

mod config;
mod credentials;
mod hash;
mod users;
mod verified;

use weir_sdk::{
    ConfigError, Decision, Handle, Input, Needs, OnRequest, Plugin, RequestFilter, Values, log,
    maps::Map,
};

pub use config::{Config, User};
use credentials::Credentials;
use users::{UserIndex, Users};
use verified::Verified;

#[derive(Debug)]
pub struct BasicAuth {
    authorization: Handle<OnRequest>,
    realm: Realm,
    scope: Option<Scope>,
    optional: bool,
    user_var: String,
    groups_var: String,
    strip_authorization: bool,
    /// Those of the config; the map's are added to them.
    configured: Vec<users::User>,
    map: Option<UsersMap>,
    users: Users,
    verified: Verified,
}

#[derive(Debug)]
struct UsersMap {
    map: Map,
    /// Which contents `users` has.
    version: u64,
}

#[derive(Debug)]
enum Realm {
    Fixed(String),
    Frontend(Handle<OnRequest>),
}

/// Which paths need a password.
#[derive(Debug)]
struct Scope {
    path: Handle<OnRequest>,
    /// `None`: all.
    paths: Option<Vec<String>>,
    except: Vec<String>,
}

impl Plugin for BasicAuth {
    type Config = Config;

    fn configure(config: Config, needs: &mut Needs) -> Result<Self, ConfigError> {
        if config.users.is_empty() && config.users_map.is_none() {
            return Err(ConfigError::new(
                "nobody could log in: add a `user` or a `users_map`",
            ));
        }
        for (key, name) in [
            ("user_var", &config.user_var),
            ("groups_var", &config.groups_var),
        ] {
            if name.as_ref().is_some_and(String::is_empty) {
                return Err(ConfigError::new(format!("/{key}: a variable needs a name")));
            }
        }
        let configured = users::configured(&config.users)?;
        let mut plugin = Self {
            authorization: needs.input(Input::HeaderAll("authorization".to_owned())),
            realm: realm(config.realm, needs)?,
            scope: scope(config.paths, config.except_paths, needs)?,
            optional: config.optional,
            user_var: config.user_var.unwrap_or_else(|| "user".to_owned()),
            groups_var: config.groups_var.unwrap_or_else(|| "groups".to_owned()),
            strip_authorization: config.strip_authorization,
            users: Users::new(configured.clone()),
            configured,
            map: None,
            verified: Verified::new(),
        };
        if let Some(name) = config.users_map {
            plugin.load_map(&name)?;
        }
        plugin.users.warn_of_dear_hashes();
        Ok(plugin)
    }
}

impl RequestFilter for BasicAuth {
    fn on_request(&mut self, values: &Values<'_, OnRequest>) -> Decision {
        let field = values.get(self.authorization);
        let is_open = self
            .scope
            .as_ref()
            .is_some_and(|scope| scope.is_open(values));
        let user = match field {
            Some(field) if !is_open => self.user(field),
            _ => None,
        };
        let mut decision = match user {
            Some(user) => self.identified(self.users.get(user)),
            None if is_open || self.optional => Decision::pass(),
            None => return self.challenge(values),
        };
        if self.strip_authorization && field.is_some() {
            decision.edits.remove_header("authorization");
        }
        decision
    }
}

impl BasicAuth {
    fn identified(&self, user: &users::User) -> Decision {
        Decision::pass().edit(|request| {
            request
                .set_var(&self.user_var, &user.name)
                .set_var(&self.groups_var, &user.groups)
        })
    }

    /// Whose credentials these are, if they are right.
    fn user(&mut self, field: &str) -> Option<UserIndex> {
        self.refresh();
        let fingerprint = self.users.fingerprint(field);
        if let Some(user) = self.verified.get(fingerprint) {
            return Some(user);
        }
        let user = self.users.check(&Credentials::parse(field)?)?;
        self.verified.insert(fingerprint, user);
        Some(user)
    }

    fn challenge(&self, values: &Values<'_, OnRequest>) -> Decision {
        let realm = match &self.realm {
            Realm::Fixed(realm) => realm,
            Realm::Frontend(name) => values.get(*name).unwrap_or("weir"),
        };
        let value = format!("Basic realm=\"{}\"", quoted(realm));
        Decision::deny(401)
            .edit_response(|response| response.set_header("www-authenticate", &value))
    }

    fn load_map(&mut self, name: &str) -> Result<(), ConfigError> {
        let map = Map::named(name);
        let at = |problem: String| ConfigError::at("/users_map", problem);
        let version = map.version();
        if version == 0 {
            return Err(at(format!(
                "no map `{name}` is granted to this filter; add `maps = [\"{name}\"]` to it"
            )));
        }
        let (mapped, bad) = users::mapped(&map.entries());
        if let Some(bad) = bad.first() {
            return Err(at(bad.to_string()));
        }
        let is_there_twice =
            |user: &&users::User| self.configured.iter().any(|other| other.name == user.name);
        if let Some(user) = mapped.iter().find(is_there_twice) {
            return Err(at(format!("user `{}` is in the config as well", user.name)));
        }
        self.take(mapped);
        self.map = Some(UsersMap { map, version });
        Ok(())
    }

    /// Follows a change of the map. A line that makes no sense costs that user the access, not the others.
    fn refresh(&mut self) {
        let Some(UsersMap { map, version }) = &mut self.map else {
            return;
        };
        let current = map.version();
        if *version == current {
            return;
        }
        *version = current;
        let (mapped, bad) = users::mapped(&map.entries());
        for bad in bad {
            log::error(format_args!(
                "map `{}`: {bad}; nobody can log in by that name",
                map.name()
            ));
        }
        self.take(mapped);
    }

    fn take(&mut self, mapped: Vec<users::User>) {
        self.users = Users::new(self.configured.iter().cloned().chain(mapped));
        self.verified.clear();
    }
}

impl Scope {
    /// Whether a request needs no password. What has no path, such as `OPTIONS *`, needs one.
    fn is_open(&self, values: &Values<'_, OnRequest>) -> bool {
        let Some(path) = values.get(self.path).filter(|path| path.starts_with('/')) else {
            return false;
        };
        let closed = match &self.paths {
            None => true,
            Some(paths) => paths.iter().any(|above| is_below(path, above)),
        };
        !closed || self.except.iter().any(|above| is_below(path, above))
    }
}

/// Whether `path` is `above` or lies below it, by whole segments.
fn is_below(path: &str, above: &str) -> bool {
    let rest = path.strip_prefix(above.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn realm(realm: Option<String>, needs: &mut Needs) -> Result<Realm, ConfigError> {
    match realm {
        Some(realm) if realm.chars().any(|c| c.is_control() || !c.is_ascii()) => Err(
            ConfigError::at("/realm", "a realm is made of printable ASCII characters"),
        ),
        Some(realm) => Ok(Realm::Fixed(realm)),
        None => Ok(Realm::Frontend(needs.input(Input::FrontendName))),
    }
}

fn scope(
    paths: Option<Vec<String>>,
    except: Vec<String>,
    needs: &mut Needs,
) -> Result<Option<Scope>, ConfigError> {
    if paths.as_ref().is_some_and(Vec::is_empty) {
        return Err(ConfigError::at(
            "/paths",
            "an empty list would leave everything open; leave `paths` out to close everything",
        ));
    }
    check_paths("/paths", paths.as_deref().unwrap_or_default())?;
    check_paths("/except_paths", &except)?;
    if paths.is_none() && except.is_empty() {
        return Ok(None);
    }
    Ok(Some(Scope {
        path: needs.input(Input::Path),
        paths,
        except,
    }))
}

/// Refuses what no normalised path begins with: such a path would be left open without anybody noticing.
fn check_paths(pointer: &str, paths: &[String]) -> Result<(), ConfigError> {
    for (position, path) in paths.iter().enumerate() {
        let is_odd = !path.starts_with('/')
            || path.contains("//")
            || path.contains(['?', '#'])
            || path.split('/').any(|segment| matches!(segment, "." | ".."))
            || !path.chars().all(|c| c.is_ascii_graphic());
        if is_odd {
            let problem = format!(
                "`{path}` can never match; write a path as it is after normalising, such as `/admin`"
            );
            return Err(ConfigError::at(&format!("{pointer}/{position}"), problem));
        }
    }
    Ok(())
}

/// The inside of a quoted string (RFC 9110 §5.6.4).
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

weir_sdk::export!(BasicAuth: RequestFilter);
