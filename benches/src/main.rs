//! `weir-bench`: how much CPU a proxy takes per request, Weir beside HAProxy on the same work.
//!
//! One program in four parts, so that each can be pinned and started alone: `compare` (what
//! `cargo xtask bench` runs), `origin` (servers that cost next to nothing), `load` (clients) and `gen`
//! (the weir.toml for a case).

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};

mod case;
mod check;
mod compare;
mod cpu;
mod h2load;
mod haproxy_cfg;
mod hold;
mod http;
mod load;
mod model;
mod origin;
mod process;
mod report;
mod rounds;
mod tls;
mod weir_toml;

#[derive(Parser)]
#[command(
    name = "cargo xtask bench",
    about = "CPU per request, Weir beside HAProxy on the same work"
)]
struct Cli {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    compare: compare::Options,
}

#[derive(Subcommand)]
enum Part {
    /// Serve 1 KiB answers on many ports until killed; prints the ports
    #[command(hide = true)]
    Origin(origin::Options),
    /// Send requests and print what came back as JSON
    #[command(hide = true)]
    Load(load::Options),
    /// Write the weir.toml for a model.json
    Gen { model: PathBuf, weir_toml: PathBuf },
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    match cli.part {
        None => compare::run(&cli.compare),
        Some(Part::Origin(options)) => origin::run(&options),
        Some(Part::Load(options)) => load::run(&options),
        Some(Part::Gen { model, weir_toml }) => {
            weir_toml::write(&model::Model::read(&model)?, &weir_toml)
        }
    }
}
