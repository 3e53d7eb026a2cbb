//! `[why]`: which exchanges' stories are kept for `weir why`, how many of them, and what is masked in them.

use std::time::Duration;

use super::{
    read::Fields,
    units,
    value::{Node, shorten},
};
use crate::model::{Input, Share};

/// What is kept of exchanges once they are over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// Of all exchanges, whatever becomes of them.
    pub share: Share,
    /// Whether all that fail are kept, too.
    pub failures: bool,
    /// Stories per worker, of those that were sampled and of those that failed.
    pub keep: usize,
    /// Of one story; more is cut.
    pub max_bytes: usize,
    /// Inputs whose values are masked, besides those that always are.
    pub mask: Vec<Input>,
}

impl Default for Why {
    fn default() -> Self {
        Self {
            share: Share::NONE,
            failures: true,
            keep: 256,
            max_bytes: 16 << 10,
            mask: Vec::new(),
        }
    }
}

/// Reads a time as the configuration has it: `500ms`, `30s`, `2m`.
///
/// # Errors
/// What is wrong with it, and what would do.
pub fn read_duration(text: &str) -> Result<Duration, String> {
    match units::duration(text) {
        Ok(time) if !time.is_zero() => Ok(time),
        Ok(_) => Err(format!("`{}` is no time at all", shorten(text))),
        Err(error) => Err(format!(
            "`{}` {error}; write a time such as \"500ms\", \"30s\" or \"2m\"",
            shorten(text)
        )),
    }
}

pub(super) fn read_why(top: &mut Fields<'_>) -> Why {
    let mut why = Why::default();
    let Some(mut fields) = top.table("why", "[why]") else {
        return why;
    };
    if let Some(share) = fields.get("share").and_then(|node| read_share(&node)) {
        why.share = share;
    }
    if let Some(failures) = fields.get("failures").and_then(|node| node.boolean()) {
        why.failures = failures;
    }
    if let Some(keep) = fields.get("keep").and_then(|node| node.index(1..=100_000)) {
        why.keep = keep;
    }
    let most = fields.get("max_bytes");
    if let Some(most) = most.and_then(|node| node.size(1 << 10..=1 << 20)) {
        why.max_bytes = usize::try_from(most).unwrap_or(why.max_bytes);
    }
    if let Some(inputs) = fields.get("mask").and_then(|node| node.list("inputs")) {
        why.mask = inputs.iter().filter_map(read_input).collect();
    }
    fields.finish(&[
        (
            "sample",
            "the part of all exchanges that is kept is `share`",
        ),
        ("secrets", "what must not be shown is named in `mask`"),
    ]);
    why
}

fn read_share(node: &Node<'_>) -> Option<Share> {
    let text = node.plain_text("1%")?;
    match text.parse::<Share>() {
        Ok(share) => Some(share),
        Err(error) => {
            node.wrong(
                format!("{error}: `{}`", shorten(text)),
                "write something like \"1%\" or \"0.05%\"",
            );
            None
        }
    }
}

fn read_input(node: &Node<'_>) -> Option<Input> {
    let text = node.plain_text("header(x-api-key)")?;
    match text.parse() {
        Ok(input) => Some(input),
        Err(_) => {
            node.wrong(
                format!("names no input: `{}`", shorten(text)),
                "write inputs as plugins name them: \"header(x-api-key)\", \"query-param(token)\", \"var(user)\"",
            );
            None
        }
    }
}
