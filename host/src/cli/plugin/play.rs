//! `weir plugin simulate`.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context, ensure};
use clap::Args;

use super::ComponentFile;
use crate::{
    config::scenario::{self, Arrivals, Scenario, Service, SimulatedServer},
    workbench::{
        Subject,
        simulation::{self, Playing},
    },
};

/// More would be read by nobody, in the table and in the plot.
const MOST_PLUGINS: usize = 4;

#[derive(Debug, Args)]
pub struct Simulate {
    /// A .wasm file, or the name of a balancer that comes with Weir.
    file: ComponentFile,
    /// Another balancer in the same scenario, to be shown beside it. Up to three.
    #[arg(long, value_name = "FILE")]
    against: Vec<ComponentFile>,
    /// The plugin's config as JSON text; given again, the configs of those that it is compared with.
    #[arg(long, value_name = "JSON")]
    config: Vec<String>,
    /// A file that says what is played; what follows changes it.
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Requests that really arrived, one JSON object a line, in place of those that are made up.
    #[arg(long, value_name = "FILE", conflicts_with = "synthetic")]
    trace: Option<PathBuf>,
    /// How requests arrive: `poisson:800/s`, `constant:800/s` or `bursty:800/s,50`.
    #[arg(long, value_name = "ARRIVALS")]
    synthetic: Option<Arrivals>,
    /// How many servers, called `a`, `b`, …
    #[arg(long, conflicts_with = "scenario", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    servers: Option<u32>,
    /// How long servers work: `fixed:10ms`, `exponential:10ms`, `lognormal:10ms,1.2` or
    /// `bimodal:5ms,100ms,0.05`.
    #[arg(long)]
    service: Option<Service>,
    /// Requests that a server works at at a time.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    slots: Option<u32>,
    /// How many requests are made up.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    requests: Option<u64>,
    /// How many different clients there are.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    keys: Option<u32>,
    /// How many instances of the plugin there are.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=256))]
    workers: Option<u32>,
    /// Another one is another run; the same one is the same run to the last pick.
    #[arg(long)]
    seed: Option<u64>,
    /// Draws response times and servers into this file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Prints the figures as JSON in place of the table.
    #[arg(long)]
    json: bool,
}

pub fn simulate(options: &Simulate) -> anyhow::Result<ExitCode> {
    let plugins: Vec<&ComponentFile> = [&options.file]
        .into_iter()
        .chain(&options.against)
        .collect();
    ensure!(
        plugins.len() <= MOST_PLUGINS,
        "{} plugins are more than can be compared; at most {MOST_PLUGINS}",
        plugins.len()
    );
    ensure!(
        options.config.len() <= plugins.len(),
        "{} configs for {} plugins",
        options.config.len(),
        plugins.len()
    );
    let scenario = scenario(options)?;
    let trace = match &options.trace {
        Some(file) => Some(scenario::load_trace(file)?),
        None => None,
    };
    let mut runs = Vec::new();
    for (index, file) in plugins.into_iter().enumerate() {
        let subject = Subject::open(file)?;
        let config = options.config.get(index).map_or("{}", String::as_str);
        let figures = simulation::play(
            &subject,
            &Playing {
                scenario: &scenario,
                trace: trace.as_deref(),
                config,
            },
        )?;
        runs.push(figures);
    }
    if let Some(file) = &options.svg {
        fs::write(file, simulation::plot(&runs)?)
            .with_context(|| format!("{} can't be written", file.display()))?;
    }
    match options.json {
        true => println!("{}", serde_json::to_string_pretty(&runs)?),
        false => print!("{}", simulation::table(&runs)),
    }
    Ok(ExitCode::SUCCESS)
}

fn scenario(options: &Simulate) -> anyhow::Result<Scenario> {
    let mut scenario = match &options.scenario {
        Some(file) => scenario::load(file)?,
        None => Scenario {
            servers: (0..options.servers.unwrap_or(3))
                .map(|number| SimulatedServer::named(&letter(number)))
                .collect(),
            ..Scenario::default()
        },
    };
    for server in &mut scenario.servers {
        server.service = options.service.unwrap_or(server.service);
        server.slots = options.slots.unwrap_or(server.slots);
    }
    scenario.arrivals = options.synthetic.unwrap_or(scenario.arrivals);
    scenario.requests = options.requests.unwrap_or(scenario.requests);
    scenario.keys = options.keys.unwrap_or(scenario.keys);
    scenario.workers = options.workers.unwrap_or(scenario.workers);
    scenario.seed = options.seed.unwrap_or(scenario.seed);
    Ok(scenario)
}

/// `a` to `z`, then `s26` and so on.
fn letter(number: u32) -> String {
    match u8::try_from(number) {
        Ok(small) if small < 26 => char::from(b'a' + small).to_string(),
        _ => format!("s{number}"),
    }
}
