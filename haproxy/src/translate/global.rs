//! The section `global`.

use crate::{file::Section, nearest::nearest, problem::Problem, remark::Fate, text::Line};

use super::{Translator, draft::keyword, server::only_number};

impl Translator<'_> {
    pub(super) fn global(&mut self, section: &Section) {
        for line in &section.directives {
            let fate = self.global_directive(line);
            if let Some(fate) = self.problems.note(fate) {
                self.remark(line, fate);
            }
        }
    }

    fn global_directive(&mut self, line: &Line) -> Result<Fate, Problem> {
        if let Some(fate) = self.site.directive(line)? {
            return Ok(fate);
        }
        Ok(match keyword(line) {
            ["maxconn", ..] => {
                let most = only_number(line, 1, i64::from(u32::MAX))?;
                self.weir.top.set("max_connections", most);
                Fate::Same
            }
            ["nbthread", ..] => {
                let threads = only_number(line, 1, 1024)?;
                self.weir.top.set("workers", threads);
                Fate::Same
            }
            ["hard-stop-after", ..] => {
                let mut words = super::words::Words::of(line);
                let time = words.time()?;
                self.weir.top.set("drain_timeout", time.to_string());
                Fate::Same
            }
            // Where its lines go is settled once all proxies are known.
            ["log", ..] => Fate::Same,
            ["stats", ..] => self.stats_of_process(line)?,
            ["daemon", ..] => {
                Fate::dropped("Weir stays in the foreground; the service manager keeps it")
            }
            ["master-worker", ..] => {
                Fate::dropped("one process loads new configurations while it serves")
            }
            [key @ ("user" | "group" | "uid" | "gid"), name, _] => {
                let key = match key {
                    "user" | "uid" => "user",
                    _ => "group",
                };
                self.weir.top.set(key, name);
                Fate::Same
            }
            ["chroot", folder, _] => {
                self.weir.top.set("chroot", folder);
                Fate::nearly(
                    "a reload reads its files in there, under the same paths; without `chroot`, where they are",
                )
            }
            ["pidfile", file, _] => {
                self.weir.top.set("pid_file", self.site.file(file));
                Fate::Same
            }
            ["log-send-hostname" | "log-tag", ..] => {
                Fate::dropped("lines carry no name of the machine, and `weir` as tag")
            }
            ["tune.ssl.default-dh-param" | "ssl-dh-param-file", ..] => {
                Fate::nearly("keys are exchanged by elliptic curves, never by such parameters")
            }
            [keyword, ..] if LIKE_BEFORE.contains(&keyword) || keyword.starts_with("tune.") => {
                Fate::nearly("how Weir uses memory, threads and sockets is not said in the file")
            }
            [keyword, ..] if OF_TLS.contains(&keyword) => {
                Fate::nearly("TLS has rustls' own modern defaults")
            }
            [keyword, ..] if keyword.starts_with("lua-") => {
                Fate::dropped("Lua becomes plugins of your own")
            }
            ["no", other, ..] if LIKE_BEFORE.contains(&other) => Fate::Same,
            ["setenv" | "presetenv" | "unsetenv" | "resetenv", ..] => {
                Fate::dropped("variables are those of the environment that the import runs in")
            }
            ["description" | "node", ..] => {
                Fate::dropped("it is only shown by HAProxy's statistics")
            }
            [keyword, ..] if ABSENT.contains(&keyword) => Fate::dropped("Weir has nothing like it"),
            [other, ..] => return Err(unknown(line, other)),
        })
    }
}

fn unknown(line: &Line, word: &str) -> Problem {
    let known = LIKE_BEFORE.into_iter().chain(OF_TLS).chain(ABSENT);
    let known = known.chain([
        "maxconn",
        "nbthread",
        "log",
        "stats",
        "daemon",
        "user",
        "group",
        "chroot",
        "pidfile",
        "default-path",
    ]);
    let problem = Problem::new(
        line.words[0].place,
        format!("unknown keyword `{word}` in `global`"),
    );
    match nearest(word, known) {
        Some(meant) => problem.hint(format!("did you mean `{meant}`?")),
        None => problem,
    }
}

/// How the process runs, with no difference to clients and servers.
const LIKE_BEFORE: [&str; 30] = [
    "ulimit-n",
    "nbproc",
    "cpu-map",
    "thread-groups",
    "thread-group",
    "maxpipes",
    "noepoll",
    "nokqueue",
    "nopoll",
    "nosplice",
    "nogetaddrinfo",
    "noreuseport",
    "spread-checks",
    "max-spread-checks",
    "busy-polling",
    "numa-cpu-mapping",
    "quiet",
    "debug",
    "zero-warning",
    "profiling.tasks",
    "set-dumpable",
    "strict-limits",
    "insecure-fork-wanted",
    "insecure-setuid-wanted",
    "expose-experimental-directives",
    "grace",
    "close-spread-time",
    "prealloc-fd",
    "cluster-secret",
    "pp2-never-send-local",
];

const OF_TLS: [&str; 16] = [
    "ca-base",
    "crt-base",
    "key-base",
    "ssl-default-bind-ciphers",
    "ssl-default-bind-ciphersuites",
    "ssl-default-bind-curves",
    "ssl-default-bind-options",
    "ssl-default-server-ciphers",
    "ssl-default-server-ciphersuites",
    "ssl-default-server-options",
    "ssl-dh-param-file",
    "ssl-server-verify",
    "ssl-engine",
    "ssl-mode-async",
    "issuers-chain-path",
    "ssl-load-extra-files",
];

const ABSENT: [&str; 22] = [
    "51degrees-data-file",
    "deviceatlas-json-file",
    "wurfl-data-file",
    "external-check",
    "h1-case-adjust",
    "h1-case-adjust-file",
    "h2-workaround-bogus-websocket-clients",
    "maxconnrate",
    "maxcomprate",
    "maxcompcpuusage",
    "maxsslconn",
    "maxsslrate",
    "maxsessrate",
    "maxzlibmem",
    "server-state-base",
    "server-state-file",
    "ssl-load-extra-del-ext",
    "unix-bind",
    "mworker-max-reloads",
    "localpeer",
    "ssl-skip-self-issued-ca",
    "httpclient.ssl.verify",
];
