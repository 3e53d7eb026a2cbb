//! All commands: their words, how they are written, what they do, and who may give them.

use crate::config::Level;

/// What a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    AddAcl,
    AddMap,
    AddServer,
    ClearAcl,
    ClearCounters,
    ClearMap,
    ClearTable,
    CommitAcl,
    CommitMap,
    DelAcl,
    DelMap,
    DelServer,
    DisableServer,
    EnableServer,
    GetAcl,
    GetMap,
    GetWeight,
    Help,
    Operator,
    PrepareAcl,
    PrepareMap,
    Prompt,
    Quit,
    SetMap,
    SetMaxconnFrontend,
    SetMaxconnGlobal,
    SetMaxconnServer,
    SetServer,
    SetTable,
    SetTimeout,
    SetWeight,
    ShowAcl,
    ShowBackend,
    ShowCliLevel,
    ShowCliSockets,
    ShowInfo,
    ShowMap,
    ShowServersConn,
    ShowServersState,
    ShowStat,
    ShowTable,
    ShowVersion,
    ShutdownSessions,
    User,
}

#[derive(Debug)]
pub struct Command {
    pub words: &'static [&'static str],
    /// As `help` shows it, the words included.
    pub usage: &'static str,
    pub about: &'static str,
    pub level: Level,
    pub kind: Kind,
}

const fn command(
    words: &'static [&'static str],
    usage: &'static str,
    about: &'static str,
    level: Level,
    kind: Kind,
) -> Command {
    Command {
        words,
        usage,
        about,
        level,
        kind,
    }
}

/// In the order of `help`.
#[rustfmt::skip]
pub const COMMANDS: &[Command] = &[
    command(&["add", "acl"], "add acl [@<ver>] <acl> <pattern>", "add an acl entry", Level::Operator, Kind::AddAcl),
    command(&["add", "map"], "add map [@<ver>] <map> <key> <val>", "add a map entry (payload supported instead of key/val)", Level::Operator, Kind::AddMap),
    command(&["add", "server"], "add server <bk>/<srv>", "create a new server", Level::Admin, Kind::AddServer),
    command(&["clear", "acl"], "clear acl [@<ver>] <acl>", "clear the contents of this acl", Level::Operator, Kind::ClearAcl),
    command(&["clear", "counters"], "clear counters", "clear max statistics counters (Weir keeps none)", Level::Operator, Kind::ClearCounters),
    command(&["clear", "map"], "clear map [@<ver>] <map>", "clear the contents of this map", Level::Operator, Kind::ClearMap),
    command(&["clear", "table"], "clear table <table> [<filter>]*", "remove entries from a table (filter: data/key)", Level::Operator, Kind::ClearTable),
    command(&["commit", "acl"], "commit acl @<ver> <acl>", "commit the ACL at this version", Level::Operator, Kind::CommitAcl),
    command(&["commit", "map"], "commit map @<ver> <map>", "commit the map at this version", Level::Operator, Kind::CommitMap),
    command(&["del", "acl"], "del acl <acl> [<key>|#<ref>]", "delete acl entries matching <key>", Level::Operator, Kind::DelAcl),
    command(&["del", "map"], "del map <map> [<key>|#<ref>]", "delete map entries matching <key>", Level::Operator, Kind::DelMap),
    command(&["del", "server"], "del server <bk>/<srv>", "remove a server that is in maintenance", Level::Admin, Kind::DelServer),
    command(&["disable", "server"], "disable server <bk>/<srv>", "disable a server for maintenance (use 'set server' instead)", Level::Admin, Kind::DisableServer),
    command(&["enable", "server"], "enable server <bk>/<srv>", "enable a disabled server (use 'set server' instead)", Level::Admin, Kind::EnableServer),
    command(&["get", "acl"], "get acl <acl> <value>", "report the patterns matching a sample for an ACL", Level::User, Kind::GetAcl),
    command(&["get", "map"], "get map <map> <value>", "report the keys and values matching a sample for a map", Level::User, Kind::GetMap),
    command(&["get", "weight"], "get weight <bk>/<srv>", "report a server's current weight", Level::User, Kind::GetWeight),
    command(&["operator"], "operator", "lower the level of the current CLI session to operator", Level::Operator, Kind::Operator),
    command(&["prepare", "acl"], "prepare acl <acl>", "prepare a new version for atomic ACL replacement", Level::Operator, Kind::PrepareAcl),
    command(&["prepare", "map"], "prepare map <map>", "prepare a new version for atomic map replacement", Level::Operator, Kind::PrepareMap),
    command(&["set", "map"], "set map <map> [<key>|#<ref>] <value>", "modify a map entry", Level::Operator, Kind::SetMap),
    command(&["set", "maxconn", "frontend"], "set maxconn frontend <frontend> <value>", "change a frontend's maxconn setting", Level::Admin, Kind::SetMaxconnFrontend),
    command(&["set", "maxconn", "global"], "set maxconn global <value>", "change the per-process maxconn setting", Level::Admin, Kind::SetMaxconnGlobal),
    command(&["set", "maxconn", "server"], "set maxconn server <bk>/<srv> <value>", "change a server's maxconn setting", Level::Admin, Kind::SetMaxconnServer),
    command(&["set", "server"], "set server <bk>/<srv> [opts]", "change a server's state, weight or address", Level::Admin, Kind::SetServer),
    command(&["set", "table"], "set table <table> key <key> [data.* <val>]*", "update or create a table entry's data", Level::Operator, Kind::SetTable),
    command(&["set", "timeout"], "set timeout [cli] <delay>", "change a timeout setting", Level::User, Kind::SetTimeout),
    command(&["set", "weight"], "set weight <bk>/<srv> <weight>", "change a server's weight (use 'set server' instead)", Level::Admin, Kind::SetWeight),
    command(&["show", "acl"], "show acl [@<ver>] [<acl>]", "report available acls or dump an acl's contents", Level::User, Kind::ShowAcl),
    command(&["show", "backend"], "show backend", "list backends in the current running config", Level::User, Kind::ShowBackend),
    command(&["show", "cli", "level"], "show cli level", "display the level of the current CLI session", Level::User, Kind::ShowCliLevel),
    command(&["show", "cli", "sockets"], "show cli sockets", "dump list of cli sockets", Level::User, Kind::ShowCliSockets),
    command(&["show", "info"], "show info", "report information about the running process", Level::User, Kind::ShowInfo),
    command(&["show", "map"], "show map [@<ver>] [<map>]", "report available maps or dump a map's contents", Level::User, Kind::ShowMap),
    command(&["show", "servers", "conn"], "show servers conn [<backend>]", "dump server connections status (all or for a single backend)", Level::User, Kind::ShowServersConn),
    command(&["show", "servers", "state"], "show servers state [<backend>]", "dump volatile server information (all or for a single backend)", Level::User, Kind::ShowServersState),
    command(&["show", "stat"], "show stat [<px>|<iid>] [<type>] [<sid>] [no-maint|up]*", "report counters for each proxy and server", Level::User, Kind::ShowStat),
    command(&["show", "table"], "show table <table> [<filter>]*", "report table usage stats or dump this table's contents (filter: data/key)", Level::User, Kind::ShowTable),
    command(&["show", "version"], "show version", "show version of the current process", Level::User, Kind::ShowVersion),
    command(&["shutdown", "sessions", "server"], "shutdown sessions server <bk>/<srv>", "end TCP sessions and upgraded connections on a server", Level::Admin, Kind::ShutdownSessions),
    command(&["user"], "user", "lower the level of the current CLI session to user", Level::User, Kind::User),
    command(&["help"], "help [<command>]", "list matching or all commands", Level::User, Kind::Help),
    command(&["prompt"], "prompt", "toggle interactive mode with prompt", Level::User, Kind::Prompt),
    command(&["quit"], "quit", "disconnect", Level::User, Kind::Quit),
];

