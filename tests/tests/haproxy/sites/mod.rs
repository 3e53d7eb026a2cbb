//! The configurations of `haproxy/tests/configs/shared`, each run as it is: in a world of its own where it
//! finds the addresses, names, namespaces and files that it expects, beside servers, with real requests.
//!
//! `sites.list` says for each what there is and what happens. What it says holds for HAProxy and for Weir, and
//! whatever else clients see of the two is compared.

mod script;
mod server;
mod walk;
mod world;

use std::{
    collections::VecDeque,
    process::{Command, Stdio},
    sync::Mutex,
    thread,
};

use weir_tests::binary;

use self::script::{Site, all};
use super::proxies::{self, Kind};

/// Which site a process that was started for one is to walk through, and behind which proxy.
const SITE: &str = "WEIR_SITE";
const PROXY: &str = "WEIR_SITE_PROXY";
/// What begins the line that says what was seen.
const SEEN: &str = "seen in the site: ";
/// Each is mostly waiting for checks.
const AT_ONCE: usize = 4;

#[test]
fn every_shared_configuration_runs_and_behaves() {
    if let Err(why) = world::can_be_made() {
        eprintln!("skipped: no worlds can be made here: {why}");
        return;
    }
    let compares = proxies::is_installed();
    if !compares {
        eprintln!("there is no haproxy 2.6 on this machine: Weir is not compared with it");
    }
    let sites = all();
    every_configuration_has_a_script(&sites);
    let queue: Mutex<VecDeque<&Site>> = Mutex::new(sites.iter().collect());
    let report = Mutex::new(String::new());
    let next = || queue.lock().expect("nobody panics with it").pop_front();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(site) = next() {
                    if let Err(what) = judge(site, compares) {
                        let mut report = report.lock().expect("nobody panics with it");
                        report.push_str(&format!("{}: {what}\n\n", site.name));
                    }
                }
            });
        }
    });
    let report = report.into_inner().expect("nobody panics with it");
    assert!(report.is_empty(), "{report}");
}

fn every_configuration_has_a_script(sites: &[Site]) {
    let entries = std::fs::read_dir(script::configs()).expect("the folder is there");
    for entry in entries {
        let path = entry.expect("it stays readable").path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        if path.extension().is_some_and(|ending| ending == "cfg") {
            let has_script = sites.iter().any(|site| site.name == stem);
            assert!(has_script, "{stem} has no script in sites.list");
        }
    }
}

fn judge(site: &Site, compares: bool) -> Result<(), String> {
    if let Some(missing) = site.missing_here() {
        eprintln!("{} is skipped: {missing}", site.name);
        return Ok(());
    }
    let ours = walk_through(site, Kind::Weir)?;
    if !compares {
        return Ok(());
    }
    let theirs = walk_through(site, Kind::Haproxy)?;
    for ((step, theirs), ours) in site.steps.iter().zip(theirs).zip(ours) {
        if theirs != ours {
            return Err(format!(
                "at `{}`\n--- HAProxy\n{theirs}\n--- Weir\n{ours}",
                step.text
            ));
        }
    }
    Ok(())
}

/// Starts this program once more, in namespaces of its own; they and all that runs in them end with it.
fn walk_through(site: &Site, kind: Kind) -> Result<Vec<String>, String> {
    let this = std::env::current_exe().expect("a program knows where it is");
    let output = Command::new("unshare")
        .args(["--net", "--mount", "--pid", "--mount-proc"])
        .args(["--fork", "--kill-child"])
        .arg(this)
        .args([
            "--exact",
            "sites::inside_a_site",
            "--ignored",
            "--nocapture",
        ])
        .env(SITE, &site.name)
        .env(PROXY, format!("{kind:?}"))
        .env("WEIR_BIN", binary())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("`unshare` cannot be started: {error}"))?;
    let told = String::from_utf8_lossy(&output.stdout);
    let mut lines = told.lines();
    let seen = lines.find_map(|line| Some(line.split_once(SEEN)?.1));
    match (output.status.success(), seen) {
        (true, Some(seen)) => serde_json::from_str(seen).map_err(|error| error.to_string()),
        _ => Err(format!(
            "behind {kind:?}:\n{told}\n{}",
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

#[test]
#[ignore = "started by every_shared_configuration_runs_and_behaves, in namespaces of its own"]
fn inside_a_site() {
    let (Ok(name), Ok(kind)) = (std::env::var(SITE), std::env::var(PROXY)) else {
        return;
    };
    let kind = match kind.as_str() {
        "Haproxy" => Kind::Haproxy,
        _ => Kind::Weir,
    };
    let sites = all();
    let site = sites.iter().find(|site| site.name == name);
    let seen = walk::walk(site.expect("it was named by another test"), kind);
    let seen = serde_json::to_string(&seen).expect("texts are JSON");
    println!("{SEEN}{seen}");
}
