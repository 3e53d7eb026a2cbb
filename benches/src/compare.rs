//! The whole comparison: which cases, which proxies, round after round.

use std::{fs, path::PathBuf, process::Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    case::{CASES, Case, ORIGINS},
    process::{self, Process},
    report::{self, CaseResult},
    rounds::{Bench, Proxy},
};

#[derive(clap::Args)]
pub struct Options {
    /// Cases to measure, separated by commas; all if none is given
    #[arg(long, value_delimiter = ',')]
    case: Vec<String>,
    /// How often each proxy is measured in each case
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long each measurement takes
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Which proxies; HAProxy is left out if it isn't installed. `imported` is Weir with HAProxy's own file
    #[arg(long, value_delimiter = ',', default_value = "haproxy,weir")]
    proxies: Vec<Proxy>,
    /// Also write everything that was measured to this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Only verify that the proxies do what the cases say
    #[arg(long)]
    check: bool,
    /// Show the cases and end
    #[arg(long)]
    list: bool,
    /// The proxy to measure; by default the one built beside this program
    #[arg(long)]
    weir: Option<PathBuf>,
}

pub fn run(options: &Options) -> Result<()> {
    if options.list {
        for case in CASES {
            println!("{:15} {}", case.name, case.summary);
        }
        return Ok(());
    }
    ensure!(
        options.rounds > 0 && options.seconds > 0.0,
        "nothing to measure in no rounds or no time"
    );
    let cases = chosen(&options.case)?;
    process::allow_many_files()?;

    let folder = tempfile::tempdir()?;
    let count = ORIGINS.to_string();
    let mut origins = Process::start(
        process::part("origin")?
            .args(["--count", &count])
            .stdout(Stdio::piped()),
    )?;
    let ports: Vec<u16> = origins
        .line()?
        .split(' ')
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let bench = Bench {
        weir: options.weir.clone().map_or_else(beside, Ok)?,
        haproxy: installed("haproxy").unwrap_or_default(),
        folder: folder.path().to_owned(),
        ports,
        seconds: options.seconds,
    };
    let proxies = available(&options.proxies, &bench)?;

    let mut results = Vec::new();
    for case in cases {
        let result = measure(&bench, case, &proxies, options)?;
        if !options.check {
            results.push(result);
        }
    }
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&results)?;
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if !options.check {
        report::print(&results, &bench, options.rounds);
    }
    Ok(())
}

/// A B A B …: what the machine does meanwhile falls on both.
fn measure(
    bench: &Bench,
    case: &'static Case,
    proxies: &[Proxy],
    options: &Options,
) -> Result<CaseResult> {
    let mut result = CaseResult::new(case);
    let rounds = if options.check { 1 } else { options.rounds };
    for round in 0..rounds {
        for proxy in proxies {
            let sample = bench
                .round(case, *proxy, round == 0)
                .with_context(|| format!("{}, {proxy:?}", case.name))?;
            result.add(*proxy, sample);
        }
        eprintln!("{}: round {} of {rounds}", case.name, round + 1);
    }
    Ok(result)
}

fn chosen(names: &[String]) -> Result<Vec<&'static Case>> {
    if names.is_empty() {
        return Ok(CASES.iter().collect());
    }
    let find = |name: &String| CASES.iter().find(|case| case.name == name);
    names
        .iter()
        .map(|name| find(name).with_context(|| format!("no case `{name}`; --list shows them")))
        .collect()
}

fn available(wanted: &[Proxy], bench: &Bench) -> Result<Vec<Proxy>> {
    let mut proxies = wanted.to_vec();
    if proxies.contains(&Proxy::Haproxy) && bench.haproxy.as_os_str().is_empty() {
        eprintln!("HAProxy is not installed: nothing to compare with");
        proxies.retain(|proxy| *proxy != Proxy::Haproxy);
    }
    if proxies.iter().any(|proxy| *proxy != Proxy::Haproxy) && !bench.weir.exists() {
        bail!(
            "there is no {}; `cargo xtask bench` builds it",
            bench.weir.display()
        );
    }
    ensure!(!proxies.is_empty(), "no proxy to measure");
    Ok(proxies)
}

fn beside() -> Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name("weir"))
}

/// System folders count too: Debian keeps proxies where only root's PATH looks.
fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = path
        .split(':')
        .chain(["/usr/sbin", "/sbin", "/usr/local/sbin"]);
    folders
        .map(|folder| PathBuf::from(folder).join(program))
        .find(|file| file.is_file())
}
