//! One measurement: a fresh proxy, some warm-up, then the figure.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde::Serialize;

use crate::{
    case::{Case, Kind},
    check, cpu, h2load, haproxy_cfg,
    hold::Clients,
    load::{self, Report},
    model::{Balance, Model},
    process::{self, Process},
    tls::Files,
    weir_toml,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Proxy {
    Haproxy,
    Weir,
    /// Weir again, with HAProxy's own file instead of one written by hand.
    Imported,
}

/// What one round showed.
#[derive(Debug, Clone, Serialize)]
pub struct Sample {
    /// By kind of case: CPU of the proxy in microseconds per request, bytes of memory per connection, or
    /// the slowest answer in microseconds.
    pub figure: f64,
    pub requests_per_second: f64,
    pub report: Report,
}

/// How to run the proxies and how long.
pub struct Bench {
    pub weir: PathBuf,
    pub haproxy: PathBuf,
    pub folder: PathBuf,
    pub ports: Vec<u16>,
    pub seconds: f64,
}

const WARM_UP: f64 = 0.5;
/// Warm up a proxy whose memory is measured.
const FEW_CLIENTS: usize = 16;
const RELOADS: usize = 3;

impl Bench {
    /// Measures `proxy` once in `case`. With `verify` it must first show that it does what the case says.
    pub fn round(&self, case: &Case, proxy: Proxy, verify: bool) -> Result<Sample> {
        let running = self.start(case, proxy)?;
        if verify {
            check::run(case, &running.model)?;
        }
        let requests = self.folder.join("requests.json");
        load::write_requests(&requests, &case.requests(&running.model))?;
        let run = Run {
            case,
            running: &running,
            requests: &requests,
        };
        match case.kind {
            Kind::KeepAlive | Kind::ConnectionPerRequest | Kind::Streams => run.cpu(self.seconds),
            Kind::Idle => run.idle(),
            Kind::Reload => run.reload(proxy, self.seconds),
        }
    }

    fn start(&self, case: &Case, proxy: Proxy) -> Result<Running> {
        let port = process::free_port()?;
        let mut model = case.model(port, &self.ports);
        if model.tls {
            Files::make(&self.folder)?.name_in(&mut model);
        }
        let log = self.folder.join("proxy.log");
        let file = self.folder.join(proxy.file_name());
        let mut command = match proxy {
            Proxy::Haproxy => {
                let mut command = process::pinned(&self.haproxy);
                // A reload needs the master that starts new workers.
                command
                    .arg(if case.kind == Kind::Reload {
                        "-W"
                    } else {
                        "-db"
                    })
                    .arg("-f")
                    .arg(&file);
                command
            }
            Proxy::Weir | Proxy::Imported => {
                let mut command = process::pinned(&self.weir);
                let how = if proxy == Proxy::Weir {
                    "--config"
                } else {
                    "--haproxy"
                };
                command.args(["run", how]).arg(&file);
                command
            }
        };
        write_config(proxy, &model, &file)?;
        let mut process = Process::start_logged(&mut command, &log)?;
        process.wait_for_port(port, &log)?;
        Ok(Running {
            process,
            model,
            file,
        })
    }
}

impl Proxy {
    /// The configuration that it is started with.
    fn file_name(self) -> &'static str {
        match self {
            Self::Haproxy | Self::Imported => "haproxy.cfg",
            Self::Weir => "weir.toml",
        }
    }
}

struct Running {
    process: Process,
    model: Model,
    file: PathBuf,
}

struct Run<'a> {
    case: &'a Case,
    running: &'a Running,
    requests: &'a Path,
}

