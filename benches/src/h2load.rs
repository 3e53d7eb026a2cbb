//! Clients of HTTP/2: nghttp2's h2load, whose log has a line for each request.

use std::{fs, path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};

use crate::{
    load::Report,
    model::Model,
    process::{self, Process},
};

/// Requests that each connection has under way.
pub const STREAMS: usize = 32;

/// Asks for `path` over so many connections of 32 streams each, for so long. `log` is overwritten.
pub fn run(
    model: &Model,
    path: &str,
    connections: usize,
    seconds: f64,
    log: &Path,
) -> Result<Report> {
    // It is appended to otherwise.
    if log.exists() {
        fs::remove_file(log).context("cannot remove h2load's last log")?;
    }
    let duration = Duration::from_secs_f64(seconds).as_millis();
    let scheme = match model.tls {
        true => "https",
        false => "http",
    };
    let mut command = process::pinned(Path::new("h2load"));
    command
        .arg(format!("--duration={duration}ms"))
        .arg(format!("--clients={connections}"))
        .arg(format!("--max-concurrent-streams={STREAMS}"))
        .arg("--threads=1")
        .arg(format!("--log-file={}", log.display()))
        .arg(format!(
            "{scheme}://{}:{}{path}",
            model.listen.host, model.listen.port
        ))
        .stdout(Stdio::piped());
    Process::start(&mut command)
        .context("h2load is needed for this case (Debian: nghttp2-client)")?
        .finish()?;
    let text = fs::read_to_string(log).context("h2load left no log")?;
    report(&text, seconds)
}

/// Lines of start, status and duration; times in microseconds. A status of -1 is a request that failed.
fn report(log: &str, seconds: f64) -> Result<Report> {
    let mut report = Report {
        seconds,
        ..Report::default()
    };
    let mut took = Vec::new();
    for line in log.lines() {
        let mut parts = line.split('\t').skip(1);
        let mut number = || parts.next().and_then(|part| part.parse::<i64>().ok());
        let (status, micros) = number()
            .zip(number())
            .with_context(|| format!("h2load's log has a strange line: {line}"))?;
        match status {
            200 => report.ok += 1,
            -1 => report.failed += 1,
            _ => report.bad += 1,
        }
        took.push(u32::try_from(micros).unwrap_or(u32::MAX));
    }
    ensure!(!took.is_empty(), "h2load got no answer");
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    (report.p50, report.p99, report.max) = (at(0.5), at(0.99), at(1.0));
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_of_the_log_is_a_request() {
        let log = "1700000000000001\t200\t300\n1700000000000002\t200\t100\n1700000000000003\t503\t200\n1700000000000004\t-1\t900\n";
        let report = report(log, 1.0).unwrap();
        assert_eq!((report.ok, report.bad, report.failed), (2, 1, 1));
        assert_eq!((report.p50, report.max), (200, 900));
        assert!(super::report("", 1.0).is_err());
    }
}