/// What HAProxy has and Weir has not, and what would do.
const ABSENT: &[(&str, &str)] = &[
    (
        "clear counters all",
        "counters count for as long as the process runs",
    ),
    (
        "disable frontend",
        "load a configuration without it, or `set maxconn frontend <frontend> 0`",
    ),
    ("enable frontend", "load a configuration that has it"),
    (
        "disable health",
        "checks are those of the configuration; `disable server` takes a server out",
    ),
    ("enable health", "checks are those of the configuration"),
    ("disable agent", "agents are those of the configuration"),
    ("enable agent", "agents are those of the configuration"),
    (
        "set rate-limit",
        "`set maxconn` limits connections; rates are limited by plugins",
    ),
    (
        "show activity",
        "GET /metrics of the admin interface has counters",
    ),
    (
        "show env",
        "the environment may hold secrets, so it is not shown",
    ),
    (
        "show errors",
        "bad requests are in the access log, with why they were refused",
    ),
    (
        "show pools",
        "GET /metrics of the admin interface has counters",
    ),
    ("show resolvers", "changes of addresses are in the log"),
    (
        "show sess",
        "there is no list of sessions; `show stat` and `show servers conn` count them",
    ),
    ("shutdown frontend", "load a configuration without it"),
    (
        "shutdown session",
        "there is no list of sessions; `shutdown sessions server` ends a server's",
    ),
];

/// The command that these words begin with.
pub fn find(words: &[String]) -> Option<&'static Command> {
    COMMANDS
        .iter()
        .find(|command| begins_with(words, command.words))
}

/// Why there is no such command, if HAProxy has it; without the words "Weir has no".
pub fn absence(words: &[String]) -> Option<(&'static str, &'static str)> {
    let mut absent = ABSENT.iter();
    let found = absent.find(|(name, _)| {
        let name: Vec<&str> = name.split(' ').collect();
        begins_with(words, &name)
    });
    found.copied()
}

fn begins_with(words: &[String], wanted: &[&str]) -> bool {
    words.len() >= wanted.len()
        && wanted
            .iter()
            .zip(words)
            .all(|(wanted, word)| wanted == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn commands_are_found_by_their_first_words() {
        let kind = |text| find(&words(text)).map(|command| command.kind);
        assert_eq!(kind("show map /etc/x"), Some(Kind::ShowMap));
        assert_eq!(
            kind("set maxconn server b/a 5"),
            Some(Kind::SetMaxconnServer)
        );
        assert_eq!(kind("show"), None);
        assert_eq!(kind("show maps"), None);
        assert!(absence(&words("show sess 0x1")).is_some());
        assert!(absence(&words("show nothing")).is_none());
    }

    #[test]
    fn every_command_is_written_as_it_is_read_and_stands_once() {
        for (position, command) in COMMANDS.iter().enumerate() {
            assert!(command.usage.starts_with(&command.words.join(" ")));
            let found = find(&words(&command.words.join(" ")));
            let found = found.map(|found| found.kind);
            assert_eq!(found, Some(command.kind), "{}", command.usage);
            let others = &COMMANDS[position + 1..];
            assert!(others.iter().all(|other| other.kind != command.kind));
        }
        for (name, _) in ABSENT
            .iter()
            .filter(|(name, _)| *name != "clear counters all")
        {
            assert!(find(&words(name)).is_none(), "{name} is there");
        }
    }
}
