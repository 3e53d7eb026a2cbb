//! The facts that matchers and templates need, each asked for once. Every declared input costs time
//! on each request, so only those that occur in the config are declared.

use std::fmt;

use weir_sdk::{Input, ResponseInput};

use crate::suggest::nearest;

/// Which of the plugin's hooks a rule runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    Connection,
    Request,
    Response,
}

/// Something that can be known about an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    Request(Input),
    Response(ResponseInput),
}

/// Position of an input in the list of its hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slot(pub usize);

/// What a hook is told about the exchange at hand.
pub trait Facts {
    fn value(&self, slot: Slot) -> Option<&str>;

    /// What the map called `map` says about `key`.
    fn lookup(&self, map: &str, key: &str) -> Option<String>;
}

/// The inputs of one hook.
#[derive(Debug)]
pub struct Inputs {
    hook: Hook,
    facts: Vec<Fact>,
}

/// A fact that cannot be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadInput {
    Unknown {
        name: String,
        meant: Option<String>,
    },
    /// There is no response yet when the hook runs.
    OfResponse {
        name: String,
    },
    /// Nothing but the connection is there when the hook runs.
    OfRequest {
        name: String,
    },
}

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown {
                name,
                meant: Some(meant),
            } => {
                write!(f, "no input named `{name}`; did you mean `{meant}`?")
            }
            Self::Unknown { name, meant: None } => write!(f, "no input named `{name}`"),
            Self::OfResponse { name } => {
                write!(
                    f,
                    "`{name}` is a fact that only a response has; use it in `response_rule`"
                )
            }
            Self::OfRequest { name } => {
                write!(
                    f,
                    "`{name}` is a fact that only a request has; use it in `rule`"
                )
            }
        }
    }
}

/// The facts without a name of their own, as templates call them.
const PLAIN: [(&str, Fact); 22] = [
    ("method", Fact::Request(Input::Method)),
    ("path", Fact::Request(Input::Path)),
    ("raw_path", Fact::Request(Input::RawPath)),
    ("query", Fact::Request(Input::Query)),
    ("host", Fact::Request(Input::Host)),
    ("scheme", Fact::Request(Input::Scheme)),
    ("version", Fact::Request(Input::Version)),
    ("client_address", Fact::Request(Input::ClientAddress)),
    ("client_port", Fact::Request(Input::ClientPort)),
    ("listener_address", Fact::Request(Input::ListenerAddress)),
    ("listener_port", Fact::Request(Input::ListenerPort)),
    ("tls_sni", Fact::Request(Input::TlsSni)),
    ("tls_alpn", Fact::Request(Input::TlsAlpn)),
    ("tls_version", Fact::Request(Input::TlsVersion)),
    ("tls_cipher", Fact::Request(Input::TlsCipher)),
    (
        "tls_client_verified",
        Fact::Request(Input::TlsClientVerified),
    ),
    ("tls_client_subject", Fact::Request(Input::TlsClientSubject)),
    ("tls_client_san", Fact::Request(Input::TlsClientSan)),
    (
        "tls_client_fingerprint",
        Fact::Request(Input::TlsClientFingerprint),
    ),
    ("frontend_name", Fact::Request(Input::FrontendName)),
    ("request_id", Fact::Request(Input::RequestId)),
    ("status", Fact::Response(ResponseInput::Status)),
];

/// The facts that are said with a name: `header(x-tier)`.
const NAMED: [&str; 8] = [
    "query_param",
    "header",
    "cookie",
    "var",
    "first_bytes",
    "proxy",
    "response_header",
    "response_cookie",
];

/// The input about what is called so.
type OfName = fn(String) -> Input;

/// What holds at the moment about what weir.toml names: `usable_servers(app)`, `server_up(app/a1)`.
const LIVE: [(&str, OfName); 9] = [
    ("usable_servers", Input::UsableServers),
    ("backend_exchanges", Input::BackendExchanges),
    ("backend_queued", Input::BackendQueued),
    ("backend_queued_per_server", Input::BackendQueuedPerServer),
    ("backend_free_places", Input::BackendFreePlaces),
    ("server_up", Input::ServerUp),
    ("server_exchanges", Input::ServerExchanges),
    ("server_queued", Input::ServerQueued),
    ("frontend_connections", Input::FrontendConnections),
];

impl Inputs {
    pub fn new(hook: Hook) -> Self {
        Self {
            hook,
            facts: Vec::new(),
        }
    }

    pub fn hook(&self) -> Hook {
        self.hook
    }

    /// What to declare, in the order of the slots.
    pub fn facts(&self) -> &[Fact] {
        &self.facts
    }

    pub fn fact(&self, slot: Slot) -> &Fact {
        &self.facts[slot.0]
    }

    pub fn add(&mut self, fact: Fact) -> Result<Slot, BadInput> {
        match (&fact, self.hook) {
            (Fact::Response(input), Hook::Request | Hook::Connection) => {
                let name = input.to_string();
                return Err(BadInput::OfResponse { name });
            }
            (Fact::Request(input), Hook::Connection) if !is_of_connection(input) => {
                let name = input.to_string();
                return Err(BadInput::OfRequest { name });
            }
            _ => {}
        }
        let known = self.facts.iter().position(|known| *known == fact);
        Ok(Slot(known.unwrap_or_else(|| {
            self.facts.push(fact);
            self.facts.len() - 1
        })))
    }

