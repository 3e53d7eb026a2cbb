//! The process as its surroundings see it: the program replaced under load, rights given away, service
//! managers, descriptors that run out.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixDatagram},
    process::Command,
    time::Duration,
};

use rustix::process::{Pid, Resource, Rlimit, Signal, geteuid, kill_process, prlimit};
use weir_tests::{Client, Load, Origin, Weir, eventually, fill, repository, simple};

fn pid_in(weir: &Weir) -> Option<i32> {
    let text = fs::read_to_string(weir.folder().join("weir.pid")).ok()?;
    text.trim().parse().ok()
}

fn signal(pid: i32, signal: Signal) {
    let pid = Pid::from_raw(pid).expect("a process has a pid above 0");
    kill_process(pid, signal).expect("it can be signalled");
}

fn runs(pid: i32) -> bool {
    // A process that has ended and was not waited for is a zombie.
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = status.rsplit(')').next().unwrap_or_default().trim_start();
    !state.is_empty() && !state.starts_with('Z')
}

/// Ends a successor, which is no child of the test.
struct Successor(i32);

impl Drop for Successor {
    fn drop(&mut self) {
        if runs(self.0) {
            signal(self.0, Signal::KILL);
        }
    }
}

const UPGRADED: &str = r#"
    workers = @workers@
    watch = false
    admin = "unix:admin.sock"
    pid_file = "weir.pid"
    drain_timeout = "8s"
    log = []
"#;

async fn upgrade(weir: &Weir, old: i32) -> Successor {
    signal(old, Signal::USR2);
    let new = eventually("a successor", async || {
        pid_in(weir).filter(|pid| *pid != old)
    })
    .await;
    let successor = Successor(new);
    eventually("the end of the former process", async || {
        (!runs(old)).then_some(())
    })
    .await;
    successor
}

#[tokio::test]
async fn the_program_is_replaced_under_load_and_no_request_fails() {
    let origin = Origin::start("a").await;
    origin.forget_requests();
    let config = |workers: usize| {
        fill(UPGRADED, &[("workers", &workers)]) + &simple(&[origin.address()], "", "")
    };
    let weir = Weir::start(&config(2)).await;
    let address = weir.address("web");
    // Connections that are kept, so that each has to be told to go.
    let load = Load::start(address, 8, &["/a", "/b"], Duration::from_millis(1));
    load.another(200).await;

    // Twice, the second time by a process that was itself handed its sockets, and to fewer workers.
    let first = upgrade(&weir, pid_in(&weir).expect("there is a pid file")).await;
    load.another(200).await;
    weir.write_config(&config(1));
    let second = upgrade(&weir, first.0).await;
    load.another(200).await;

    let report = load.stop().await;
    assert_eq!(report.failed(), 0, "{report:?}");
    assert!(report.ok >= 600, "{report:?}");
    let mut admin = Client::connect_unix(&weir.folder().join("admin.sock"))
        .await
        .expect("the administrators' socket went along");
    let status = admin.request("GET", "/health", &[("Host", "localhost")], b"");
    assert_eq!(status.await.status(), 200);
    assert!(runs(second.0));
    signal(second.0, Signal::TERM);
    eventually("the end of the successor", async || {
        (!runs(second.0)).then_some(())
    })
    .await;
    assert!(!weir.folder().join("weir.pid").exists());
    assert!(!weir.folder().join("admin.sock").exists());
}

#[tokio::test]
async fn a_successor_that_does_not_get_to_serve_changes_nothing() {
    let origin = Origin::start("a").await;
    let config = fill(UPGRADED, &[("workers", &1)]) + &simple(&[origin.address()], "", "");
    let weir = Weir::start(&config).await;
    let pid = pid_in(&weir).expect("there is a pid file");
    weir.write_config("this is no configuration");
    signal(pid, Signal::USR2);
    let line = weir
        .log_line("nothing changed, this process goes on serving")
        .await;
    assert!(line.contains("ended before it served"), "{line}");
    assert_eq!(weir.get("/").await.status(), 200);
    assert_eq!(pid_in(&weir), Some(pid));
    assert!(weir.folder().join("admin.sock").exists());
}

// Rights

/// A folder that another user may look into.
fn open_to_all(weir: &Weir) {
    let all = fs::Permissions::from_mode(0o755);
    fs::set_permissions(weir.folder(), all).expect("the folder is ours");
}

