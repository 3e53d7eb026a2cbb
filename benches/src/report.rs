//! Medians, ratios, and a table to paste into RESULTS.md.

use std::{path::Path, process::Command};

use serde::Serialize;

use crate::{
    case::{Case, Kind},
    cpu,
    rounds::{Bench, Proxy, Sample},
};

/// All that was measured in one case.
#[derive(Serialize)]
pub struct CaseResult {
    case: &'static str,
    summary: &'static str,
    #[serde(skip)]
    kind: Kind,
    haproxy: Vec<Sample>,
    weir: Vec<Sample>,
    imported: Vec<Sample>,
}

impl CaseResult {
    pub fn new(case: &Case) -> Self {
        Self {
            case: case.name,
            summary: case.summary,
            kind: case.kind,
            haproxy: Vec::new(),
            weir: Vec::new(),
            imported: Vec::new(),
        }
    }

    pub fn add(&mut self, proxy: Proxy, sample: Sample) {
        match proxy {
            Proxy::Haproxy => self.haproxy.push(sample),
            Proxy::Weir => self.weir.push(sample),
            Proxy::Imported => self.imported.push(sample),
        }
    }

    fn unit(&self) -> (&'static str, usize) {
        match self.kind {
            Kind::KeepAlive | Kind::ConnectionPerRequest | Kind::Streams => ("CPU µs/request", 2),
            Kind::Idle => ("bytes/connection", 0),
            Kind::Reload => ("µs, slowest answer", 0),
        }
    }

    /// What HAProxy's own file costs, beside one written by hand.
    fn imported_row(&self) -> String {
        let (unit, decimals) = self.unit();
        let figures = [&self.haproxy, &self.weir, &self.imported];
        let [haproxy, by_hand, imported] =
            figures.map(|samples| shown(of(samples, |sample| sample.figure), decimals));
        format!(
            "| {}: {} | {unit} | {haproxy} | {by_hand} | {imported} | {} | {} |",
            self.case,
            self.summary,
            shown(ratio(&self.imported, &self.haproxy), 2),
            shown(ratio(&self.imported, &self.weir), 2),
        )
    }

    fn row(&self) -> String {
        let (unit, decimals) = self.unit();
        let figure = |samples: &[Sample]| shown(of(samples, |sample| sample.figure), decimals);
        let rate = |samples: &[Sample]| shown(of(samples, |sample| sample.requests_per_second), 0);
        let latency = |samples: &[Sample]| {
            let p99 = shown(of(samples, |sample| f64::from(sample.report.p99)), 0);
            let max = samples.iter().map(|sample| sample.report.max).max();
            format!("{p99} / {}", shown(max.map(f64::from), 0))
        };
        let errors = |samples: &[Sample]| -> u64 {
            samples.iter().map(|sample| sample.report.errors()).sum()
        };
        format!(
            "| {}: {} | {unit} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            self.case,
            self.summary,
            figure(&self.haproxy),
            figure(&self.weir),
            shown(ratio(&self.weir, &self.haproxy), 2),
            rate(&self.haproxy),
            rate(&self.weir),
            latency(&self.haproxy),
            latency(&self.weir),
            errors(&self.haproxy),
            errors(&self.weir),
        )
    }
}

/// Prints the table with what a reader needs to judge it.
pub fn print(results: &[CaseResult], bench: &Bench, rounds: usize) {
    let versions = [
        version(&bench.haproxy, "-v"),
        version(&bench.weir, "--version"),
    ];
    println!("{}", cpu::machine());
    println!("{}", versions.join("; "));
    println!(
        "{rounds} rounds of {} s each, proxies in turn; proxy (one thread), servers and clients share one CPU\n",
        bench.seconds
    );
    println!(
        "| case | figure | HAProxy | Weir | ratio | HAProxy req/s | Weir req/s | HAProxy p99 / max µs | Weir p99 / max µs | HAProxy errors | Weir errors |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for result in results {
        println!("{}", result.row());
    }
    print_growth(results);
    if results.iter().any(|result| !result.imported.is_empty()) {
        print_imported(results);
    }
}

/// Weir with the haproxy.cfg that HAProxy ran, beside Weir with a weir.toml that says the same.
fn print_imported(results: &[CaseResult]) {
    println!(
        "\n| case | figure | HAProxy | Weir, by hand | Weir, imported | imported / HAProxy | imported / by hand |"
    );
    println!("|---|---|---|---|---|---|---|");
    for result in results {
        println!("{}", result.imported_row());
    }
}

/// The median of the rounds' ratios, so that a disturbance counts only in its own round.
fn ratio(samples: &[Sample], to: &[Sample]) -> Option<f64> {
    let pairs = samples.iter().zip(to);
    median(
        pairs
            .map(|(sample, to)| sample.figure / to.figure)
            .collect(),
    )
}

/// How Weir's cost grows with what it has to look through.
fn print_growth(results: &[CaseResult]) {
    for (small, large) in [
        ("rules-10", "rules-1000"),
        ("least-conn-3", "least-conn-300"),
        ("hash-3", "hash-300"),
    ] {
        let figure = |name| {
            let result = results.iter().find(|result| result.case == name)?;
            of(&result.weir, |sample| sample.figure)
        };
        if let (Some(few), Some(many)) = (figure(small), figure(large)) {
            println!("\nWeir, {large} / {small}: {:.2}", many / few);
        }
    }
}

fn version(program: &Path, flag: &str) -> String {
    let output = Command::new(program).arg(flag).output();
    let text = output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    text.lines().next().unwrap_or("not installed").to_owned()
}

fn of(samples: &[Sample], value: impl Fn(&Sample) -> f64) -> Option<f64> {
    median(samples.iter().map(value).collect())
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

fn shown(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.decimals$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_ignore_outliers() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![1.0, 100.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![1.0, 3.0]), Some(2.0));
    }
}
