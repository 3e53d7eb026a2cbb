//! `cargo xtask …`: everything that is done to this repository, so that nobody needs to know how.
//!
//! Knows how things are built and started; knows nothing of what the proxy does.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod build;
mod demo;
mod guests;
mod languages;
mod process;
mod reference;
mod test;
mod workspace;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "Builds, tests, shows and measures Weir"
)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the plugins to Wasm components, then the proxy with them embedded
    Build(build::Options),
    /// Show what Weir does, with real servers and requests, and swap a balancer under load
    Demo(demo::Options),
    /// Build everything, then run all tests against the real proxy
    Test(test::Options),
    /// Test and build the example plugins in JavaScript, Python and C
    Languages(languages::Options),
    /// Make the page about the contract, docs/contract.md, of the contract's comments
    Reference(reference::Options),
    /// Measure CPU per request, Weir beside HAProxy on the same work
    #[command(disable_help_flag = true)]
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Build(options) => build::run(&options),
        Task::Demo(options) => demo::run(&options),
        Task::Test(options) => test::run(&options),
        Task::Languages(options) => languages::run(&options),
        Task::Reference(options) => reference::run(&options),
        Task::Bench(options) => bench::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