impl Run<'_> {
    fn cpu(&self, seconds: f64) -> Result<Sample> {
        self.load(WARM_UP)?;
        let pids = cpu::family(self.running.process.pid());
        let before = cpu::time(&pids)?;
        let report = self.load(seconds)?;
        let used = cpu::time(&pids)?.saturating_sub(before);
        Ok(sample(
            used.as_secs_f64() * 1e6 / report.answers().max(1) as f64,
            report,
        ))
    }

    /// Memory per connection, while all clients have had one answer and keep silent.
    fn idle(&self) -> Result<Sample> {
        self.warm_up()?;
        let pids = cpu::family(self.running.process.pid());
        let before = cpu::memory(&pids)?;
        let mut command = self.command(self.case.clients, 20.0)?;
        if let Some(certificate) = &self.running.model.cert {
            command.arg("--trust").arg(certificate);
        }
        let mut load = Process::start(
            command
                .arg("--hold")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped()),
        )?;
        load.line().context("the clients did not connect")?;
        let after = cpu::memory(&pids)?;
        let report = parse(&load.finish()?)?;
        Ok(sample(
            after.saturating_sub(before) as f64 / self.case.clients as f64,
            report,
        ))
    }

    /// Has a few clients served before memory is looked at.
    fn warm_up(&self) -> Result<()> {
        let model = &self.running.model;
        let clients = Clients::new(model.cert.as_deref().map(Path::new))?;
        let to = model.listen.address()?;
        let requests = self.case.requests(model);
        for request in requests.iter().take(FEW_CLIENTS) {
            clients.ask(to, request)?;
        }
        Ok(())
    }

    /// Replaces the configuration by one with another balancer, and back, while clients send requests.
    fn reload(&self, proxy: Proxy, seconds: f64) -> Result<Sample> {
        self.load(WARM_UP)?;
        let load = self.start_load(self.case.clients, seconds)?;
        for turn in 0..RELOADS {
            thread::sleep(Duration::from_secs_f64(seconds / (RELOADS + 1) as f64));
            let mut model = self.running.model.clone();
            for backend in &mut model.backends {
                backend.balance = if turn % 2 == 0 {
                    Balance::LeastConn
                } else {
                    Balance::RoundRobin
                };
            }
            write_config(proxy, &model, &self.running.file)?;
            self.running.process.signal(match proxy {
                Proxy::Haproxy => Signal::USR2,
                Proxy::Weir | Proxy::Imported => Signal::HUP,
            })?;
        }
        let report = parse(&load.finish()?)?;
        Ok(sample(f64::from(report.max), report))
    }

    fn load(&self, seconds: f64) -> Result<Report> {
        if self.case.kind == Kind::Streams {
            let paths = self.case.paths();
            let path = paths.first().context("the case asks for nothing")?;
            let log = self.requests.with_file_name("h2load.log");
            let model = &self.running.model;
            return h2load::run(model, path, self.case.clients, seconds, &log);
        }
        parse(&self.start_load(self.case.clients, seconds)?.finish()?)
    }

    fn start_load(&self, clients: usize, seconds: f64) -> Result<Process> {
        Process::start(self.command(clients, seconds)?.stdout(Stdio::piped()))
    }

    fn command(&self, clients: usize, seconds: f64) -> Result<Command> {
        let to = self.running.model.listen.address()?;
        let mut command = process::part("load")?;
        command
            .arg("--to")
            .arg(to.to_string())
            .arg("--requests")
            .arg(self.requests);
        command.args([
            "--clients",
            &clients.to_string(),
            "--seconds",
            &seconds.to_string(),
        ]);
        if self.case.kind == Kind::ConnectionPerRequest {
            command.arg("--reconnect");
        }
        Ok(command)
    }
}

fn write_config(proxy: Proxy, model: &Model, file: &Path) -> Result<()> {
    match proxy {
        Proxy::Haproxy | Proxy::Imported => {
            fs::write(file, haproxy_cfg::text(model)).context("cannot write haproxy.cfg")
        }
        Proxy::Weir => weir_toml::write(model, file),
    }
}

fn sample(figure: f64, report: Report) -> Sample {
    Sample {
        figure,
        requests_per_second: report.answers() as f64 / report.seconds.max(1e-9),
        report,
    }
}

fn parse(output: &str) -> Result<Report> {
    let line = output
        .lines()
        .last()
        .context("the clients reported nothing")?;
    serde_json::from_str(line).context("the clients reported something else")
}
