//! How a server is treated beyond its checks: slow start, backups, what its traffic and its agent say
//! of it, and what becomes of sessions when it goes down or comes back.

use std::{collections::HashSet, ops::Range, time::Duration};

use super::{
    Address, Server,
    address::AddressError,
    check::{Endpoint, read_endpoint},
    read::Fields,
    value::{Node, shorten},
};
use crate::model::{BackendName, ServerName};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conduct {
    /// From when it comes back until it gets its whole share.
    pub slow_start: Option<Duration>,
    /// It gets clients only when no other server of its backend can take any.
    pub backup: bool,
    pub observe: Option<Observe>,
    /// Its sessions end when it goes down.
    pub shutdown_when_down: bool,
    /// Sessions on backup servers end when it comes back.
    pub shutdown_backups_when_up: bool,
    pub agent: Option<Agent>,
    /// It is as healthy as that one.
    pub track: Option<Tracked>,
    pub state: AdminState,
}

/// Another server, whose health counts for this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracked {
    pub backend: BackendName,
    pub server: ServerName,
    /// Where in the file that is said.
    pub place: Range<usize>,
}

/// What an operator wants of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AdminState {
    #[default]
    Ready,
    /// No new clients.
    Drain,
    /// Nobody.
    Maintenance,
}

/// Health as its traffic shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observe {
    pub layer: Layer,
    /// So many errors in a row.
    pub errors: u32,
    pub then: Consequence,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// Whether connections can be made.
    Connections,
    /// And whether answers are sound, and no errors of the server.
    Answers,
}

/// What so many errors in a row mean. HAProxy's `on-error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// The next check comes soon.
    FastInterval,
    /// As if a check had failed.
    FailCheck,
    /// As if all checks but the last one needed had failed; the next comes soon.
    SuddenDeath,
    MarkDown,
}

/// A program beside the server that says how it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    pub endpoint: Endpoint,
    pub interval: Duration,
    pub timeout: Duration,
    /// What it is sent first.
    pub send: String,
}

/// Which backup servers are used when no other can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backups {
    /// The first that can take clients, as HAProxy does.
    #[default]
    First,
    All,
}

/// Reads what a backend says for all of its servers, or a server for itself; `base` holds otherwise.
pub(super) fn read_conduct(fields: &mut Fields<'_>, base: &Conduct) -> Conduct {
    let slow_start = fields.get("slow_start").map(|node| node.duration());
    let observe = fields.get("observe").map(|node| read_observe(&node));
    let down = fields
        .get("on_marked_down")
        .and_then(|node| node.choice(&[("nothing", false), ("shutdown-sessions", true)]));
    let up = fields
        .get("on_marked_up")
        .and_then(|node| node.choice(&[("nothing", false), ("shutdown-backup-sessions", true)]));
    let agent = fields.get("agent").map(|node| read_agent(&node));
    Conduct {
        slow_start: slow_start.unwrap_or(base.slow_start),
        observe: observe.unwrap_or(base.observe),
        shutdown_when_down: down.unwrap_or(base.shutdown_when_down),
        shutdown_backups_when_up: up.unwrap_or(base.shutdown_backups_when_up),
        agent: agent.unwrap_or_else(|| base.agent.clone()),
        ..Conduct::default()
    }
}

/// Reads what only a server says of itself.
pub(super) fn read_own_conduct(fields: &mut Fields<'_>, base: &Conduct) -> Conduct {
    let usual = read_conduct(fields, base);
    let state = fields.get("state").and_then(|node| {
        node.choice(&[
            ("ready", AdminState::Ready),
            ("drain", AdminState::Drain),
            ("maintenance", AdminState::Maintenance),
        ])
    });
    Conduct {
        backup: fields
            .get("backup")
            .and_then(|node| node.boolean())
            .unwrap_or(false),
        track: fields.get("track").and_then(|node| read_track(&node)),
        state: state.unwrap_or_default(),
        ..usual
    }
}

pub(super) fn read_backups(fields: &mut Fields<'_>) -> Backups {
    fields
        .get("backups")
        .and_then(|node| node.choice(&[("first", Backups::First), ("all", Backups::All)]))
        .unwrap_or_default()
}

/// `false`, `"layer4"`, `"layer7"`, or a table.
fn read_observe(node: &Node<'_>) -> Option<Observe> {
    const LAYERS: [(&str, Layer); 2] = [("layer4", Layer::Connections), ("layer7", Layer::Answers)];
    let observe = |layer| Observe {
        layer,
        errors: 10,
        then: Consequence::FailCheck,
    };
    if node.value().as_bool() == Some(false) {
        return None;
    }
    if node.value().is_str() {
        return node.choice(&LAYERS).map(observe);
    }
    if !node.value().is_table() {
        node.wrong_type(
            "`false`, a layer or a table",
            "write `observe = \"layer7\"` or `observe = { layer = \"layer7\", errors = 5 }`",
        );
        return None;
    }
    let mut fields = node.fields("observe")?;
    let layer = fields
        .require("layer", "\"layer7\"")
        .and_then(|node| node.choice(&LAYERS));
    let errors = fields
        .get("errors")
        .and_then(|node| node.small(1..=1_000_000));
    let then = fields.get("then").and_then(|node| {
        node.choice(&[
            ("fast-interval", Consequence::FastInterval),
            ("fail-check", Consequence::FailCheck),
            ("sudden-death", Consequence::SuddenDeath),
            ("mark-down", Consequence::MarkDown),
        ])
    });
    fields.finish(&[
        ("error_limit", "write `errors`"),
        ("on_error", "write `then`"),
    ]);
    let usual = observe(layer?);
    Some(Observe {
        errors: errors.unwrap_or(usual.errors),
        then: then.unwrap_or(usual.then),
        ..usual
    })
}

