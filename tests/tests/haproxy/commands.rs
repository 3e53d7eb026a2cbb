//! The commands of `commands.list`, given to HAProxy and to Weir at their stats sockets.

use std::{
    fmt::Write as _,
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::proxies::{Kind, command, is_installed, own_address};

const CONFIG: &str = "\
global
    stats socket @folder@/admin.sock mode 660 level admin
    stats socket @folder@/operator.sock mode 660
    stats socket @folder@/user.sock mode 660 level user
    stats timeout 10s
    nbthread 1
    maxconn 500
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
frontend f
    bind @host@:21990
    maxconn 400
    stick-table type string size 100 expire 10m store gpc0,http_req_rate(10s),http_req_cnt
    acl blocked src -f @folder@/block.lst
    http-request deny if blocked
    http-request set-header X-Tier %[hdr(x),map(@folder@/vip.map,none)]
    default_backend b
backend b
    server a 127.0.0.1:21991 weight 10
    server c 127.0.0.1:21992
backend s
    cookie SRV insert
    server a 127.0.0.1:21991 maxconn 7 cookie first
    server z 127.0.0.1:21993 backup disabled
";

struct Running {
    child: Child,
    folder: tempfile::TempDir,
    host: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(kind: Kind) -> Running {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let host = own_address(kind);
    let place = folder.path().display().to_string();
    let text = CONFIG.replace("@folder@", &place).replace("@host@", &host);
    let write = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).expect("a file can be written");
    };
    write("haproxy.cfg", &text);
    write("vip.map", "# tiers\nvip deluxe\nguest plain\n");
    write("block.lst", "10.0.0.0/8\n192.0.2.1\n");
    let child = command(kind, &folder.path().join("haproxy.cfg"))
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("the proxy can be started");
    let running = Running {
        child,
        folder,
        host,
    };
    let begun = Instant::now();
    while !is_ready(&running) {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{kind:?} listens"
        );
        thread::sleep(Duration::from_millis(20));
    }
    running
}

/// Whether all of its sockets are listened on: they are opened one after the other.
fn is_ready(running: &Running) -> bool {
    let sockets = ["user", "operator", "admin"].map(|level| format!("{level}.sock"));
    let mut sockets = sockets.iter().map(|name| running.folder.path().join(name));
    TcpStream::connect((running.host.as_str(), 21_990)).is_ok()
        && sockets.all(|socket| UnixStream::connect(socket).is_ok())
}

/// One line of the list.
struct Step<'l> {
    level: &'l str,
    shown: Shown<'l>,
    command: &'l str,
}

enum Shown<'l> {
    All,
    Lines(usize),
    Columns(Vec<&'l str>),
}

fn read(line: &str) -> Step<'_> {
    let (who, command) = line.split_once(' ').expect("a level and a command");
    let (level, shown) = if let Some((level, count)) = who.split_once('/')
        && let Ok(count) = count.parse()
    {
        (level, Shown::Lines(count))
    } else if let Some((level, columns)) = who.split_once(':') {
        (level, Shown::Columns(columns.split(',').collect()))
    } else {
        (who, Shown::All)
    };
    Step {
        level,
        shown,
        command,
    }
}

fn ask(running: &Running, step: &Step<'_>) -> String {
    let folder = running.folder.path();
    let file = |name: &str| folder.join(name).display().to_string();
    let command = step
        .command
        .replace("@vip@", &file("vip.map"))
        .replace("@block@", &file("block.lst"))
        .replace("\\n", "\n");
    let socket = folder.join(format!("{}.sock", step.level));
    let answer = say(&socket, &format!("{command}\n"));
    let answer = match &step.shown {
        Shown::All => answer,
        Shown::Lines(count) => answer.lines().take(*count).collect::<Vec<_>>().join("\n"),
        Shown::Columns(columns) => pick(&answer, columns),
    };
    let alike = answer
        .replace(&folder.display().to_string(), "FOLDER")
        .replace(&running.host, "HOST");
    remaining(&references(alike.trim_end()))
}

fn say(socket: &Path, text: &str) -> String {
    let mut stream = UnixStream::connect(socket).expect("commands are taken");
    let patience = Some(Duration::from_secs(20));
    stream.set_read_timeout(patience).expect("it is a socket");
    stream.write_all(text.as_bytes()).expect("they are taken");
    // Whoever asked for a prompt is waited for otherwise.
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .expect("answers are text");
    answer
}

/// `0x55d0c0de` is another one each time.
fn references(text: &str) -> String {
    let mut parts = text.split("0x");
    let mut alike = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        alike.push_str("REF");
        alike.push_str(part.trim_start_matches(|c: char| c.is_ascii_hexdigit()));
    }
    alike
}

/// `exp=599999` is less with every millisecond.
fn remaining(text: &str) -> String {
    let mut parts = text.split(" exp=");
    let mut alike = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        alike.push_str(" exp=LEFT");
        alike.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    alike
}

/// These columns of a table, whose heading begins with `#`, in the order of its rows' names.
fn pick(answer: &str, columns: &[&str]) -> String {
    let mut lines = answer.lines().skip_while(|line| !line.starts_with("# "));
    let Some(heading) = lines.next() else {
        return format!("no heading in {answer:?}");
    };
    let separator = if heading.contains(',') { ',' } else { ' ' };
    let names: Vec<&str> = heading.trim_start_matches("# ").split(separator).collect();
    let mut rows: Vec<String> = lines
        .filter(|line| !line.is_empty())
        .map(|line| {
            let values: Vec<&str> = line.split(separator).collect();
            let mut row = String::new();
            for column in columns {
                let position = names.iter().position(|name| name == column);
                let value = position.and_then(|position| values.get(position));
                let _ = write!(row, "{column}={} ", value.unwrap_or(&"MISSING"));
            }
            row
        })
        .collect();
    rows.sort();
    rows.join("\n")
}

#[test]
fn commands_are_answered_as_haproxy_answers_them() {
    if !is_installed() {
        eprintln!("skipped: there is no haproxy 2.6 on this machine (`apt-get install haproxy`)");
        return;
    }
    let list = weir_tests::repository().join("tests/tests/haproxy/commands.list");
    let list = fs::read_to_string(list).expect("the list is there");
    let (haproxy, weir) = (start(Kind::Haproxy), start(Kind::Weir));
    let mut report = String::new();
    let mut count = 0;
    for line in list
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        count += 1;
        let step = read(line);
        let (theirs, ours) = (ask(&haproxy, &step), ask(&weir, &step));
        if theirs != ours {
            let _ = writeln!(report, "{line}\n--- HAProxy\n{theirs}\n--- Weir\n{ours}\n");
        }
    }
    assert!(count > 150, "{count} commands");
    assert!(report.is_empty(), "{report}");
}
