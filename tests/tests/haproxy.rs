//! The same haproxy.cfg drives HAProxy and Weir, the same bytes go to both, and what comes back is the
//! same: status, fields in both directions, which server, cookies, bodies, and what becomes of connections.
//!
//! The set-ups stand in `haproxy/*.txt`. All of them are one configuration, so that each proxy is started
//! once. The servers answer with what they were asked, so what a proxy sends them is seen in its answers.

#[path = "haproxy/client.rs"]
mod client;
#[path = "haproxy/commands.rs"]
mod commands;
#[path = "haproxy/logs.rs"]
mod logs;
#[path = "haproxy/origin.rs"]
mod origin;
#[path = "haproxy/proxies.rs"]
mod proxies;
#[path = "haproxy/setup.rs"]
mod setup;
#[path = "haproxy/sites/mod.rs"]
mod sites;
#[path = "haproxy/stats.rs"]
mod stats;

use std::{fmt::Write as _, thread};

use self::{
    proxies::{Kind, Proxy},
    setup::{Setup, all},
};

/// So many set-ups there are at least.
const LEAST: usize = 120;

#[test]
fn the_same_configuration_behaves_the_same() {
    if !proxies::is_installed() {
        eprintln!("skipped: there is no haproxy 2.6 on this machine (`apt-get install haproxy`)");
        return;
    }
    let setups = all();
    assert!(setups.len() >= LEAST, "{} set-ups", setups.len());
    let haproxy = Proxy::start(Kind::Haproxy, &setups);
    let weir = Proxy::start(Kind::Weir, &setups);
    let mut report = String::new();
    for setup in &setups {
        // Each waits to see whether its connection is kept; both can at the same time.
        let (theirs, ours) = thread::scope(|scope| {
            let theirs = scope.spawn(|| haproxy.observe(setup));
            let ours = weir.observe(setup);
            (theirs.join().expect("the client ends"), ours)
        });
        judge(setup, &theirs, &ours, &mut report);
    }
    assert!(report.is_empty(), "{report}\n{}", weir.told());
}

fn judge(setup: &Setup, theirs: &[String], ours: &[String], report: &mut String) {
    let same = theirs == ours;
    let text = match (&setup.differs, same) {
        (None, true) | (Some(_), false) => return,
        (Some(reason), true) => format!("is said to differ ({reason}), and does not"),
        (None, false) => {
            let mut text = "differs".to_owned();
            for (step, (theirs, ours)) in setup.steps.iter().zip(theirs.iter().zip(ours)) {
                if theirs != ours {
                    let _ = write!(
                        text,
                        "\n  {step:?}\n--- HAProxy\n{theirs}\n--- Weir\n{ours}"
                    );
                }
            }
            text
        }
    };
    let _ = writeln!(report, "{}: {text}\n", setup.name);
}

#[test]
fn every_known_difference_is_on_the_page_with_its_reason() {
    let page = weir_tests::repository().join("docs/haproxy.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    for setup in all() {
        if let Some(reason) = &setup.differs {
            assert!(
                page.contains(reason.as_str()),
                "{}: `{reason}` is not on the page",
                setup.name
            );
        }
    }
}
