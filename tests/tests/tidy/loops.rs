//! What runs on a worker waits for the worker's own event loop: tokio's would panic there, or not be heard.

use crate::source::Source;

/// Folders and files that run on workers.
const OF_WORKERS: [&str; 8] = [
    "frontend/",
    "backend/",
    "cache/",
    "plugin/",
    "net/",
    "http/",
    "telemetry/",
    "proxy/workers.rs",
];
/// Files among them that run on the control thread alone.
const OF_CONTROL: [&str; 3] = ["backend/agent.rs", "backend/health.rs", "backend/probe.rs"];
/// What tokio's runtime has to be there for.
const NEEDS_TOKIO: [&str; 16] = [
    "sleep",
    "sleep_until",
    "timeout",
    "timeout_at",
    "interval",
    "interval_at",
    "spawn",
    "spawn_local",
    "spawn_blocking",
    "TcpListener",
    "TcpSocket",
    "TcpStream",
    "UnixListener",
    "UnixStream",
    "AsyncFd",
    "signal",
];

/// Whether a file of the host runs on workers.
pub fn is_of_workers(source: &Source) -> bool {
    let Some(place) = source.name.strip_prefix("host/src/") else {
        return false;
    };
    let is_one = OF_WORKERS.iter().any(|prefix| place.starts_with(prefix));
    is_one && !OF_CONTROL.contains(&place) && !place.contains("tests")
}

/// The words of tokio's runtime that a file uses outside of its tests.
pub fn words_of_tokios_runtime(source: &Source) -> Vec<String> {
    let code: Vec<&str> = source.code_lines().collect();
    let code = code.join("\n");
    let code = code.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("tokio::") {
        // An import ends with its semicolon, a path with the first thing that is no part of one.
        let rest = &code[at..];
        let import = code[..at].trim_end().ends_with("use");
        let end = match import {
            true => rest.find(';'),
            false => rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':'),
        };
        let path = &rest[..end.unwrap_or(rest.len())];
        // A module imported as such would hide what is used of it.
        let whole = path.split([',', '}', ' ', '\n', '{']).map(str::trim);
        let modules = [
            "tokio::time",
            "tokio::task",
            "tokio::net",
            "time",
            "task",
            "net",
            "self",
        ];
        found.extend(
            whole
                .filter(|part| import && modules.contains(part))
                .map(str::to_owned),
        );
        let words = path.split(|c: char| !c.is_alphanumeric() && c != '_');
        found.extend(
            words
                .filter(|word| NEEDS_TOKIO.contains(word))
                .map(str::to_owned),
        );
    }
    found
}
