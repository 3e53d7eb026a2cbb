//! `stats enable`, `uri`, `auth`, `refresh`: the page of figures at a frontend. It is served by the proxy itself,
//! as the server `weir:statistics`; who may see it is for filters to say.

use crate::{
    problem::Problem,
    remark::Fate,
    text::Line,
    weir::{Backend, Commented, Filter, Table, Value},
};

use super::{
    Translator,
    draft::{Draft, Mode, keyword},
    rule::Rule,
    timeouts,
    words::Words,
};

/// Where HAProxy has the page if nothing is said.
const USUAL: &str = "/haproxy?stats";

/// What a frontend says of its page.
struct Page {
    path: String,
    /// What the query begins with.
    query: Option<String>,
    refresh: Option<i64>,
    users: Vec<(String, String)>,
    realm: Option<String>,
}

/// What becomes of a `stats` line where there is a page.
pub fn fate(line: &Line) -> Result<Fate, Problem> {
    let mut words = Words::of(line);
    let what = words.need("what about the page")?;
    Ok(match what.text.as_str() {
        "enable" | "uri" | "refresh" | "auth" | "realm" | "hide-version" | "show-legends"
        | "show-modules" => Fate::Same,
        "show-node" | "show-desc" => Fate::nearly("the page has no name of the machine"),
        "scope" => Fate::nearly("the page shows all frontends and backends"),
        "admin" => Fate::dropped(
            "the page only shows; the runtime socket and the admin interface change servers",
        ),
        "http-request" => Fate::dropped("rules of the frontend hold for the page, too"),
        other => {
            let what_else = format!("`stats {other}` has no meaning here");
            return Err(Problem::new(what.place, what_else)
                .hint("these are enable, uri, refresh, auth, realm, admin and hide-version"));
        }
    })
}

/// Whether a frontend has a page.
pub fn is_shown(draft: &Draft<'_>) -> bool {
    draft.mode == Mode::Http && draft.is_frontend() && draft.all("stats").next().is_some()
}

impl Page {
    fn of(draft: &Draft<'_>) -> Option<Self> {
        if !is_shown(draft) {
            return None;
        }
        let mut page = Self {
            path: String::new(),
            query: None,
            refresh: None,
            users: Vec::new(),
            realm: None,
        };
        let mut uri = USUAL;
        for line in draft.all("stats") {
            match keyword(line) {
                ["stats", "uri", text] if text.starts_with('/') => uri = text,
                ["stats", "auth", user] => {
                    if let Some((name, password)) = user.split_once(':') {
                        page.users.push((name.to_owned(), password.to_owned()));
                    }
                }
                ["stats", "realm", text] => page.realm = Some(text.to_owned()),
                ["stats", "refresh", time] => {
                    let time = crate::text::duration(time, "s").ok();
                    let seconds = time.map(|time| time.microseconds / 1_000_000);
                    page.refresh = seconds.and_then(|seconds| i64::try_from(seconds).ok());
                }
                _ => {}
            }
        }
        let (path, query) = match uri.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (uri, None),
        };
        path.clone_into(&mut page.path);
        page.query = query;
        Some(page)
    }

    /// The filter that asks for names and passwords. It is the backend's, so nothing of the page is without it.
    fn login(&self) -> Option<Filter> {
        if self.users.is_empty() {
            return None;
        }
        let user = |(name, password): &(String, String)| {
            Value::from(
                Table::of("name", name.as_str()).with("insecure_password", password.as_str()),
            )
        };
        let users: Vec<Value> = self.users.iter().map(user).collect();
        let mut config = Table::of("user", users);
        config.set(
            "realm",
            self.realm.as_deref().unwrap_or("HAProxy Statistics"),
        );
        Some(Filter {
            plugin: "basic-auth".to_owned(),
            config,
            ..Filter::default()
        })
    }

    /// Rules that send whoever asks for the page to that backend.
    fn rules(&self, backend: &str) -> Vec<Rule> {
        let rule = |when: Table, path: &str, query: Option<String>| {
            let mut rule = Rule::default();
            rule.when.value = Some(when.into());
            rule.body.set("set_path", path);
            rule.body.set("set_query", query.unwrap_or_default());
            rule.body.set("use", backend);
            rule.used.reads.extend(["path", "query"].map(str::to_owned));
            rule
        };
        let refresh = self.refresh.filter(|seconds| *seconds > 0);
        let refresh = refresh.map(|seconds| format!("refresh={seconds}"));
        match &self.query {
            // With `;csv` behind it, the query is HAProxy's.
            Some(query) => {
                let at = |query: String| {
                    Table::of("raw_path", Table::of("exact", self.path.as_str()))
                        .with("query", Table::of("prefix", query))
                };
                vec![
                    rule(at(format!("{query};csv")), "/stats;csv", None),
                    rule(at(query.clone()), "/stats", refresh),
                ]
            }
            None => {
                let at = |key: &str, path: String| Table::of("raw_path", Table::of(key, path));
                let csv = format!("{};csv", self.path);
                vec![
                    rule(at("prefix", csv), "/stats;csv", None),
                    rule(at("prefix", self.path.clone()), "/stats", refresh),
                ]
            }
        }
    }
}

impl<'t> Translator<'t> {
    /// The rules that lead to a frontend's page, if it has one; the page's backend is made.
    pub(super) fn statistics(&mut self, draft: &Draft<'t>) -> Vec<Rule> {
        let Some(page) = Page::of(draft) else {
            return Vec::new();
        };
        let name = format!("{}-page", draft.name());
        let server = Table::of("name", "weir").with("address", "weir:statistics");
        self.weir.backends.push(Backend {
            keys: Table::of("name", name.as_str()),
            servers: vec![Commented {
                comments: Vec::new(),
                table: server,
            }],
            timeouts: timeouts::backend(draft),
            filters: page.login().into_iter().collect(),
            ..Backend::default()
        });
        page.rules(&name)
    }
}
