//! A configuration as text.

use std::fmt;

use super::{
    Backend, Commented, Filter, Frontend, Table, Value, Weir,
    value::{key, text},
};

/// Where a line is broken, if it can be.
const WIDTH: usize = 120;

impl fmt::Display for Weir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut page = Page {
            out: f,
            begun: false,
        };
        page.comments(&self.comments)?;
        if !self.top.is_empty() {
            page.gap()?;
            page.keys(&self.top)?;
        }
        if self.logs.as_ref().is_some_and(Vec::is_empty) {
            page.line("log = []")?;
        }
        page.section("[timeouts]", &self.timeouts)?;
        for log in self.logs.iter().flatten() {
            page.section("[[log]]", log)?;
        }
        for socket in &self.runtime_sockets {
            page.section("[[runtime_socket]]", socket)?;
        }
        for map in &self.maps {
            page.section("[[map]]", map)?;
        }
        for table in &self.counters {
            page.section("[[counters]]", table)?;
        }
        for resolver in &self.resolvers {
            page.section("[[resolver]]", resolver)?;
        }
        for cache in &self.caches {
            page.section("[[cache]]", cache)?;
        }
        self.frontends
            .iter()
            .try_for_each(|frontend| page.frontend(frontend))?;
        self.backends
            .iter()
            .try_for_each(|backend| page.backend(backend))
    }
}

struct Page<'p, 'f> {
    out: &'p mut fmt::Formatter<'f>,
    begun: bool,
}

impl Page<'_, '_> {
    fn line(&mut self, line: &str) -> fmt::Result {
        self.begun = true;
        writeln!(self.out, "{line}")
    }

    /// An empty line, but not at the top.
    fn gap(&mut self) -> fmt::Result {
        if self.begun {
            writeln!(self.out)
        } else {
            Ok(())
        }
    }

    fn comments(&mut self, comments: &[String]) -> fmt::Result {
        comments
            .iter()
            .try_for_each(|comment| self.comment("", comment))
    }

    fn comment(&mut self, indent: &str, comment: &str) -> fmt::Result {
        let plain: String = comment
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        self.line(&format!("{indent}# {plain}"))
    }

    fn section(&mut self, heading: &str, keys: &Table) -> fmt::Result {
        if keys.is_empty() {
            return Ok(());
        }
        self.gap()?;
        self.line(heading)?;
        self.keys(keys)
    }

    fn keys(&mut self, keys: &Table) -> fmt::Result {
        keys.iter()
            .try_for_each(|(name, value)| self.key(&key(name), value))
    }

    fn key(&mut self, name: &str, value: &Value) -> fmt::Result {
        let line = format!("{name} = {value}");
        match value {
            Value::List(list) if line.chars().count() > WIDTH => {
                self.line(&format!("{name} = ["))?;
                for value in list {
                    self.line(&format!("  {value},"))?;
                }
                self.line("]")
            }
            // The keys of a long table on lines of their own.
            Value::Table(table) if line.chars().count() > WIDTH => table
                .iter()
                .try_for_each(|(inner, value)| self.key(&format!("{name}.{}", key(inner)), value)),
            _ => self.line(&line),
        }
    }

    fn frontend(&mut self, frontend: &Frontend) -> fmt::Result {
        self.gap()?;
        self.comments(&frontend.comments)?;
        self.line("[[frontend]]")?;
        self.keys(&frontend.keys)?;
        if !frontend.timeouts.is_empty() {
            self.key("timeouts", &Value::Table(frontend.timeouts.clone()))?;
        }
        frontend
            .filters
            .iter()
            .try_for_each(|filter| self.filter("frontend", filter))
    }

    fn backend(&mut self, backend: &Backend) -> fmt::Result {
        self.gap()?;
        self.comments(&backend.comments)?;
        self.line("[[backend]]")?;
        self.keys(&backend.keys)?;
        if !backend.timeouts.is_empty() {
            self.key("timeouts", &Value::Table(backend.timeouts.clone()))?;
        }
        self.list("server", &backend.servers)?;
        backend
            .filters
            .iter()
            .try_for_each(|filter| self.filter("backend", filter))
    }

