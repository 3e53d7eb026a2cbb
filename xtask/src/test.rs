//! `cargo xtask test`: everything that `cargo test --workspace` runs, with the real proxy at hand.

use anyhow::Result;

use crate::{
    guests, languages, process,
    workspace::{self, Profile},
};

#[derive(clap::Args)]
pub struct Options {
    /// Only compare Weir with HAProxy: the same haproxy.cfg, the same requests, the same answers
    #[arg(long)]
    haproxy: bool,
    /// Run only tests whose name contains this
    filter: Option<String>,
    /// Handed on to `cargo test`, for example `-- --package weir-tests -- --nocapture`
    #[arg(last = true)]
    cargo_args: Vec<String>,
}

pub fn run(options: &Options) -> Result<()> {
    if options.haproxy {
        return compare();
    }
    guests::build()?;
    languages::build_what_can_be()?;
    // All at once: cargo would otherwise settle on other features for the proxy alone, and compile much
    // of what it depends on twice.
    process::run(process::cargo().args(["build", "--workspace", "--all-targets"]))?;

    let mut cargo = process::cargo();
    cargo
        .arg("test")
        .args(whole_workspace(options))
        .args(&options.filter)
        .args(&options.cargo_args);
    cargo.env("WEIR_BIN", workspace::weir(Profile::Dev));
    process::run(&mut cargo)
}

/// Needs HAProxy 2.6, which Debian 12 has; without it the test says so and passes.
fn compare() -> Result<()> {
    guests::build()?;
    process::run(process::cargo().args(["build", "--package", "weir"]))?;
    let mut cargo = process::cargo();
    cargo.args(["test", "--package", "weir-tests", "--test", "haproxy"]);
    cargo.args(["--", "--nocapture"]);
    cargo.env("WEIR_BIN", workspace::weir(Profile::Dev));
    process::run(&mut cargo)
}

fn whole_workspace(options: &Options) -> Option<&'static str> {
    let chosen = options
        .cargo_args
        .iter()
        .any(|arg| arg == "-p" || arg == "--package");
    (!chosen).then_some("--workspace")
}
