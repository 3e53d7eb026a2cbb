//! `next`: the version of a plugin that is tried out beside the one in use, how far it is let, and when it has
//! had its chance.

use std::time::Duration;

use super::{
    PluginUse,
    plugin_use::{Surroundings, read_source, rest_of_plugin},
    read::Fields,
    steps::{Step, read_steps},
    value::{Node, shorten},
};
use crate::model::{Input, Share};

/// The version of a plugin that is to take the place of the one in use.
#[derive(Debug, Clone)]
pub struct Next {
    /// What it does not say of itself is as the current version's.
    pub used: PluginUse,
    pub mode: NextMode,
    /// Of the clients that have a value of `on`.
    pub share: Share,
    /// By which a canary's share grows by itself; none: it does not. The first has `share`.
    pub steps: Vec<Step>,
    pub on: Input,
    pub give_up: GiveUp,
}

impl Next {
    /// Whether both say the same, wherever in the file they stand.
    pub fn says_as(&self, other: &Self) -> bool {
        let all = |next: &Self| {
            let steps = next.steps.clone();
            (next.mode, next.share, steps, next.on.clone(), next.give_up)
        };
        self.used.says_as(&other.used) && all(self) == all(other)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextMode {
    /// Asked after the current version, beside the traffic; its answers are compared and not used.
    Shadow,
    /// Asked in place of the current version.
    Canary,
}

impl NextMode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shadow => "shadow",
            Self::Canary => "canary",
        }
    }
}

/// What ends a try. Each limit is a share of the calls within `window`, of which at least `at_least` are
/// reckoned with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GiveUp {
    /// Calls that failed in whatever way but by taking too long.
    pub failures: Share,
    /// Calls that took too long.
    pub deadlines: Share,
    /// Answers that were other than the current version's; `None`: as many as there are.
    pub disagreements: Option<Share>,
    pub window: Duration,
    pub at_least: u64,
}

impl Default for GiveUp {
    fn default() -> Self {
        Self {
            failures: Share::percent(1),
            deadlines: Share::percent(1),
            disagreements: None,
            window: Duration::from_secs(60),
            at_least: 100,
        }
    }
}

const MODES: &[(&str, NextMode)] = &[("shadow", NextMode::Shadow), ("canary", NextMode::Canary)];

const EXAMPLE: &str = "next = { plugin = \"./new.wasm\", mode = \"shadow\" }";

/// Keys of a plugin's use that `next` has not.
const ELSEWHERE: [(&str, &str); 3] = [
    ("next", "one version at a time; leave out one of the two"),
    (
        "on_failure",
        "what `next` fails to answer, the current version is asked; leave it out",
    ),
    (
        "offload",
        "it is offloaded if the current version is; leave it out",
    ),
];

/// Reads the `next` of `current`.
pub(super) fn read_next(
    node: &Node<'_>,
    current: &PluginUse,
    around: &Surroundings<'_>,
) -> Option<Next> {
    if !node.value().is_table() {
        node.wrong_type("a table", &format!("write `{EXAMPLE}`"));
        return None;
    }
    read_fields(node.fields("next")?, current, around)
}

/// Reads what stands in the table `next` of `current`.
pub(super) fn read_fields(
    mut fields: Fields<'_>,
    current: &PluginUse,
    around: &Surroundings<'_>,
) -> Option<Next> {
    let mode = fields.require("mode", "\"shadow\"");
    let mode = mode.and_then(|node| node.choice(MODES));
    let steps = read_steps(&mut fields, mode);
    let share = read_share(&mut fields, mode, steps.as_deref());
    let on = match fields.get("on") {
        Some(node) => read_on(&node),
        None => Some(Input::ClientAddress),
    };
    let give_up = match fields.get("give_up") {
        Some(node) => read_give_up(&node),
        None => Some(GiveUp::default()),
    };
    let named = fields.require("plugin", "\"./new.wasm\"");
    let source = named
        .as_ref()
        .and_then(|node| read_source(node, around.sharing));
    let begun = named.zip(source).map(|(named, source)| {
        let mut used = PluginUse {
            signed_by: around.sharing.signed_by(&source),
            source,
            next: None,
            ..current.clone()
        };
        used.places.plugin = named.span();
        used
    });
    let used = rest_of_plugin(&mut fields, begun, current, around);
    fields.finish(&ELSEWHERE);
    Some(Next {
        used: used?,
        mode: mode?,
        share: share?,
        steps: steps?,
        on: on?,
        give_up: give_up?,
    })
}

/// The share of clients, which a canary has to say: here, or by its first step. None if it was wrong.
fn read_share(
    fields: &mut Fields<'_>,
    mode: Option<NextMode>,
    steps: Option<&[Step]>,
) -> Option<Share> {
    // What is wrong with steps was said.
    if let Some(first) = steps?.first() {
        if let Some(node) = fields.get("share") {
            node.wrong("is what `steps` begin with", "leave out one of the two");
            return None;
        }
        return Some(first.share);
    }
    match mode {
        Some(NextMode::Canary) => share(&fields.require("share", "\"5%\"")?),
        Some(NextMode::Shadow) | None => match fields.get("share") {
            Some(node) => share(&node),
            None => Some(Share::ALL),
        },
    }
}

fn share(node: &Node<'_>) -> Option<Share> {
    let text = node.text("5%")?;
    match text.parse() {
        Ok(share) => Some(share),
        Err(error) => {
            node.wrong(
                format!("is `{}`, which {error}", shorten(text)),
                "write \"5%\" or \"0.1%\"",
            );
            None
        }
    }
}

fn read_on(node: &Node<'_>) -> Option<Input> {
    const HINT: &str = "an input of plugins that each client keeps: \"client-address\", \"cookie(session)\", \"header(authorization)\"; \"request-id\" makes it a share of requests";
    let text = node.plain_text("client-address")?;
    match text.parse::<Input>() {
        Ok(input) if input.is_of_response() => {
            node.wrong(
                format!("is `{}`, which is known when all is decided", shorten(text)),
                HINT,
            );
            None
        }
        Ok(input) => Some(input),
        Err(error) => {
            node.wrong(format!("is no input: {error}"), HINT);
            None
        }
    }
}

fn read_give_up(node: &Node<'_>) -> Option<GiveUp> {
    let usual = GiveUp::default();
    let mut fields = node.fields("next.give_up")?;
    let mut limit = |key, usual: Option<Share>| match fields.get(key) {
        Some(node) => share(&node).map(Some),
        None => Some(usual),
    };
    let failures = limit("failures", Some(usual.failures));
    let deadlines = limit("deadlines", Some(usual.deadlines));
    let disagreements = limit("disagreements", usual.disagreements);
    let window = match fields.get("window") {
        Some(node) => node.duration().filter(|window| is_sound(&node, *window)),
        None => Some(usual.window),
    };
    let at_least = match fields.get("at_least") {
        Some(node) => node.integer(1..=1_000_000),
        None => Some(usual.at_least),
    };
    fields.finish(&[]);
    Some(GiveUp {
        failures: failures??,
        deadlines: deadlines??,
        disagreements: disagreements?,
        window: window?,
        at_least: at_least?,
    })
}

fn is_sound(node: &Node<'_>, window: Duration) -> bool {
    let sound = (Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&window);
    if !sound {
        node.wrong("is out of range", "from \"1s\" to \"1h\"");
    }
    sound
}
