//! Lines to sections, and the small languages inside directives: sample expressions, conditions and
//! log-format texts. Knows HAProxy's grammar and nothing of Weir.

mod condition;
mod format;
mod sample;
mod sections;

pub use condition::{Condition, Matching, Term, Test, What, split_condition, test};
pub use format::{Format, Part};
pub use sample::{Call, Sample};
pub use sections::{File, Kind, Section, read};
