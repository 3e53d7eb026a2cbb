//! `weir plugin …`: what authors and operators of plugins ask for.

mod look;
mod make;
mod play;
mod try_out;

use std::{path::PathBuf, process::ExitCode};

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Makes a folder with a plugin that builds, tests and runs at once.
    New(make::New),
    /// Makes a component of a plugin's sources.
    ///
    /// Needs a Rust compiler that can build for wasm32-unknown-unknown, and no other tool.
    Build(make::Build),
    /// Shows what a component can be used as, what it asks for, and its config schema.
    ///
    /// Exit code 1 if it could not be loaded as a plugin.
    Inspect(look::Inspect),
    /// Runs a plugin's hooks against cases that are written as data, without a proxy.
    ///
    /// Exit code 1 if a case failed. docs/testing-plugins.md says what a case can say.
    Test(try_out::Test),
    /// Plays a balancer through made-up or recorded traffic, with a clock of its own.
    ///
    /// The same seed gives the same run. docs/simulating.md says what is played and what the figures mean.
    Simulate(Box<play::Simulate>),
    /// Measures what a plugin costs: compiling, an instance, each call.
    Bench(try_out::Bench),
    /// Lists the plugins that come with Weir.
    List,
}

/// A component: a .wasm file, or the name of a plugin that comes with Weir.
type ComponentFile = PathBuf;

pub fn run(command: Command) -> ExitCode {
    let done = match command {
        Command::New(options) => make::new(&options),
        Command::Build(options) => make::build(&options),
        Command::Inspect(options) => look::inspect(&options),
        Command::Test(options) => try_out::test(&options),
        Command::Simulate(options) => play::simulate(&options),
        Command::Bench(options) => try_out::bench(&options),
        Command::List => {
            look::list();
            Ok(ExitCode::SUCCESS)
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {}", told(&error));
        ExitCode::from(1)
    })
}

/// An error with those of its causes that it does not tell itself.
fn told(error: &anyhow::Error) -> String {
    let mut told = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}
