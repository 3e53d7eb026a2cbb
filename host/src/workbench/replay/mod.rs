//! `weir replay`: decisions that a proxy recorded, put to another component. What it is asked is what the plugin
//! of the recording was asked, in that order, by the code that the proxy calls plugins with.

mod calls;
mod file;
mod run;
mod show;

use serde::Serialize;

use crate::telemetry::story::Given;

pub use calls::{NoUse, choose_use};
pub use file::{BadRecord, Recorded, load};
pub use run::{Playing, ReplayError, play, suits};

/// How the answers of the recording and those of the component compare.
#[derive(Debug, Default, Serialize)]
pub struct Comparison {
    /// Where the plugin of the recording was used.
    #[serde(rename = "use")]
    pub place: String,
    /// Answers that are the same.
    pub same: u64,
    pub different: u64,
    /// Calls that the component failed at.
    pub failed: u64,
    /// Calls whose inputs or answers were masked or cut: made, and not compared.
    pub masked: u64,
    /// Calls that could not be made, with the reason.
    pub left_out: Vec<LeftOut>,
    /// The first ones, in the order in which they were made.
    pub differences: Vec<Difference>,
    /// What may make answers differ that is not the component's doing.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    pub why: String,
    pub calls: u64,
}

/// A call that the component answered in another way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Of the exchange.
    pub id: String,
    pub call: String,
    pub inputs: Vec<Given>,
    /// What was recorded and what the component answered, a line for each part.
    pub recorded: Vec<String>,
    pub answered: Vec<String>,
}

impl Comparison {
    /// Whether the component answered everything that could be compared as it was recorded.
    pub fn agrees(&self) -> bool {
        self.different == 0 && self.failed == 0
    }

    fn leave_out(&mut self, why: String) {
        match self.left_out.iter_mut().find(|left| left.why == why) {
            Some(left) => left.calls += 1,
            None => self.left_out.push(LeftOut { why, calls: 1 }),
        }
    }
}
