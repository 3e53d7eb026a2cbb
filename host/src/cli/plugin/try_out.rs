//! `weir plugin test` and `weir plugin bench`.

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Args;

use super::ComponentFile;
use crate::{
    cli::log_to_stderr,
    config::cases,
    plugin::maps::MapStore,
    workbench::{Subject, testing, timing},
};

#[derive(Debug, Args)]
pub struct Test {
    /// A .wasm file, or the name of a plugin that comes with Weir.
    file: ComponentFile,
    /// The file of cases; several may be given.
    #[arg(long = "case", value_name = "FILE", required = true)]
    cases: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Bench {
    /// A .wasm file, or the name of a plugin that comes with Weir.
    file: ComponentFile,
    /// The plugin's config as JSON text.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    config: String,
    /// How many servers a balancer picks from.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    servers: u32,
    /// How long each call is measured, in milliseconds.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    millis: u64,
}

pub fn test(options: &Test) -> anyhow::Result<ExitCode> {
    log_to_stderr(false);
    let subject = Subject::open(&options.file)?;
    let mut failed = 0;
    for file in &options.cases {
        let cases = cases::load(file)?;
        let maps = MapStore::load(&cases.maps).map_err(|errors| {
            let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("{}", texts.join("\n"))
        })?;
        let report = testing::run(&subject, &cases, &maps, file);
        if options.cases.len() > 1 {
            println!("{}", file.display());
        }
        print!("{report}");
        failed += report.failed();
    }
    Ok(ExitCode::from(u8::from(failed > 0)))
}

pub fn bench(options: &Bench) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let subject = Subject::compile_anew(&options.file)?;
    let compile = began.elapsed();
    let costs = timing::measure(
        &subject,
        compile,
        &timing::Options {
            config: &options.config,
            servers: options.servers,
            time: Duration::from_millis(options.millis),
        },
    )?;
    println!("{}  {}", subject.name(), subject.component().digest());
    print!("{costs}");
    if cfg!(debug_assertions) {
        eprintln!("note: this Weir is a debug build; calls cost less in a release build");
    }
    Ok(ExitCode::SUCCESS)
}
