//! What can go wrong with a plugin: while it is loaded ([`LoadError`]) and while it works ([`CallError`]).
//!
//! Every text says what was found and what would do. Frontend and request id are added above.

use std::{fmt, io, path::PathBuf, time::Duration};

use super::breaker::Cost;
use crate::{
    config::nearest,
    model::{BackendName, Hook, PluginName},
};

/// A plugin that can't be used, and why.
#[derive(Debug, thiserror::Error)]
#[error("plugin `{plugin}`: {fault}")]
pub struct LoadError {
    pub plugin: PluginName,
    #[source]
    pub fault: LoadFault,
}

/// Why a plugin can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadFault {
    #[error("no file {}", path.display())]
    Missing { path: PathBuf },

    #[error("{} can't be read", path.display())]
    Unreadable { path: PathBuf, source: io::Error },

    #[error(
        "no plugin named `{name}` comes with Weir; {}",
        bundled_hint(name, known)
    )]
    NotBundled {
        name: String,
        known: Vec<&'static str>,
    },

    /// The bytes of what lies in a registry come from elsewhere.
    #[error("{reference} has to be fetched first")]
    NotFetched { reference: String },

    #[error("it is larger than the {limit} bytes that a plugin may have")]
    TooLarge { limit: u64 },

    #[error("making machine code of it takes longer than {limit:?}")]
    CompileTime { limit: Duration },

    /// The fault is the system's, or the compiler's.
    #[error("it can't be compiled here: {message}")]
    NoCompiler { message: String },

    #[error("not a component, but {found}; {help}")]
    NotAComponent {
        found: &'static str,
        help: &'static str,
    },

    /// Looks like a component, but is damaged or uses something that is switched off.
    #[error("not a valid component: {message}")]
    Invalid { message: String },

    #[error(
        "not a plugin: it doesn't export `weir:plugin/lifecycle`{}",
        exports_hint(exports)
    )]
    NotAPlugin { exports: Vec<String> },

    #[error(
        "it is written against {found}, and this Weir speaks weir:plugin@{offered}; \
         rebuild it against weir:plugin@{offered}{}",
        newer_hint(*newer)
    )]
    WrongVersion {
        found: String,
        offered: &'static str,
        newer: bool,
    },

    #[error(
        "it can't be a {wanted}: it exports {}, and {wanted_export} is needed",
        list(found)
    )]
    WrongRole {
        wanted: &'static str,
        wanted_export: &'static str,
        found: Vec<&'static str>,
    },

    /// The interface is there, and not as the contract has it.
    #[error("its `{interface}` isn't that of weir:plugin@{offered}: {message}")]
    WrongType {
        interface: &'static str,
        offered: &'static str,
        message: String,
    },

    #[error("it imports `{import}`, which it wasn't granted; add to its entry: {line}")]
    NotGranted { import: String, line: &'static str },

    #[error(
        "it imports `{import}`, which Weir doesn't offer; on offer: {}",
        list(offered)
    )]
    NotOffered {
        import: String,
        offered: Vec<&'static str>,
    },

    #[error("no [[map]] named `{name}`; known: {}", list(known))]
    UnknownMap { name: String, known: Vec<String> },

    #[error("no [[counters]] named `{name}`; known: {}", list(known))]
    UnknownCounters { name: String, known: Vec<String> },

    #[error("its memory limit of {wanted} bytes is over the {limit} that an instance can have")]
    TooMuchMemory { wanted: usize, limit: usize },

    #[error("its config schema is no JSON Schema: {message}")]
    BadSchema { message: String },

    /// The config doesn't fit the plugin's schema, or the plugin itself refused a part of it.
    #[error("its config isn't right: {}", violations_text(violations))]
    Config { violations: Vec<Violation> },

    /// `configure` answered with an error.
    #[error("it refused its config: {message}")]
    Refused { message: String },

    #[error(
        "it wants inputs for a hook `{hook}`; hooks that it has: {}",
        list(offered)
    )]
    UnknownHook {
        hook: String,
        offered: Vec<&'static str>,
    },

    #[error("{hook} wants the input `{input}`; on offer: {offered}")]
    UnknownInput {
        hook: Hook,
        input: String,
        offered: String,
    },

    #[error("{hook} wants the input `{input}`, and there is no response yet when it is called")]
    InputTooEarly { hook: Hook, input: String },

    #[error(
        "{hook} wants the input `{input}`, and there is no request yet when it is called; it can have {offered}"
    )]
    InputOfRequest {
        hook: Hook,
        input: String,
        offered: String,
    },

    #[error("{hook} wants the input `{input}`, and with `mode = \"tcp\"` there are no requests")]
    NoRequests { hook: Hook, input: String },

    #[error(
        "it judges connections, but with this config it asks nothing about them, and a frontend with `mode = \"tcp\"` has nothing else to be judged"
    )]
    NothingToJudge,

    #[error("{hook} wants {found} inputs, and {limit} is the limit")]
    TooManyInputs {
        hook: Hook,
        found: usize,
        limit: usize,
    },

    #[error("it asks for the feature `{feature}`; on offer: {}", list(offered))]
    UnknownFeature {
        feature: String,
        offered: &'static [&'static str],
    },

    #[error(
        "it routes to the backend `{backend}`, which doesn't exist; {}",
        backends_hint(known)
    )]
    UnknownBackend {
        backend: String,
        known: Vec<BackendName>,
    },

    /// It failed in a call that is made while loading.
    #[error("{call}: {fault}")]
    Call { call: Call, fault: CallFault },
}

