//! The story of an exchange: which plugins were asked, with what, what each answered, and how it ended. One
//! form for whoever asks later (`weir why`) and for recordings (`weir record`): JSON, versioned by
//! [`RECORD_VERSION`].
//!
//! Knows nothing of how an exchange goes.

mod answer;
mod fit;
mod mask;

use serde::{Deserialize, Serialize};

pub use mask::{Mask, Secrets};

/// Of the form below. Readers let pass what they do not know, so what is only added leaves it as it is.
pub const RECORD_VERSION: u32 = 1;

/// A line of a recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordLine {
    /// The first line.
    Record(RecordHead),
    Exchange(Box<Story>),
    /// The last line, unless the recording was cut off.
    End(RecordEnd),
}

/// What is recorded, and by whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordHead {
    /// [`RECORD_VERSION`]
    pub version: u32,
    /// The program's own.
    pub weir: String,
    /// Microseconds since 1970.
    pub at: u64,
    /// `10%`
    pub share: String,
    /// Whether secrets are masked.
    pub masked: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frontend: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// The uses of plugins when the recording began.
    pub uses: Vec<UseShown>,
}

/// A plugin where it is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UseShown {
    /// `frontend.web.filter.1`, `backend.app.balance`
    #[serde(rename = "use")]
    pub place: String,
    pub plugin: String,
    pub digest: String,
    /// As JSON text; left out where secrets are masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    pub backends: Vec<String>,
    /// The tables of counters that it was granted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counters: Vec<TableShown>,
}

/// How a recording went.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordEnd {
    pub exchanges: u64,
    /// Exchanges that are missing because whoever reads the recording was too slow.
    pub lost: u64,
}

/// Why a story was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kept {
    Sampled,
    Failed,
    Recorded,
}

/// An exchange, a session or a connection that was turned away, once it is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Story {
    pub id: String,
    /// When it began, in microseconds since 1970.
    pub at: u64,
    pub kept: Kept,
    pub worker: usize,
    pub generation: u64,
    pub frontend: String,
    pub spoken: Spoke,
    /// Under which the connection filters were asked, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestShown>,
    pub steps: Vec<Step>,
    pub outcome: OutcomeShown,
    /// Whether some of it was left out for its size.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cut: bool,
}

/// What the client's bytes were taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spoke {
    Http,
    Tcp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestShown {
    pub method: String,
    /// As the client sent it.
    pub target: String,
    pub version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// How it ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OutcomeShown {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// `client`, `server`, `plugin` or `proxy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Why it ended early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// As in the access log.
    pub termination: String,
    pub retries: u32,
    pub redispatched: bool,
    pub received: u64,
    pub sent: u64,
    pub times: Times,
}

/// How long each phase took, in microseconds, as in the access log; none if it was not reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<u64>,
    pub total: u64,
}

/// Something that happened on the way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// A plugin was asked.
    Asked(Box<Asked>),
    /// A balancer that learns was told how its pick turned out.
    Observed {
        #[serde(rename = "use")]
        place: String,
        /// Microseconds since 1970.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<u64>,
        server: String,
        outcome: String,
        microseconds: u64,
    },
    /// No connection to a server could be made.
    NoConnection { server: String, error: String },
}

/// A plugin was asked, or was to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// `on-request`, `pick`, …
    pub call: String,
    /// `frontend.web.filter.1`, `backend.app.balance`
    #[serde(rename = "use")]
    pub place: String,
    pub plugin: String,
    pub digest: String,
    /// Microseconds since 1970; none if the exchange was not sampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
    /// Nanoseconds; likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<u64>,
    /// The answer was one that the plugin had given before, or ahead.
    #[serde(default, skip_serializing_if = "is_false")]
    pub from_memory: bool,
    /// None if they were not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Vec<Given>>,
    /// The random numbers that it was given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rolls: Vec<u64>,
    /// What it asked tables of counters, in that order; none if that was not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counters: Option<Vec<CountersAsked>>,
    /// The persistence key that `assigned` was called with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pick: Option<PickAsked>,
    pub answer: AnswerShown,
}

/// A table of counters was asked something, or told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountersAsked {
    /// `add`, `read`, `falls-to`, `value`, `set-value` or `remove`.
    pub asked: String,
    pub table: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub counter: String,
    pub key: String,
    /// What was added, or the most that it is to fall to.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub number: u64,
    /// The value that was to be kept.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// None: there is no such thing.
    pub answer: Option<CountersAnswer>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CountersAnswer {
    Done(bool),
    Number(u64),
    Text(String),
}

/// A table of counters as weir.toml declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableShown {
    pub name: String,
    pub size: usize,
    /// In milliseconds; none: as long as there is room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire: Option<u64>,
    /// Whether a key that finds it full is not counted.
    #[serde(default, skip_serializing_if = "is_false")]
    pub refuses: bool,
    pub counters: Vec<CounterShown>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterShown {
    pub name: String,
    /// In milliseconds; none: a total.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u64>,
}

/// The value of an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    pub input: String,
    pub value: Option<String>,
    /// It is not the value that the plugin was given, or not all of it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub masked: bool,
}

/// What a balancer is told besides values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PickAsked {
    pub turn: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<String>,
    /// In the servers' order; empty if the plugin does not want them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loads: Vec<u32>,
    /// As in its last update; none if they were not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub servers: Option<Vec<ServerShown>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerShown {
    pub name: String,
    pub id: u32,
    pub weight: u32,
    pub limit: u32,
}

/// What a plugin answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerShown {
    /// `pass`, `use-backend fast`, `deny 403`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// The picked or remembered server; `""` is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// `set-header x-tier: gold`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub response_edits: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<ReplyShown>,
    /// Why there was no answer, or none that could be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub masked: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyShown {
    pub headers: Vec<String>,
    pub bytes: u64,
    /// SHA-256 of the body in hexadecimal digits.
    pub digest: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(flag: &bool) -> bool {
    !*flag
}
