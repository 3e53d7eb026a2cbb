//! `weir plugin …`: what authors and operators of plugins ask for.

mod look;
mod try_out;

use std::{path::PathBuf, process::ExitCode};

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Shows what a component can be used as, what it asks for, and its config schema.
    ///
    /// Exit code 1 if it could not be loaded as a plugin.
    Inspect(look::Inspect),
    /// Runs a plugin's hooks against cases that are written as data, without a proxy.
    ///
    /// Exit code 1 if a case failed. docs/testing-plugins.md says what a case can say.
    Test(try_out::Test),
    /// Measures what a plugin costs: compiling, an instance, each call.
    Bench(try_out::Bench),
    /// Lists the plugins that come with Weir.
    List,
}

/// A component: a .wasm file, or the name of a plugin that comes with Weir.
type ComponentFile = PathBuf;

pub fn run(command: Command) -> ExitCode {
    let done = match command {
        Command::Inspect(options) => look::inspect(&options),
        Command::Test(options) => try_out::test(&options),
        Command::Bench(options) => try_out::bench(&options),
        Command::List => {
            look::list();
            Ok(ExitCode::SUCCESS)
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(1)
    })
}