#[tokio::test]
async fn rights_are_given_away_by_all_threads_once_all_is_open() {
    if !geteuid().is_root() {
        eprintln!("skipped: only root has rights to give away");
        return;
    }
    let origin = Origin::start("a").await;
    let config = format!(
        "watch = false\nworkers = 2\nuser = \"nobody\"\nchroot = \".\"\n{}",
        simple(&[origin.address()], "", "check = { interval = \"50ms\" }")
    );
    let weir = Weir::start(&config).await;
    open_to_all(&weir);
    assert_eq!(weir.get("/").await.status(), 200);
    let nobody = fs::read_to_string("/etc/passwd").expect("there are users");
    let nobody = nobody.lines().find(|line| line.starts_with("nobody:"));
    let fields: Vec<&str> = nobody.expect("there is a nobody").split(':').collect();
    let (user, group) = (fields[2], fields[3]);
    let mut threads = 0;
    let tasks = fs::read_dir(format!("/proc/{}/task", weir.pid())).expect("it runs");
    for task in tasks {
        let status = task.expect("it runs").path().join("status");
        // A thread may end between the two looks.
        let Ok(status) = fs::read_to_string(status) else {
            continue;
        };
        let ids = |what: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(what));
            line.expect("it is there")
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(ids("Uid:"), [user; 4]);
        assert_eq!(ids("Gid:"), [group; 4]);
        assert!(!ids("Groups:").contains(&"0".to_owned()), "{status}");
        assert_eq!(ids("CapEff:"), ["0000000000000000"]);
        threads += 1;
    }
    assert!(threads >= 3, "workers and the control thread");
    let root = fs::read_link(format!("/proc/{}/root", weir.pid())).expect("it runs");
    let folder = fs::canonicalize(weir.folder()).expect("it is there");
    assert_eq!(root, folder);
}

#[tokio::test]
async fn a_user_that_is_not_there_keeps_the_proxy_from_starting() {
    let config = format!("user = \"no-such-user\"\n{}", simple(&[], "", ""));
    let Err(exited) = Weir::builder().try_start(&config).await else {
        panic!("it started");
    };
    assert_eq!(exited.status.code(), Some(3));
    assert!(
        exited.stderr.contains("there is no user `no-such-user`"),
        "{}",
        exited.stderr
    );
}

#[tokio::test]
async fn checking_refuses_accounts_that_are_not_there() {
    let config = format!(
        "user = \"no-such-user\"\ngroup = \"no-such-group\"\n{}\n[[runtime_socket]]\naddress = \"unix:r.sock\"\nuser = \"nor-this\"\n",
        simple(&[], "", "")
    );
    let checked = Weir::check(&config).await;
    assert!(!checked.status.success(), "{checked:?}");
    for told in [
        "`user`: there is no user `no-such-user`",
        "`group`: there is no group `no-such-group`",
        "`user`: there is no user `nor-this`",
    ] {
        assert!(checked.stderr.contains(told), "{}", checked.stderr);
    }
}

#[tokio::test]
async fn checking_warns_of_folders_that_are_not_there() {
    let config = |process: &str| format!("{process}\n{}", simple(&[], "", ""));
    let missing = config("chroot = \"no-jail\"\npid_file = \"no-folder/weir.pid\"");
    let checked = Weir::check(&missing).await;
    assert!(checked.status.success(), "{checked:?}");
    for told in [
        "warning: `chroot`: there is no ",
        "warning: `pid_file`: there is no ",
    ] {
        assert!(checked.stderr.contains(told), "{}", checked.stderr);
    }
    let swapped = config("chroot = \"weir.toml\"\npid_file = \".\"");
    let checked = Weir::check(&swapped).await;
    assert!(
        checked.stderr.contains("weir.toml is no folder"),
        "{checked:?}"
    );
    assert!(checked.stderr.contains("is a folder"), "{checked:?}");
    let there = config("user = \"nobody\"\nchroot = \".\"\npid_file = \"weir.pid\"");
    let checked = Weir::check(&there).await;
    assert!(checked.status.success(), "{checked:?}");
    for told in ["chroot", "pid_file"] {
        assert!(!checked.stderr.contains(told), "{checked:?}");
    }
}

// Service managers