    /// The slot of a fact by the name that templates use.
    pub fn named(&mut self, name: &str) -> Result<Slot, BadInput> {
        match by_name(name) {
            Some(fact) => self.add(fact),
            None => Err(unknown(name)),
        }
    }
}

/// Whether the fact is known as soon as there is a connection.
fn is_of_connection(input: &Input) -> bool {
    matches!(
        input,
        Input::ClientAddress
            | Input::ClientPort
            | Input::ListenerAddress
            | Input::ListenerPort
            | Input::Var(_)
            | Input::FrontendName
            | Input::RequestId
            | Input::TlsSni
            | Input::TlsAlpn
            | Input::FirstBytes(_)
            | Input::Proxy(_)
            | Input::UsableServers(_)
            | Input::BackendExchanges(_)
            | Input::BackendQueued(_)
            | Input::BackendQueuedPerServer(_)
            | Input::BackendFreePlaces(_)
            | Input::ServerUp(_)
            | Input::ServerExchanges(_)
            | Input::ServerQueued(_)
            | Input::FrontendConnections(_)
    )
}

fn by_name(name: &str) -> Option<Fact> {
    let Some((kind, argument)) = name.split_once('(') else {
        return PLAIN
            .into_iter()
            .find(|(known, _)| *known == name)
            .map(|(_, fact)| fact);
    };
    let argument = argument
        .strip_suffix(')')
        .filter(|argument| !argument.is_empty())?;
    let header = argument.to_ascii_lowercase();
    Some(match kind {
        "query_param" => Fact::Request(Input::QueryParam(argument.to_owned())),
        "header" => Fact::Request(Input::Header(header)),
        "cookie" => Fact::Request(Input::Cookie(argument.to_owned())),
        "var" => Fact::Request(Input::Var(argument.to_owned())),
        "first_bytes" => Fact::Request(Input::FirstBytes(argument.parse().ok()?)),
        "proxy" => Fact::Request(Input::Proxy(argument.to_owned())),
        "response_header" => Fact::Response(ResponseInput::Header(header)),
        "response_cookie" => Fact::Response(ResponseInput::Cookie(argument.to_owned())),
        _ => {
            let (_, live) = LIVE.iter().find(|(known, _)| *known == kind)?;
            Fact::Request(live(argument.to_owned()))
        }
    })
}

fn unknown(name: &str) -> BadInput {
    let kind = name.split_once('(').map_or(name, |(kind, _)| kind);
    let live = || LIVE.iter().map(|(live, _)| *live);
    let plain = PLAIN.iter().map(|(plain, _)| *plain);
    let candidates = plain.chain(NAMED).chain(live());
    let meant = nearest(kind, candidates).map(|meant| {
        if NAMED.contains(&meant) || live().any(|live| live == meant) {
            format!("{meant}(NAME)")
        } else {
            meant.to_owned()
        }
    });
    BadInput::Unknown {
        name: name.to_owned(),
        meant,
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Facts for tests, by the names that the contract has for them.
    pub struct Known(Vec<(String, String)>);

    pub struct KnownOf<'k> {
        known: &'k Known,
        inputs: &'k Inputs,
    }

    impl Known {
        pub fn new(facts: &[(&str, &str)]) -> Self {
            Self(
                facts
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect(),
            )
        }

        pub fn of<'k>(&'k self, inputs: &'k Inputs) -> KnownOf<'k> {
            KnownOf {
                known: self,
                inputs,
            }
        }
    }

    impl Facts for KnownOf<'_> {
        fn value(&self, slot: Slot) -> Option<&str> {
            let asked = match self.inputs.fact(slot) {
                Fact::Request(input) => input.to_string(),
                Fact::Response(input) => input.to_string(),
            };
            let known = self.known.0.iter();
            known
                .filter(|(name, _)| *name == asked)
                .map(|(_, value)| value.as_str())
                .next()
        }

        fn lookup(&self, _map: &str, _key: &str) -> Option<String> {
            None
        }
    }

    #[test]
    fn an_input_is_declared_once_however_often_it_is_used() {
        let mut inputs = Inputs::new(Hook::Request);
        let path = inputs.named("path").unwrap();
        let header = inputs.named("header(X-Api)").unwrap();
        assert_eq!(inputs.add(Fact::Request(Input::Path)), Ok(path));
        assert_eq!(inputs.named("header(x-api)"), Ok(header));
        assert_ne!(
            inputs.named("cookie(a)"),
            inputs.named("cookie(A)"),
            "cookie names have case"
        );
        assert_eq!(inputs.facts().len(), 4);
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_nearest_right_one() {
        let complaint = |name| {
            Inputs::new(Hook::Request)
                .named(name)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            complaint("raw-path"),
            "no input named `raw-path`; did you mean `raw_path`?"
        );
        assert_eq!(
            complaint("cokie(a)"),
            "no input named `cokie(a)`; did you mean `cookie(NAME)`?"
        );
        assert_eq!(
            complaint("header"),
            "no input named `header`; did you mean `header(NAME)`?"
        );
        assert_eq!(
            complaint("usable_server(app)"),
            "no input named `usable_server(app)`; did you mean `usable_servers(NAME)`?"
        );
        assert_eq!(complaint("clock"), "no input named `clock`");
        assert!(complaint("status").contains("response_rule"));
        assert!(Inputs::new(Hook::Response).named("status").is_ok());
    }
}