/// A part of a plugin's config that isn't right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// JSON pointer into the config; empty for the whole. `config::ConfigPlaces` knows where in
    /// weir.toml it stands.
    pub pointer: String,
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pointer.is_empty() {
            return f.write_str(&self.message);
        }
        write!(f, "at {}: {}", self.pointer, self.message)
    }
}

/// A call into a plugin that gave no usable answer. The instance is spent.
#[derive(Debug, Clone, thiserror::Error)]
#[error("plugin `{plugin}`: {call}: {fault}")]
pub struct CallError {
    pub plugin: PluginName,
    pub call: Call,
    #[source]
    pub fault: CallFault,
}

/// The calls that the proxy makes into a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    Instantiate,
    Describe,
    Configure,
    OnConnection,
    OnRequest,
    OnResponse,
    Update,
    Pick,
    Picks,
    Observe,
    Lookup,
    Assigned,
}

impl Call {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Instantiate => "start",
            Self::Describe => "describe",
            Self::Configure => "configure",
            Self::OnConnection => "on-connection",
            Self::OnRequest => "on-request",
            Self::OnResponse => "on-response",
            Self::Update => "update",
            Self::Pick => "pick",
            Self::Picks => "picks",
            Self::Observe => "observe",
            Self::Lookup => "lookup",
            Self::Assigned => "assigned",
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a call gave no usable answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallFault {
    /// It trapped, or broke the rules by which values are passed.
    #[error("it failed: {message}")]
    Trap { message: String },

    #[error("it took longer than {limit:?}")]
    Deadline { limit: Duration },

    #[error("it wanted more than {limit} bytes of memory")]
    Memory { limit: usize },

    #[error("it passed more than {limit} bytes in one go")]
    Data { limit: usize },

    #[error("it called the proxy more than {limit} times")]
    Imports { limit: u32 },

    #[error("it gave an answer that can't be: {message}")]
    Answer { message: String },

    /// `configure` refused a config that it had accepted before.
    #[error("it refused its config: {message}")]
    Refused { message: String },

    #[error("there is no room for a further instance ({limit} at most)")]
    NoRoom { limit: u32 },

    /// Of an offloaded plugin; the call was not made.
    #[error("{limit} calls wait for its threads, and that is the limit")]
    QueueFull { limit: usize },

    /// Of an offloaded plugin; the call was not made in time.
    #[error("its threads were busy for {limit:?}, the time that the call had")]
    Waited { limit: Duration },

    /// An earlier call failed; this one was not made.
    #[error("the instance has failed before")]
    Poisoned,
}

impl CallFault {
    /// The cause as one word, for counters and logs.
    pub fn cause(&self) -> Cause {
        match self {
            Self::Trap { .. } => Cause::Trap,
            Self::Deadline { .. } => Cause::Deadline,
            Self::Memory { .. } => Cause::Memory,
            Self::Data { .. } | Self::Imports { .. } => Cause::Quota,
            Self::Answer { .. } => Cause::Answer,
            Self::Refused { .. } | Self::NoRoom { .. } => Cause::Start,
            Self::QueueFull { .. } | Self::Waited { .. } => Cause::Queue,
            Self::Poisoned => Cause::Poisoned,
        }
    }

