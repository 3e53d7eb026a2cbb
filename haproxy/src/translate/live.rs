//! Facts about the proxy's own state, such as `nbsrv(app)`: what the plugin `rules` calls them.

use std::{collections::BTreeMap, ops::RangeInclusive};

use crate::{
    file::{Call, Kind, Section},
    nearest::nearest,
};

use super::{
    draft::keyword,
    facts::{Reason, Used},
};

/// The proxies of a file with their servers, and the one that is being translated.
#[derive(Debug, Default)]
pub struct Proxies {
    known: BTreeMap<String, Known>,
    current: String,
    /// Whether it is the servers' side of it.
    is_backend: bool,
}

#[derive(Debug, Default)]
struct Known {
    is_frontend: bool,
    is_backend: bool,
    servers: Vec<String>,
    /// Servers called by a prefix with a number.
    templates: Vec<(String, RangeInclusive<u16>)>,
}

impl Known {
    fn has(&self, server: &str) -> bool {
        let numbered = |(prefix, numbers): &(String, RangeInclusive<u16>)| {
            let number = server.strip_prefix(prefix.as_str());
            number.is_some_and(|text| {
                let number = text.parse::<u16>().ok();
                number.is_some_and(|number| numbers.contains(&number) && number.to_string() == text)
            })
        };
        self.servers.iter().any(|known| known == server) || self.templates.iter().any(numbered)
    }
}

/// Of what a fact is.
enum Of {
    Backend(&'static str),
    Server(&'static str),
    Frontend(&'static str),
}

const UNLIMITED: &str = "where a server has no `maxconn` there is no number, and HAProxy says -1";

impl Proxies {
    pub fn note(&mut self, section: &Section) {
        let known = self.known.entry(section.name.clone()).or_default();
        known.is_frontend |= matches!(section.kind, Kind::Frontend | Kind::Listen);
        known.is_backend |= matches!(section.kind, Kind::Backend | Kind::Listen);
        for line in &section.directives {
            match keyword(line) {
                ["server", name, _] => known.servers.push(name.to_owned()),
                ["server-template", prefix, count] => {
                    let last = count.rsplit('-').next().unwrap_or(count);
                    let first = count.split_once('-').map_or("1", |(first, _)| first);
                    let number = |text: &str| text.parse::<u16>().unwrap_or(0);
                    let numbers = number(first)..=number(last);
                    known.templates.push((prefix.to_owned(), numbers));
                }
                _ => {}
            }
        }
    }

    /// A proxy's frontend is being translated.
    pub fn begin_frontend(&mut self, name: &str) {
        name.clone_into(&mut self.current);
        self.is_backend = false;
    }

    /// A proxy's backend is being translated.
    pub fn begin_backend(&mut self, name: &str) {
        name.clone_into(&mut self.current);
        self.is_backend = true;
    }

    /// The fact by the name that templates have for it; `None` if it is none of the proxy's state.
    ///
    /// # Errors
    /// Why there is none for what it names.
    pub fn fact(&self, fetch: &Call, used: &mut Used) -> Option<Result<String, Reason>> {
        let of = match fetch.name.as_str() {
            "nbsrv" => Of::Backend("usable_servers"),
            "be_conn" => Of::Backend("backend_exchanges"),
            "queue" => Of::Backend("backend_queued"),
            "avg_queue" => Of::Backend("backend_queued_per_server"),
            "be_conn_free" => {
                used.notes.insert(UNLIMITED.to_owned());
                Of::Backend("backend_free_places")
            }
            "connslots" => {
                used.notes
                    .insert(format!("places in the queue are not counted; {UNLIMITED}"));
                Of::Backend("backend_free_places")
            }
            "srv_is_up" => Of::Server("server_up"),
            "srv_conn" => Of::Server("server_exchanges"),
            "srv_queue" => Of::Server("server_queued"),
            "fe_conn" => Of::Frontend("frontend_connections"),
            _ => return None,
        };
        Some(match of {
            Of::Backend(fact) => self.of_backend(fact, fetch),
            Of::Server(fact) => self.of_server(fact, fetch),
            Of::Frontend(fact) => self.of_frontend(fact, fetch),
        })
    }

    fn of_backend(&self, fact: &str, fetch: &Call) -> Result<String, Reason> {
        let name = fetch.argument(0).unwrap_or(&self.current);
        self.backend(name, fetch)?;
        // HAProxy counts a request in before the rules of its backend; Weir asks them first.
        let own = self.is_backend && name == self.current && fetch.name == "be_conn";
        let more = if own { "|add(1)" } else { "" };
        Ok(format!("{fact}({name}){more}"))
    }

    fn backend(&self, name: &str, fetch: &Call) -> Result<&Known, Reason> {
        let backends = || self.known.iter().filter(|(_, known)| known.is_backend);
        match self.known.get(name).filter(|known| known.is_backend) {
            Some(known) => Ok(known),
            None => Err(missing(
                &format!("`{fetch}`: no backend is called `{name}`"),
                nearest(name, backends().map(|(name, _)| name.as_str())),
            )),
        }
    }

    fn of_server(&self, fact: &str, fetch: &Call) -> Result<String, Reason> {
        let named = fetch
            .argument(0)
            .ok_or_else(|| format!("`{}` needs a server", fetch.name))?;
        let (backend, server) = named.split_once('/').unwrap_or((&self.current, named));
        let known = self.backend(backend, fetch)?;
        if !known.has(server) {
            let servers = known.servers.iter().map(String::as_str);
            return Err(missing(
                &format!("`{fetch}`: no server of `{backend}` is called `{server}`"),
                nearest(server, servers),
            ));
        }
        Ok(format!("{fact}({backend}/{server})"))
    }

    fn of_frontend(&self, fact: &str, fetch: &Call) -> Result<String, Reason> {
        let name = match fetch.argument(0) {
            Some(name) => name,
            None if self.is_backend => {
                return Err(format!("`{}` needs a frontend here", fetch.name));
            }
            None => &self.current,
        };
        let frontends = || self.known.iter().filter(|(_, known)| known.is_frontend);
        match self.known.get(name).is_some_and(|known| known.is_frontend) {
            true => Ok(format!("{fact}({name})")),
            false => Err(missing(
                &format!("`{fetch}`: no frontend is called `{name}`"),
                nearest(name, frontends().map(|(name, _)| name.as_str())),
            )),
        }
    }
}

fn missing(what: &str, meant: Option<&str>) -> Reason {
    match meant {
        Some(meant) => format!("{what}; did you mean `{meant}`?"),
        None => what.to_owned(),
    }
}
