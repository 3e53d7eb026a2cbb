//! `weir plugin …`: what authors and operators of plugins ask for.

mod look;
mod make;
mod play;
mod share;
mod try_out;

use std::{path::PathBuf, process::ExitCode};

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Makes a folder with a plugin that builds, tests and runs at once.
    New(make::New),
    /// Makes a component of a plugin's sources.
    ///
    /// Rust needs a compiler that can build for wasm32-unknown-unknown, C needs clang and lld; JavaScript needs Node
    /// 20 with npm, Python 3.10 with venv and pip: their tools are fetched at the first build. Of no language is
    /// anything else needed.
    Build(make::Build),
    /// Shows what a component can be used as, what it asks for, and its config schema.
    ///
    /// Exit code 1 if it could not be loaded as a plugin.
    Inspect(look::Inspect),
    /// Says whether one component can take another's place in weir.toml.
    ///
    /// Compares exports, imports, what they ask for with a config, and config schemas. Exit code 1 if it can't.
    CheckCompat(look::CheckCompat),
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
    /// Lists the plugins that come with Weir, or the tags of a repository.
    List(share::List),
    /// Sends a component to a registry, and prints how it is pinned.
    ///
    /// The layout is the one that `wkg` uses. Credentials are those of docker, or WKG_OCI_USERNAME and
    /// WKG_OCI_PASSWORD.
    Push(share::Push),
    /// Fetches a component from a registry into a file.
    Pull(share::Pull),
    /// Signs a component, in a file or in a registry, as cosign does.
    Sign(share::Sign),
    /// Says whether a component is signed by a key.
    Verify(share::Verify),
    /// Makes a key to sign with.
    Keygen(share::Keygen),
}

/// A component: a .wasm file, or the name of a plugin that comes with Weir.
type ComponentFile = PathBuf;

pub fn run(command: Command) -> ExitCode {
    let done = match command {
        Command::New(options) => make::new(&options),
        Command::Build(options) => make::build(&options),
        Command::Inspect(options) => look::inspect(&options),
        Command::CheckCompat(options) => look::check_compat(&options),
        Command::Test(options) => try_out::test(&options),
        Command::Simulate(options) => play::simulate(&options),
        Command::Bench(options) => try_out::bench(&options),
        Command::List(options) => share::list(&options),
        Command::Push(options) => share::push(&options),
        Command::Pull(options) => share::pull(&options),
        Command::Sign(options) => share::sign(&options),
        Command::Verify(options) => share::verify(&options),
        Command::Keygen(options) => share::keygen(&options),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {}", told(&error));
        ExitCode::from(1)
    })
}

/// An error with those of its causes that it does not tell itself.
pub fn told(error: &anyhow::Error) -> String {
    let mut told = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}