    /// What it cost others than the one who asked.
    pub fn cost(&self) -> Cost {
        match self.cause() {
            Cause::Deadline => Cost::Time,
            Cause::Trap
            | Cause::Memory
            | Cause::Quota
            | Cause::Answer
            | Cause::Start
            | Cause::Queue
            | Cause::Poisoned => Cost::Own,
        }
    }

    /// Whether the plugin is to blame. There may be more calls than it can answer, which is no reason to
    /// take it for broken.
    pub fn is_the_plugins(&self) -> bool {
        self.cause() != Cause::Queue
    }
}

/// The causes of failed calls that are told apart when they are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    Trap,
    Deadline,
    Memory,
    Quota,
    Answer,
    Start,
    /// It had no time for the call.
    Queue,
    Poisoned,
}

impl Cause {
    pub const ALL: [Self; 8] = [
        Self::Trap,
        Self::Deadline,
        Self::Memory,
        Self::Quota,
        Self::Answer,
        Self::Start,
        Self::Queue,
        Self::Poisoned,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::Quota => "quota",
            Self::Answer => "answer",
            Self::Start => "start",
            Self::Queue => "queue",
            Self::Poisoned => "poisoned",
        }
    }
}

/// The engine itself can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    #[error("the code cache {}: {message}", folder.display())]
    Cache { folder: PathBuf, message: String },

    #[error("the plugin engine can't be set up: {message}")]
    Engine { message: String },

    #[error("the clock of plugin deadlines can't be started")]
    Ticker { source: io::Error },
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    if items.is_empty() {
        return "nothing".to_owned();
    }
    let items: Vec<String> = items.iter().map(|item| format!("`{item}`")).collect();
    items.join(", ")
}

fn bundled_hint(name: &str, known: &[&'static str]) -> String {
    if known.is_empty() {
        return "this build has none at all: `cargo xtask build` makes one that does".to_owned();
    }
    let meant = match nearest(name, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`? "),
        None => String::new(),
    };
    format!(
        "{meant}those that do: {}; a file of your own begins with `./` or `/`",
        list(known)
    )
}

fn exports_hint(exports: &[String]) -> String {
    if exports.is_empty() {
        return " nor anything else".to_owned();
    }
    format!(" (it exports {})", list(exports))
}

fn newer_hint(newer: bool) -> &'static str {
    if newer { ", or update Weir" } else { "" }
}

fn backends_hint(known: &[BackendName]) -> String {
    format!("backends: {}", list(known))
}

fn violations_text(violations: &[Violation]) -> String {
    let texts: Vec<String> = violations.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_by_nearly_its_name_is_found_in_the_message() {
        let known = vec!["hash", "least-conn", "round-robin"];
        for (name, meant) in [("leastconn", "least-conn"), ("roundrobin", "round-robin")] {
            let fault = LoadFault::NotBundled {
                name: name.to_owned(),
                known: known.clone(),
            };
            let expected = format!(
                "no plugin named `{name}` comes with Weir; did you mean `{meant}`? those that do: `hash`, \
                 `least-conn`, `round-robin`; a file of your own begins with `./` or `/`"
            );
            assert_eq!(fault.to_string(), expected);
        }
    }
}
