//! A plugin of every role that behaves until a request asks it to do otherwise, so that one test can
//! watch the failing request and the others beside it.
//!
//! The request header `x-mood-HOOK` (`x-mood-on-request`, `-on-response`, `-pick`, `-lookup`, `-assigned`)
//! names what that hook is to do; see [`Mood`]. The config can name a mood for `configure`.

use std::hint::black_box;

use schemars::JsonSchema;
use serde::Deserialize;
use weir_sdk::{
    Balancer, ConfigError, Decision, Found, Handle, Hook, Needs, OnAssigned, OnLookup, OnPick,
    OnRequest, OnResponse, Persistence, Pick, Plugin, Reply, RequestFilter, ResponseEdits,
    ResponseFilter, Server, Values, log,
};

/// What to do instead of answering well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mood {
    /// Never returns.
    Loop,
    /// Calls itself until the stack ends.
    Recurse,
    /// Takes all the memory that there is.
    Memory,
    Panic,
    /// Writes 100,000 lines to the log.
    Chatter,
    /// Puts CR LF and another field into a header's value.
    Inject,
    /// Sets Content-Length and Transfer-Encoding.
    Framing,
    /// Answers with 10 MB.
    Flood,
    /// Names a server or status that does not exist.
    Nonsense,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What to do while it is configured.
    configure: Option<Mood>,
}

pub struct Hostile {
    request: Handle<OnRequest>,
    response: Handle<OnResponse>,
    pick: Handle<OnPick>,
    lookup: Handle<OnLookup>,
    assigned: Handle<OnAssigned>,
    servers: usize,
}

weir_sdk::export!(Hostile: RequestFilter + ResponseFilter + Balancer + Persistence);

impl Plugin for Hostile {
    type Config = Config;

    fn configure(config: Config, needs: &mut Needs) -> Result<Self, ConfigError> {
        if let Some(mood) = config.configure {
            mood.indulge();
        }
        Ok(Self {
            request: needs.header("x-mood-on-request"),
            response: needs.header("x-mood-on-response"),
            pick: needs.header("x-mood-pick"),
            lookup: needs.header("x-mood-lookup"),
            assigned: needs.header("x-mood-assigned"),
            servers: 0,
        })
    }
}

impl RequestFilter for Hostile {
    fn on_request(&mut self, values: &Values<'_, OnRequest>) -> Decision {
        match mood(values, self.request) {
            Some(Mood::Inject) => Decision::pass().edit(|edits| edits.set_header("x-a", INJECTED)),
            Some(Mood::Framing) => Decision::pass().edit(|edits| {
                edits
                    .set_header("content-length", "5")
                    .set_header("transfer-encoding", "chunked")
            }),
            Some(Mood::Flood) => Decision::reply(Reply::new(200).body(vec![b'x'; FLOOD])),
            Some(Mood::Nonsense) => Decision::deny(99),
            _ => Decision::pass(),
        }
    }
}

impl ResponseFilter for Hostile {
    fn on_response(&mut self, values: &Values<'_, OnResponse>) -> ResponseEdits {
        response_edits(mood(values, self.response))
    }
}

impl Balancer for Hostile {
    fn update(&mut self, servers: &[Server]) {
        self.servers = servers.len();
    }

    fn pick(&mut self, pick: &Pick<'_>) -> Option<usize> {
        match mood(&pick.values, self.pick) {
            Some(Mood::Nonsense) => Some(self.servers + 1000),
            _ => (self.servers > 0).then(|| pick.turn as usize % self.servers),
        }
    }
}

impl Persistence for Hostile {
    fn lookup(&mut self, values: &Values<'_, OnLookup>) -> Found {
        match mood(values, self.lookup) {
            Some(Mood::Nonsense) => Found {
                server: Some("nobody".repeat(1000)),
                ..Found::default()
            },
            Some(Mood::Flood) => Found {
                server: Some("x".repeat(FLOOD)),
                ..Found::default()
            },
            _ => Found::default(),
        }
    }

    fn assigned(&mut self, _server: &str, values: &Values<'_, OnAssigned>) -> ResponseEdits {
        response_edits(mood(values, self.assigned))
    }
}

const INJECTED: &str = "a\r\nx-smuggled: yes";
const FLOOD: usize = 10_000_000;

/// The mood that the request asks this hook for. Those that have nothing to do with the answer are
/// indulged at once.
fn mood<H: Hook>(values: &Values<'_, H>, header: Handle<H>) -> Option<Mood> {
    let mood = match values.get(header)? {
        "loop" => Mood::Loop,
        "recurse" => Mood::Recurse,
        "memory" => Mood::Memory,
        "panic" => Mood::Panic,
        "chatter" => Mood::Chatter,
        "inject" => Mood::Inject,
        "framing" => Mood::Framing,
        "flood" => Mood::Flood,
        "nonsense" => Mood::Nonsense,
        _ => return None,
    };
    mood.indulge();
    Some(mood)
}

fn response_edits(mood: Option<Mood>) -> ResponseEdits {
    let mut edits = ResponseEdits::default();
    match mood {
        Some(Mood::Inject) => edits.set_header("x-a", INJECTED),
        Some(Mood::Framing) => edits
            .set_header("content-length", "5")
            .set_header("transfer-encoding", "chunked"),
        Some(Mood::Flood) => edits.set_header("x-flood", &"x".repeat(FLOOD)),
        Some(Mood::Nonsense) => edits.set_status(99),
        _ => &mut edits,
    };
    edits
}

impl Mood {
    /// Does what has nothing to do with an answer; returns where the answer is to be wrong.
    fn indulge(self) {
        match self {
            Self::Loop => loop {
                black_box(());
            },
            Self::Recurse => {
                black_box(deeper(1));
            }
            Self::Memory => {
                let mut hoard: Vec<Vec<u8>> = Vec::new();
                loop {
                    hoard.push(black_box(vec![1; 1 << 20]));
                }
            }
            Self::Panic => panic!("asked to"),
            Self::Chatter => (0..100_000).for_each(|n| log::info(format!("line {n}\x1b[31m"))),
            Self::Inject | Self::Framing | Self::Flood | Self::Nonsense => {}
        }
    }
}

#[expect(unconditional_recursion, reason = "that is the point")]
fn deeper(depth: u64) -> u64 {
    black_box(deeper(black_box(depth + 1))) + 1
}

/// The plugin that the front page shows is one that compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct FrontPage;

#[cfg(test)]
mod tests {
    use weir_sdk::test::{Loaded, request};

    use super::*;

    #[test]
    fn it_behaves_unless_asked() {
        let mut hostile = Loaded::<Hostile>::new("{}").expect("an empty config will do");
        assert_eq!(hostile.on_request(&request().path("/")), Decision::pass());
        let asked = hostile.on_request(&request().header("x-mood-on-request", "nonsense"));
        assert_eq!(asked, Decision::deny(99));
    }
}