fn read_agent(node: &Node<'_>) -> Option<Agent> {
    if node.value().as_bool() == Some(false) {
        return None;
    }
    if !node.value().is_table() {
        node.wrong_type("`false` or a table", "write `agent = { port = 9707 }`");
        return None;
    }
    let mut fields = node.fields("agent")?;
    let endpoint = read_endpoint(&mut fields, &Endpoint::default());
    if endpoint == Endpoint::default() {
        fields.reader.error_with_hint(
            fields.span(),
            format!("{}an agent needs a port of its own", fields.context()),
            "write `agent = { port = 9707 }`, and `address` if it runs elsewhere",
        );
    }
    let interval = fields.get("interval").and_then(|node| node.duration());
    let interval = interval.unwrap_or(Duration::from_secs(2));
    let timeout = fields.get("timeout").and_then(|node| node.duration());
    let send = fields.get("send").and_then(|node| node.text("state\\n"));
    fields.finish(&[]);
    Some(Agent {
        endpoint,
        interval,
        timeout: timeout.unwrap_or(interval),
        send: send.unwrap_or_default().to_owned(),
    })
}

/// `backend/server`
fn read_track(node: &Node<'_>) -> Option<Tracked> {
    let text = node.plain_text("api/api1")?;
    let read = text.split_once('/').ok_or_else(|| AddressError {
        message: format!("`{}` names no server", shorten(text)),
        hint: "write `track = \"backend/server\"`".to_owned(),
    });
    let (backend, server) = node.address(read)?;
    Some(Tracked {
        backend: BackendName::new(backend),
        server: ServerName::new(server),
        place: node.span(),
    })
}

/// Says what does not go together, once all of a server is known.
pub(super) fn check_conduct(
    fields: &Fields<'_>,
    conduct: &Conduct,
    checked: bool,
    address: &Address,
) {
    let wrong = |key: &str, what: &str, hint: &str| {
        let span = fields.key_span(key).unwrap_or(fields.span());
        let message = format!("{}{what}", fields.context());
        fields.reader.error_with_hint(span, message, hint);
    };
    if conduct.observe.is_some() && !checked {
        check_observe(fields);
    }
    if conduct.track.is_some() && fields.key_span("check").is_some() && checked {
        wrong(
            "track",
            "a server that tracks another one has no check of its own",
            "leave `check` out, or `track`",
        );
    }
    if let Some(agent) = &conduct.agent
        && agent.endpoint.address.is_none()
        && matches!(address, Address::Unix(_))
    {
        wrong(
            "agent",
            "an agent is asked at an address and port, and this server has none",
            "write `agent = { address = \"127.0.0.1\", port = 9707 }`",
        );
    }
}

/// Says that `observe` has nothing that could bring a server back.
pub(super) fn check_observe(fields: &Fields<'_>) {
    fields.reader.error_with_hint(
        fields.key_span("observe").unwrap_or(fields.span()),
        format!(
            "{}`observe` needs a check: whoever was taken out by traffic gets none that could bring it back",
            fields.context()
        ),
        "add `check = true`, or leave `observe` out",
    );
}

/// Says which servers track what is not there, or what tracks another one itself.
pub(super) fn check_tracks(top: &Fields<'_>, backends: &[(BackendName, &[Server])]) {
    let all: HashSet<(&str, &str)> = names(backends, |_| true);
    let tracking: HashSet<(&str, &str)> = names(backends, |server| server.conduct.track.is_some());
    for (backend, servers) in backends {
        for server in *servers {
            let Some(track) = &server.conduct.track else {
                continue;
            };
            let tracked = (track.backend.as_str(), track.server.as_str());
            let (what, hint) = if !all.contains(&tracked) {
                (
                    "there is no such server",
                    "write `track = \"backend/server\"`",
                )
            } else if tracking.contains(&tracked) {
                (
                    "that server tracks another one itself",
                    "track the one that is checked",
                )
            } else {
                continue;
            };
            let place = format!("backend `{backend}`: server `{}`", server.name);
            let message = format!("{place}: cannot track {}/{}: {what}", tracked.0, tracked.1);
            top.reader
                .error_with_hint(track.place.clone(), message, hint);
        }
    }
}

fn names<'a>(
    backends: &'a [(BackendName, &'a [Server])],
    which: impl Fn(&Server) -> bool,
) -> HashSet<(&'a str, &'a str)> {
    let servers = backends.iter().flat_map(|(backend, servers)| {
        servers.iter().map(move |server| (backend.as_str(), server))
    });
    servers
        .filter(|(_, server)| which(server))
        .map(|(backend, server)| (backend, server.name.as_str()))
        .collect()
}
