//! Actions that Weir has nothing like, and why; and words that are none of HAProxy's either.

use crate::text::Word;

use super::Refused;
use crate::translate::words::wrong;

/// What comes from clients is; answers are not, and in front of TCP there are connections alone.
const COUNTED: &str = "only what comes from clients is counted, and requests where there are some";

const KNOWN: [(&str, &str); 32] = [
    ("capture", "the log line has no captured fields"),
    ("set-log-level", "all requests are logged alike"),
    ("set-nice", "requests are served in the order they come"),
    (
        "set-priority-class",
        "requests are served in the order they come",
    ),
    (
        "set-priority-offset",
        "requests are served in the order they come",
    ),
    ("set-mark", "packets are not marked"),
    ("set-tos", "packets are not marked"),
    ("set-src", "the client's address is the connection's"),
    ("set-src-port", "the client's address is the connection's"),
    (
        "set-dst",
        "servers have the addresses that the file gives them",
    ),
    (
        "set-dst-port",
        "servers have the addresses that the file gives them",
    ),
    ("set-map", "maps change when their files do"),
    ("del-map", "maps change when their files do"),
    ("add-acl", "maps change when their files do"),
    ("del-acl", "maps change when their files do"),
    ("track-sc0", COUNTED),
    ("track-sc1", COUNTED),
    ("track-sc2", COUNTED),
    ("sc-inc-gpc0", COUNTED),
    ("sc-inc-gpc1", COUNTED),
    ("sc-set-gpt0", "tables keep counters and no tags"),
    ("early-hint", "interim answers come from servers only"),
    (
        "do-resolve",
        "names are resolved when the configuration is loaded",
    ),
    ("wait-for-handshake", "Weir takes no early data"),
    ("wait-for-body", "bodies pass through and are not looked at"),
    (
        "use-service",
        "Weir's own figures are at its admin interface",
    ),
    ("send-spoe-group", "what SPOE agents do is done by plugins"),
    ("disable-l7-retry", "answers are not retried"),
    (
        "strict-mode",
        "an edit that cannot be made is always an error",
    ),
    ("set-timeout", "timeouts are those of the file"),
    ("set-bandwidth-limit", "bandwidth is not limited"),
    ("unset-var", "a variable cannot be taken back"),
];

const HERE: [&str; 21] = [
    "silent-drop",
    "allow",
    "auth",
    "deny",
    "tarpit",
    "redirect",
    "reject",
    "return",
    "set-header",
    "add-header",
    "del-header",
    "replace-header",
    "replace-value",
    "replace-path",
    "set-path",
    "set-query",
    "set-uri",
    "set-method",
    "normalize-uri",
    "set-var",
    "set-status",
];

/// Why an action has no equivalent, or that HAProxy does not know it either.
pub fn absent(action: &Word, name: &str) -> Refused {
    let bare = name.split('(').next().unwrap_or(name);
    if let Some((_, why)) = KNOWN.iter().find(|(known, _)| *known == bare) {
        return Refused::Absent((*why).to_owned());
    }
    if bare.starts_with("lua.") {
        return Refused::Absent("Lua becomes a plugin of your own".to_owned());
    }
    if bare.starts_with("sc-") || bare.starts_with("track-sc") {
        return Refused::Absent(
            "tables keep counters that are added to, and nothing else".to_owned(),
        );
    }
    let problem = wrong(action, format!("unknown action `{name}`"));
    let known = HERE.into_iter().chain(KNOWN.map(|(known, _)| known));
    Refused::Wrong(match crate::nearest::nearest(bare, known) {
        Some(meant) => problem.hint(format!("did you mean `{meant}`?")),
        None => problem,
    })
}
