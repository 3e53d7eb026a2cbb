//! The steps by which a canary's share of clients grows by itself: `["5% 10m", "25% 1h", "100%"]`.

use std::{fmt, time::Duration};

use super::{
    next::NextMode,
    read::Fields,
    units,
    value::{Node, shorten},
};
use crate::model::Share;

/// A share, and how long it stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub share: Share,
    /// At least; the last one stays, so it has none.
    pub lasts: Option<Duration>,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lasts {
            Some(lasts) => write!(f, "{} for {lasts:?}", self.share),
            None => self.share.fmt(f),
        }
    }
}

const MOST: usize = 20;
const EXAMPLE: &str = "write steps = [\"5% 10m\", \"25% 1h\", \"100%\"]";

/// Reads `steps` of a canary; empty if it has none. None if they are wrong, which was said.
pub(super) fn read_steps(fields: &mut Fields<'_>, mode: Option<NextMode>) -> Option<Vec<Step>> {
    let Some(node) = fields.get("steps") else {
        return Some(Vec::new());
    };
    if mode == Some(NextMode::Shadow) {
        node.wrong(
            "are a canary's",
            "a shadow answers nobody; leave them out, or write mode = \"canary\"",
        );
        return None;
    }
    let listed = node.list("steps")?;
    if listed.is_empty() || listed.len() > MOST {
        node.wrong(
            format!("has {} entries; from 1 to {MOST} make sense", listed.len()),
            EXAMPLE,
        );
        return None;
    }
    let last = listed.len() - 1;
    let steps = listed.iter().enumerate();
    let steps: Vec<_> = steps.map(|(at, node)| step(node, at == last)).collect();
    let steps: Vec<Step> = steps.into_iter().collect::<Option<_>>()?;
    let shrinks = |pair: &[Step]| pair[1].share <= pair[0].share;
    if let Some(at) = steps.windows(2).position(shrinks) {
        listed[at + 1].wrong(
            format!(
                "has {} after {}; each step is greater than the one before",
                steps[at + 1].share,
                steps[at].share
            ),
            EXAMPLE,
        );
        return None;
    }
    Some(steps)
}

fn step(node: &Node<'_>, is_last: bool) -> Option<Step> {
    let text = node.text("5% 10m")?;
    match (parse(text), is_last) {
        (Some(step), false) if step.lasts.is_none() => node.wrong(
            format!("is `{}`, which says no time", shorten(text)),
            "write \"5% 10m\": only the last one stays",
        ),
        (Some(step), true) if step.lasts.is_some() => node.wrong(
            format!("is `{}`, and the last one stays", shorten(text)),
            format!("write \"{}\"", step.share),
        ),
        (Some(step), _) => return Some(step),
        (None, _) => node.wrong(format!("is no step: `{}`", shorten(text)), EXAMPLE),
    }
    None
}

fn parse(text: &str) -> Option<Step> {
    let mut words = text.split_whitespace();
    let share = words.next()?.parse().ok()?;
    let lasts = words.next().map(units::duration);
    if words.next().is_some() {
        return None;
    }
    let lasts = lasts.transpose().ok()?.filter(|lasts| !lasts.is_zero());
    Some(Step { share, lasts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_a_share_and_a_time() {
        let step = |share, lasts| Some(Step { share, lasts });
        let ten = Duration::from_secs(600);
        assert_eq!(parse("5% 10m"), step(Share::percent(5), Some(ten)));
        assert_eq!(parse(" 100% "), step(Share::ALL, None));
        for wrong in ["", "10m", "5% 10", "5% 10m 3", "5 10m", "500%"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
