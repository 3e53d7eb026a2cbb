//! `sites.list`:
//!
//! ```text
//! == NAME                          begins the script for NAME.cfg
//! needs user|folder PATH           what the machine must have, or the site is skipped
//! address ADDRESS                  one more of the loopback
//! name NAME                        a host name for 127.0.0.1
//! namespace NAME                   a network namespace with a loopback
//! machine NAME ADDRESS             a namespace that is reached at ADDRESS, from 10.0.0.1
//! file PATH TEXT                   a file with one line; its folder is empty but for such files
//! syslog                           somebody reads /dev/log
//! server NAME ADDRESS [NAMESPACE]  a server, which says its name and what it was asked
//! to ADDRESS [SOURCE]              where the requests go that follow, and where they come from
//! METHOD PATH | FIELD | … => TEXT & …   a request; each TEXT is in what comes back
//! until METHOD PATH … => TEXT      the same on new connections, until the texts are in what comes back
//! hold METHOD PATH                 a request whose answer nobody waits for
//! spread COUNT METHOD PATH => TEXT the names of the servers that answer so many requests
//! new                              a new connection
//! stop NAME, start NAME            a server goes, or comes back
//! log => TEXT & …                  a line of the log
//! cli PATH COMMAND => TEXT         an answer of the socket for commands
//! mode PATH => TEXT                a socket's mode
//! process => TEXT & …              the proxy's user and root
//! ```

use std::{fs, path::PathBuf};

use super::super::setup::request;

#[derive(Debug, Default)]
pub struct Site {
    pub name: String,
    pub needs: Vec<String>,
    pub world: Vec<Vec<String>>,
    pub steps: Vec<Step>,
}

#[derive(Debug)]
pub struct Step {
    /// As it is written.
    pub text: String,
    pub act: Act,
    pub expected: Vec<String>,
}

#[derive(Debug)]
pub enum Act {
    To {
        address: String,
        source: Option<String>,
    },
    Ask(Vec<u8>),
    Until(Vec<u8>),
    Hold(Vec<u8>),
    Spread(usize, Vec<u8>),
    New,
    Stop(String),
    Start(String),
    Log,
    Command {
        path: String,
        command: String,
    },
    Mode(String),
    Process,
}

impl Site {
    pub fn config(&self) -> PathBuf {
        configs().join(format!("{}.cfg", self.name))
    }

    /// What the machine lacks for it.
    pub fn missing_here(&self) -> Option<String> {
        let lacks = |need: &&String| match need.split_once(' ') {
            Some(("folder", path)) => !PathBuf::from(path).is_dir(),
            Some(("user", name)) => {
                let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
                !users
                    .lines()
                    .any(|line| line.starts_with(&format!("{name}:")))
            }
            _ => panic!("`needs {need}`: `needs user NAME` or `needs folder PATH`"),
        };
        let missing = self.needs.iter().find(lacks)?;
        Some(format!("there is no {missing}"))
    }
}

/// Where the configurations are.
pub fn configs() -> PathBuf {
    weir_tests::repository().join("haproxy/tests/configs/shared")
}

pub fn all() -> Vec<Site> {
    let file = weir_tests::repository().join("tests/tests/haproxy/sites.list");
    let text = fs::read_to_string(file).expect("the list is there");
    let mut sites: Vec<Site> = Vec::new();
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    for line in lines.filter(|line| !line.starts_with('#')) {
        if let Some(names) = line.strip_prefix("== ") {
            sites.push(Site {
                name: names.trim().to_owned(),
                ..Site::default()
            });
            continue;
        }
        let site = sites.last_mut().expect("the list begins with a name");
        read_line(line, site);
    }
    sites
}

fn read_line(line: &str, site: &mut Site) {
    let (said, expected) = line.split_once(" => ").unwrap_or((line, ""));
    let expected = expected.split(" & ").map(str::trim);
    let expected: Vec<String> = expected
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
        .collect();
    let (word, rest) = said.split_once(' ').unwrap_or((said, ""));
    let act = match word {
        "needs" => return site.needs.push(rest.to_owned()),
        "address" | "name" | "namespace" | "machine" | "server" | "syslog" => {
            let words = said.split_whitespace().map(str::to_owned).collect();
            return site.world.push(words);
        }
        "file" => {
            let (path, text) = rest.split_once(' ').expect("`file PATH TEXT`");
            let words = ["file", path, text].map(str::to_owned);
            return site.world.push(words.to_vec());
        }
        "to" => {
            let (address, source) = rest.split_once(' ').unwrap_or((rest, ""));
            Act::To {
                address: address.to_owned(),
                source: (!source.is_empty()).then(|| source.to_owned()),
            }
        }
        "until" => Act::Until(asked(rest)),
        "hold" => Act::Hold(asked(rest)),
        "spread" => {
            let (count, rest) = rest.split_once(' ').expect("`spread COUNT METHOD PATH`");
            Act::Spread(count.parse().expect("COUNT is a number"), asked(rest))
        }
        "new" => Act::New,
        "stop" => Act::Stop(rest.to_owned()),
        "start" => Act::Start(rest.to_owned()),
        "log" => Act::Log,
        "cli" => {
            let (path, command) = rest.split_once(' ').expect("`cli PATH COMMAND`");
            Act::Command {
                path: path.to_owned(),
                command: command.to_owned(),
            }
        }
        "mode" => Act::Mode(rest.to_owned()),
        "process" => Act::Process,
        _ => Act::Ask(asked(said)),
    };
    site.steps.push(Step {
        text: line.to_owned(),
        act,
        expected,
    });
}

fn asked(text: &str) -> Vec<u8> {
    let (method, rest) = text.split_once(' ').expect("`METHOD PATH`");
    request(method, rest)
}
