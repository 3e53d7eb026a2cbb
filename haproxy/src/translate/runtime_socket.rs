//! `stats socket`, `stats timeout` and `stats maxconn`: where commands are taken while the proxy runs.

use std::net::SocketAddr;

use crate::{problem::Problem, remark::Fate, text::Line, weir::Table};

use super::{
    Translator,
    words::{Words, wrong},
};

/// What is said of all sockets, wherever it stands in the section.
#[derive(Debug, Default)]
pub struct ForAll {
    timeout: Option<String>,
    max_connections: Option<i64>,
}

impl Translator<'_> {
    /// A line that begins with `stats`.
    pub(super) fn stats_of_process(&mut self, line: &Line) -> Result<Fate, Problem> {
        let mut words = Words::of(line);
        let what = words.need("`socket`, `timeout` or `maxconn`")?;
        match what.text.as_str() {
            "socket" => self.stats_socket(words),
            "timeout" => {
                self.stats.timeout = Some(words.time()?.to_string());
                Ok(Fate::Same)
            }
            "maxconn" => {
                self.stats.max_connections = Some(words.number(1, 1_000)?);
                Ok(Fate::Same)
            }
            "bind-process" => {
                words.need("a number")?;
                Ok(Fate::Same)
            }
            other => Err(wrong(what, format!("unknown keyword `stats {other}`"))),
        }
    }

    fn stats_socket(&mut self, mut words: Words<'_>) -> Result<Fate, Problem> {
        let word = words.need("an address")?;
        let mut table = match address(&word.text) {
            Ok(Some(address)) => Table::of("address", address),
            Ok(None) => {
                return Ok(Fate::dropped(
                    "commands are taken at Unix sockets and loopback ports: whoever reaches another address \
                     would control the proxy",
                ));
            }
            Err(what) => return Err(wrong(word, what)),
        };
        while let Some(word) = words.next() {
            match word.text.as_str() {
                key @ ("mode" | "user" | "group") => {
                    table.set(key, words.need("a value")?.text.as_str());
                }
                "uid" => table.set("user", words.need("a number")?.text.as_str()),
                "gid" => table.set("group", words.need("a number")?.text.as_str()),
                "level" => {
                    let level = words.need("`user`, `operator` or `admin`")?;
                    match level.text.as_str() {
                        // What Weir takes where nothing is said.
                        "operator" => {}
                        known @ ("user" | "admin") => table.set("level", known),
                        other => return Err(wrong(level, format!("`{other}` is no level"))),
                    }
                }
                // The next process is handed all sockets without asking for them.
                "expose-fd" => {
                    words.need("`listeners`")?;
                }
                "process" | "thread" | "severity-output" | "name" | "id" | "backlog"
                | "maxconn" | "nice" => {
                    words.need("a value")?;
                }
                other => {
                    let what = format!("unknown option `{other}` of `stats socket`");
                    return Err(wrong(word, what));
                }
            }
        }
        self.weir.runtime_sockets.push(table);
        Ok(Fate::nearly(
            "commands about servers, maps, limits and figures are answered as HAProxy does; others say what to \
             use instead",
        ))
    }

    /// Adds to all sockets what is said of all of them.
    pub(super) fn finish_stats(&mut self) {
        for table in &mut self.weir.runtime_sockets {
            if let Some(timeout) = &self.stats.timeout {
                table.set("timeout", timeout.as_str());
            }
            if let Some(most) = self.stats.max_connections {
                table.set("max_connections", most);
            }
        }
    }
}

/// An address in weir.toml's form; `None` if others than this machine could reach it.
fn address(text: &str) -> Result<Option<String>, String> {
    let path = text.strip_prefix("unix@");
    if let Some(path) = path.or(text.starts_with('/').then_some(text)) {
        return Ok(Some(format!("unix:{path}")));
    }
    if text.starts_with("fd@") {
        return Ok(Some(text.to_owned()));
    }
    if text.starts_with("abns@") || text.starts_with("sockpair@") {
        return Ok(None);
    }
    let address = text
        .strip_prefix("ipv4@")
        .or(text.strip_prefix("ipv6@"))
        .unwrap_or(text);
    match address.parse::<SocketAddr>() {
        Ok(socket) if socket.ip().is_loopback() => Ok(Some(socket.to_string())),
        Ok(_) => Ok(None),
        Err(_) if address.contains(':') => Ok(None),
        Err(_) => Err(format!("`{text}` has no port, and is no path")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_others_could_reach_are_none() {
        for (written, wanted) in [
            ("/run/haproxy.sock", Some("unix:/run/haproxy.sock")),
            ("unix@run/haproxy.sock", Some("unix:run/haproxy.sock")),
            ("ipv4@127.0.0.1:9999", Some("127.0.0.1:9999")),
            ("[::1]:9999", Some("[::1]:9999")),
            ("fd@5", Some("fd@5")),
            ("*:9999", None),
            ("10.0.0.1:9999", None),
            ("abns@x", None),
        ] {
            let found = address(written).unwrap();
            assert_eq!(found.as_deref(), wanted, "{written}");
        }
        assert!(address("haproxy.sock").is_err());
    }
}