    fn filter(&mut self, owner: &str, filter: &Filter) -> fmt::Result {
        self.gap()?;
        self.line(&format!("[[{owner}.filter]]"))?;
        self.line(&format!("plugin = {}", text(&filter.plugin)))?;
        self.keys(&filter.keys)?;
        if filter.config.is_empty()
            && filter.matchers.is_empty()
            && filter.connection_rules.is_empty()
            && filter.rules.is_empty()
            && filter.response_rules.is_empty()
        {
            return Ok(());
        }
        self.line(&format!("[{owner}.filter.config]"))?;
        self.keys(&filter.config)?;
        for (name, value) in &filter.matchers {
            self.key(&format!("match.{}", key(name)), value)?;
        }
        self.list("connection_rule", &filter.connection_rules)?;
        self.list("rule", &filter.rules)?;
        self.list("response_rule", &filter.response_rules)
    }

    /// A list of tables: each on a line, or a short one alone on the key's own.
    fn list(&mut self, name: &str, tables: &[Commented]) -> fmt::Result {
        match tables {
            [] => return Ok(()),
            [Commented { comments, table }] if comments.is_empty() => {
                let line = format!("{name} = [{table}]");
                if line.chars().count() <= WIDTH {
                    return self.line(&line);
                }
            }
            _ => {}
        }
        self.line(&format!("{name} = ["))?;
        for Commented { comments, table } in tables {
            comments
                .iter()
                .try_for_each(|comment| self.comment("  ", comment))?;
            self.line(&format!("  {table},"))?;
        }
        self.line("]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_laid_out_as_by_hand() {
        let server = |name: &str| Commented {
            comments: Vec::new(),
            table: Table::of("name", name).with("address", "a:1"),
        };
        let weir = Weir {
            comments: vec!["the shop".to_owned()],
            top: Table::of("max_connections", 5_i64),
            timeouts: Table::of("client", "5s"),
            logs: Some(Vec::new()),
            maps: Vec::new(),
            caches: Vec::new(),
            counters: Vec::new(),
            runtime_sockets: Vec::new(),
            resolvers: Vec::new(),
            frontends: vec![Frontend {
                comments: vec!["doors".to_owned()],
                keys: Table::of("name", "web").with("bind", vec![Value::from("*:80")]),
                timeouts: Table::new(),
                filters: vec![Filter {
                    plugin: "rules".to_owned(),
                    matchers: vec![(
                        "a".to_owned(),
                        Table::of("raw_path", Table::of("regex", "\\.png$")).into(),
                    )],
                    rules: vec![Commented {
                        comments: vec!["pictures".to_owned()],
                        table: Table::of("when", "a").with("use", "b"),
                    }],
                    ..Filter::default()
                }],
            }],
            backends: vec![Backend {
                keys: Table::of("name", "b"),
                servers: vec![server("1"), server("2")],
                ..Backend::default()
            }],
        };
        let wanted = r##"# the shop

max_connections = 5
log = []

[timeouts]
client = "5s"

# doors
[[frontend]]
name = "web"
bind = ["*:80"]

[[frontend.filter]]
plugin = "rules"
[frontend.filter.config]
match.a = { raw_path = { regex = '\.png$' } }
rule = [
  # pictures
  { when = "a", use = "b" },
]

[[backend]]
name = "b"
server = [
  { name = "1", address = "a:1" },
  { name = "2", address = "a:1" },
]
"##;
        assert_eq!(weir.to_string(), wanted);
    }

    #[test]
    fn texts_are_quoted_so_that_they_come_back() {
        assert_eq!(text("a"), "\"a\"");
        assert_eq!(text("a\"b"), "'a\"b'");
        assert_eq!(text("a'\\b"), "\"a'\\\\b\"");
        assert_eq!(text("a\nb\u{1}"), "\"a\\nb\\u0001\"");
        assert_eq!(key("X-Tier"), "X-Tier");
        assert_eq!(key("a.b"), "\"a.b\"");
    }
}
