//! User lists, and who has logged in.

use crate::{
    file::{File, Kind, Section},
    problem::Problem,
    remark::Fate,
    text::Line,
    weir::{Filter, Table, Value},
};

use super::{
    Translator,
    draft::keyword,
    facts::{Reason, Used},
    maps::Maps,
    words::Words,
};

/// The variable that holds the name of a user of this list.
pub fn user_var(list: &str, maps: &Maps) -> String {
    format!("user{}", maps.list_suffix(list))
}

fn groups_var(list: &str, maps: &Maps) -> String {
    format!("groups{}", maps.list_suffix(list))
}

/// `http_auth(LIST)`.
pub fn logged_in(list: Option<&str>, maps: &Maps, used: &mut Used) -> Result<Value, Reason> {
    let list = list.ok_or("`http_auth` needs a userlist")?;
    used.users.insert(list.to_owned());
    Ok(Table::of(
        "var",
        Table::of("name", user_var(list, maps)).with("present", true),
    )
    .into())
}

/// `http_auth_group(LIST) GROUP …`.
pub fn in_group(
    list: Option<&str>,
    groups: &[String],
    maps: &Maps,
    used: &mut Used,
) -> Result<Value, Reason> {
    let list = list.ok_or("`http_auth_group` needs a userlist")?;
    used.users.insert(list.to_owned());
    let groups: Vec<String> = groups.iter().map(|group| regex::escape(group)).collect();
    let pattern = format!("(^|,)({})(,|$)", groups.join("|"));
    Ok(Table::of(
        "var",
        Table::of("name", groups_var(list, maps)).with("regex", pattern),
    )
    .into())
}

/// Who may be let in without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking {
    /// Everybody else gets 401.
    Demanded,
    /// Everybody passes; who has good credentials is known by name.
    Optional,
}

/// The filter that knows the users of a list.
///
/// # Errors
/// There is no such list, or nobody in it can be checked.
pub fn filter(
    file: &File,
    maps: &Maps,
    list: &str,
    realm: Option<&str>,
    asking: Asking,
) -> Result<Filter, Reason> {
    let section = file
        .named(Kind::Userlist, list)
        .ok_or_else(|| format!("no userlist is called `{list}`"))?;
    let users: Vec<Value> = users(section)
        .into_iter()
        .filter_map(|(_, user)| user.ok())
        .map(Value::from)
        .collect();
    if users.is_empty() {
        return Err(format!(
            "no user of the list `{list}` has a password that can be checked"
        ));
    }
    let mut config = Table::of("user", users);
    if let Some(realm) = realm {
        config.set("realm", realm);
    }
    if asking == Asking::Optional {
        config.set("optional", true);
    }
    if !maps.list_suffix(list).is_empty() {
        config.set("user_var", user_var(list, maps));
        config.set("groups_var", groups_var(list, maps));
    }
    Ok(Filter {
        plugin: "basic-auth".to_owned(),
        config,
        ..Filter::default()
    })
}

/// Each user with the line that it stands on; an error is why it cannot be carried over.
fn users(section: &Section) -> Vec<(&Line, Result<Table, Reason>)> {
    let groups: Vec<(&str, Vec<&str>)> = section
        .directives
        .iter()
        .filter(|line| keyword(line)[0] == "group" && keyword(line)[2] == "users")
        .map(|line| {
            let members = line.words.get(3).map_or("", |word| word.text.as_str());
            (keyword(line)[1], members.split(',').collect())
        })
        .collect();
    let users = section
        .directives
        .iter()
        .filter(|line| keyword(line)[0] == "user");
    users.map(|line| (line, user(line, &groups))).collect()
}

fn user(line: &Line, groups: &[(&str, Vec<&str>)]) -> Result<Table, Reason> {
    let mut words = Words::of(line);
    let missing = |_: Problem| "a user has a name and a password".to_owned();
    let name = words.need("a name").map_err(missing)?.text.as_str();
    let mut user = Table::of("name", name);
    let mut own: Vec<&str> = groups
        .iter()
        .filter(|(_, members)| members.contains(&name))
        .map(|(group, _)| *group)
        .collect();
    while let Some(word) = words.next() {
        let value = words.need("a value").map_err(missing)?.text.as_str();
        match word.text.as_str() {
            "password"
                if value.starts_with("$5$")
                    || value.starts_with("$6$")
                    || value.starts_with("$2") =>
            {
                user.set("password_hash", value);
            }
            "password" => {
                return Err("its hash is too weak to be supported (SHA-256, SHA-512 and bcrypt are); make a new one with `openssl passwd -6`".to_owned());
            }
            "insecure-password" => user.set("insecure_password", value),
            "groups" => own.extend(value.split(',')),
            _ => return Err(format!("`{}` is unknown", word.text)),
        }
    }
    if user
        .get("password_hash")
        .or(user.get("insecure_password"))
        .is_none()
    {
        return Err("without a password nobody can log in".to_owned());
    }
    if !own.is_empty() {
        user.set(
            "groups",
            Value::List(own.into_iter().map(Value::from).collect()),
        );
    }
    Ok(user)
}

impl Translator<'_> {
    pub(super) fn userlist(&mut self, section: &Section) {
        for (line, user) in users(section) {
            let fate = match user {
                Ok(_) => Fate::Same,
                Err(why) => Fate::dropped(why),
            };
            self.remark(line, fate);
        }
        for line in &section.directives {
            match keyword(line) {
                ["user", ..] => {}
                ["group", ..] => self.remark(line, Fate::Same),
                [other, ..] => {
                    let problem = Problem::new(
                        line.words[0].place,
                        format!("a userlist has `user` and `group`, not `{other}`"),
                    );
                    self.problems.add(problem);
                }
            }
        }
    }
}
