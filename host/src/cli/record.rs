//! `weir record`: decisions of a running proxy into a file.

use std::{
    fs::File,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use clap::Args;

use super::admin::{Door, encoded};
use crate::{
    config::read_duration,
    model::Share,
    telemetry::story::{RecordEnd, RecordLine},
};

#[derive(Debug, Args)]
pub struct Record {
    #[command(flatten)]
    door: Door,
    /// The file to write; `-` is standard output.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// How long; without it until interrupted.
    #[arg(long = "for", value_name = "TIME", value_parser = read_duration)]
    time: Option<Duration>,
    /// Of the exchanges, by chance.
    #[arg(long, value_name = "SHARE", default_value = "100%")]
    share: Share,
    /// Only exchanges of this frontend.
    #[arg(long, value_name = "NAME")]
    frontend: Option<String>,
    /// Only what this plugin was asked: its name, or where it is used (`backend.app.balance`).
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
    /// Records credentials, cookies and plugins' configs as they are. Whoever reads the file can use them.
    #[arg(long)]
    include_secrets: bool,
}

pub fn record(options: &Record) -> anyhow::Result<ExitCode> {
    let mut file: Box<dyn Write> = match options.output.to_str() {
        Some("-") => Box::new(io::stdout().lock()),
        _ => Box::new(
            File::create(&options.output)
                .with_context(|| format!("{} can't be written", options.output.display()))?,
        ),
    };
    let mut seen = Seen::default();
    let reply = options.door.get(&options.target())?;
    reply.lines(|line| {
        seen.line(line);
        file.write_all(line)
            .context("the recording can't be written")
    })?;
    file.flush()?;
    Ok(seen.report())
}

impl Record {
    fn target(&self) -> String {
        let mut target = format!("/record?share={}", encoded(&self.share.to_string()));
        let time = self.time.map(|time| format!("{}us", time.as_micros()));
        for (name, value) in [
            ("for", &time),
            ("frontend", &self.frontend),
            ("plugin", &self.plugin),
        ] {
            if let Some(value) = value {
                target.push_str(&format!("&{name}={}", encoded(value)));
            }
        }
        if self.include_secrets {
            target.push_str("&secrets=show");
        }
        target
    }
}

/// What went through.
#[derive(Debug, Default)]
struct Seen {
    exchanges: u64,
    end: Option<RecordEnd>,
}

impl Seen {
    fn line(&mut self, line: &[u8]) {
        if line.starts_with(b"{\"exchange\":") {
            self.exchanges += 1;
        } else if let Ok(RecordLine::End(end)) = serde_json::from_slice(line) {
            self.end = Some(end);
        }
    }

    fn report(&self) -> ExitCode {
        let Some(end) = &self.end else {
            eprintln!(
                "{} exchanges recorded; the proxy has ended before the recording did",
                self.exchanges
            );
            return ExitCode::from(1);
        };
        eprintln!("{} exchanges recorded, {} lost", self.exchanges, end.lost);
        ExitCode::SUCCESS
    }
}