#[tokio::test]
async fn a_service_manager_is_told_when_it_serves_reloads_and_stops() {
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let place = folder.path().join("notify");
    let manager = UnixDatagram::bind(&place).expect("it can be bound");
    manager.set_nonblocking(true).expect("it is a socket");
    let told = async |what: &str| {
        eventually(&format!("`{what}`"), async || {
            let mut text = [0; 512];
            let length = manager.recv(&mut text).ok()?;
            let text = String::from_utf8_lossy(&text[..length]).into_owned();
            text.contains(what).then_some(text)
        })
        .await
    };
    let weir = Weir::builder()
        .env("NOTIFY_SOCKET", &place)
        .start(&simple(&[], "", ""))
        .await;
    told("READY=1").await;
    weir.reload().await;
    let reloading = told("RELOADING=1").await;
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    told("READY=1").await;
    weir.terminate();
    told("STOPPING=1").await;
    weir.exited().await;
}

/// Passes a listening socket as systemd does, with Python in systemd's place.
const ACTIVATOR: &str = r#"
import os, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES="web")
os.execv(sys.argv[1], sys.argv[1:])
"#;

#[tokio::test]
async fn a_socket_that_systemd_opened_is_listened_on() {
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let config = simple(&[], "", "").replace("127.0.0.1:0", "systemd:web");
    let file = folder.path().join("weir.toml");
    fs::write(&file, &config).expect("it can be written");
    let said = folder.path().join("said");
    let output = fs::File::create(&said).expect("it can be written");
    let started = tokio::process::Command::new("python3")
        .args(["-c", ACTIVATOR])
        .arg(Weir::program())
        .args(["run", "-c"])
        .arg(&file)
        .env("XDG_CACHE_HOME", repository().join("target/test-cache"))
        .stdout(output)
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let Ok(_weir) = started else {
        eprintln!("skipped: there is no python3");
        return;
    };
    let port: u16 = eventually("the port", async || {
        fs::read_to_string(&said).ok()?.lines().next()?.parse().ok()
    })
    .await;
    let mut client = Client::connect(([127, 0, 0, 1], port).into()).await;
    assert_eq!(
        client.get("/").await.status(),
        503,
        "the proxy answers there"
    );

    let refused = Weir::builder().try_start(&config).await;
    let Err(exited) = refused else {
        panic!("nobody handed a socket over");
    };
    let wanted = "the service manager handed no socket called `web` over";
    assert!(exited.stderr.contains(wanted), "{}", exited.stderr);
}

// Descriptors

#[tokio::test]
async fn a_listener_outlives_a_time_without_descriptors() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&format!(
        "workers = 1\n{}",
        simple(&[origin.address()], "", "")
    ))
    .await;
    assert_eq!(weir.get("/").await.status(), 200);
    let pid = Pid::from_raw(i32::try_from(weir.pid()).expect("pids are small"));
    let before = prlimit(
        pid,
        Resource::Nofile,
        Rlimit {
            // What is open stays open, and nothing more can be opened.
            current: Some(1),
            maximum: Some(20_000),
        },
    )
    .expect("the limit of a child can be set");
    let mut waiting = weir.client().await;
    weir.log_line("clients cannot be accepted now").await;
    waiting.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let ticks = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", weir.pid())).expect("it runs");
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let number = |index: usize| fields[index].parse::<u64>().expect("it is a number");
        number(11) + number(12)
    };
    let began = ticks();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(ticks() - began < 25, "it waits and does not spin");
    prlimit(pid, Resource::Nofile, before).expect("the limit of a child can be set");
    assert_eq!(
        waiting.response().await.status(),
        200,
        "who waited is served"
    );
}

#[tokio::test]
async fn too_few_descriptors_for_max_connections_are_told_at_the_start() {
    let weir = Weir::start(&format!(
        "max_connections = 10000000\n{}",
        simple(&[], "", "")
    ))
    .await;
    let line = weir.log_line("`max_connections` is 10000000").await;
    assert!(line.contains("raise the hard limit"), "{line}");
}

#[test]
fn a_tool_whose_reader_has_seen_enough_ends_without_a_word() {
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    drop(reader);
    let ended = Command::new(Weir::program())
        .args(["plugin", "inspect", "rules"])
        .stdout(writer)
        .output()
        .expect("the binary can be started");
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
    assert_eq!(
        ended.status.code(),
        Some(128 + 13),
        "as SIGPIPE is told by a shell"
    );
}
