//! What came of a run, in figures.

use std::{fmt::Write, time::Duration};

use serde::Serialize;

use crate::config::scenario::Scenario;

/// What is counted while a scenario is played.
#[derive(Debug, Clone, Default)]
pub struct Record {
    pub waited: Vec<Duration>,
    pub took: Vec<Duration>,
    pub servers: Vec<ServerRecord>,
    pub refused: u64,
    pub unserved: u64,
    pub broken: u64,
    pub keys: u64,
    pub moves: Moves,
    pub ended: Duration,
}

#[derive(Debug, Clone, Default)]
pub struct ServerRecord {
    pub picks: u64,
    pub served: u64,
    pub busy: Duration,
    pub up: Duration,
}

/// What became of requests whose inputs were seen before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Moves {
    pub stayed: u64,
    /// The server that they went to before was down.
    pub had_to: u64,
    pub without_need: u64,
}

/// What came of a run. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    pub plugin: String,
    /// As JSON text.
    pub config: String,
    pub requests: u64,
    pub served: u64,
    /// No server was left to try.
    pub unserved: u64,
    /// A server failed while it worked.
    pub broken: u64,
    /// Connections that were refused and, but for the unserved, tried elsewhere.
    pub refused: u64,
    /// Jain's index of the picks per weight and time up: 1 if all have their share, 1/n if one has all.
    pub fairness: f64,
    pub waiting: Percentiles,
    pub response: Percentiles,
    /// Different inputs; 0 if the plugin asks for none.
    pub keys: u64,
    pub moves: Moves,
    pub servers: Vec<ServerFigures>,
    /// Response times in milliseconds at 0, 1, …, 99 %, then in tenths to 99.9, in hundredths to 99.99, and at
    /// 100 %.
    pub curve: Vec<(f64, f64)>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Percentiles {
    pub mean: f64,
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub most: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServerFigures {
    pub name: String,
    pub picks: u64,
    pub served: u64,
    /// Of its slots while it was up, from 0 to 1.
    pub busy: f64,
}

impl Figures {
    pub fn of(plugin: &str, config: &str, scenario: &Scenario, mut record: Record) -> Self {
        record.waited.sort();
        record.took.sort();
        let about = scenario.servers.iter().zip(&record.servers);
        let shares: Vec<f64> = about
            .clone()
            .filter(|(_, record)| !record.up.is_zero())
            .map(|(server, record)| {
                record.picks as f64 / f64::from(server.weight) / record.up.as_secs_f64()
            })
            .collect();
        let served = record.took.len() as u64;
        Self {
            plugin: plugin.to_owned(),
            config: config.to_owned(),
            requests: served + record.unserved + record.broken,
            served,
            unserved: record.unserved,
            broken: record.broken,
            refused: record.refused,
            fairness: jain(&shares),
            waiting: percentiles(&record.waited),
            response: percentiles(&record.took),
            keys: record.keys,
            moves: record.moves,
            servers: about
                .map(|(server, record)| ServerFigures {
                    name: server.name.clone(),
                    picks: record.picks,
                    served: record.served,
                    busy: share(
                        record.busy.as_secs_f64(),
                        record.up.as_secs_f64() * f64::from(server.slots),
                    )
                    .min(1.0),
                })
                .collect(),
            curve: curve(&record.took),
        }
    }
}

fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    match squares > 0.0 {
        true => sum * sum / (shares.len() as f64 * squares),
        false => 1.0,
    }
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

fn millis(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e6
}

/// The time that `percent` of the sorted times do not exceed.
fn at(sorted: &[Duration], percent: f64) -> f64 {
    // 99.9 % of 1,000 is 999, though not quite in binary.
    let rank = (percent / 100.0 * sorted.len() as f64 - 1e-6).ceil() as usize;
    let found = sorted.get(rank.clamp(1, sorted.len().max(1)) - 1);
    found.copied().map_or(0.0, millis)
}

fn percentiles(sorted: &[Duration]) -> Percentiles {
    let sum: Duration = sorted.iter().sum();
    Percentiles {
        mean: share(millis(sum), sorted.len() as f64),
        p50: at(sorted, 50.0),
        p99: at(sorted, 99.0),
        p999: at(sorted, 99.9),
        most: at(sorted, 100.0),
    }
}

fn curve(sorted: &[Duration]) -> Vec<(f64, f64)> {
    let whole = (0..100).map(f64::from);
    let tenths = (1..10).map(|n| 99.0 + f64::from(n) / 10.0);
    let hundredths = (1..10).map(|n| 99.9 + f64::from(n) / 100.0);
    let points = whole.chain(tenths).chain(hundredths).chain([100.0]);
    points
        .map(|percent| (percent, at(sorted, percent)))
        .collect()
}

/// Runs side by side, a line for each figure.
pub fn table(runs: &[Figures]) -> String {
    let mut table = String::new();
    let mut line = |what: &str, figure: &dyn Fn(&Figures) -> String| {
        let mut text = format!("{what:26}");
        for run in runs {
            write!(text, "  {:>18}", figure(run)).expect("a String takes all");
        }
        table.push_str(text.trim_end());
        table.push('\n');
    };
    line("", &|run| shorten(&run.plugin).to_owned());
    if runs.iter().any(|run| run.config != "{}") {
        line("config", &|run| shorten(&run.config).to_owned());
    }
    line("requests", &|run| run.requests.to_string());
    line("  no server", &|run| run.unserved.to_string());
    line("  broken off", &|run| run.broken.to_string());
    line("refused connections", &|run| run.refused.to_string());
    line("fairness (Jain)", &|run| format!("{:.4}", run.fairness));
    type Part = (&'static str, fn(&Percentiles) -> f64);
    let parts: [Part; 5] = [
        ("mean", |p| p.mean),
        ("p50", |p| p.p50),
        ("p99", |p| p.p99),
        ("p99.9", |p| p.p999),
        ("most", |p| p.most),
    ];
    for (what, of) in parts {
        line(&format!("waiting   {what}"), &|run| ms(of(&run.waiting)));
    }
    for (what, of) in parts {
        line(&format!("response  {what}"), &|run| ms(of(&run.response)));
    }
    line("keys", &|run| match run.keys {
        0 => "no inputs".to_owned(),
        keys => keys.to_string(),
    });
    type Count = (&'static str, fn(&Moves) -> u64);
    let counts: [Count; 3] = [
        ("  same server again", |m| m.stayed),
        ("  moved, server down", |m| m.had_to),
        ("  moved without need", |m| m.without_need),
    ];
    for (what, of) in counts {
        line(what, &|run| {
            let Moves {
                stayed,
                had_to,
                without_need,
            } = run.moves;
            let all = stayed + had_to + without_need;
            match run.keys {
                0 => "-".to_owned(),
                _ => format!("{:.2} %", 100.0 * share(of(&run.moves) as f64, all as f64)),
            }
        });
    }
    let servers = runs.first().map(|run| run.servers.as_slice());
    for (index, server) in servers.unwrap_or_default().iter().enumerate() {
        line(&format!("server {}", shorten(&server.name)), &|run| {
            let server = &run.servers[index];
            let picks: u64 = run.servers.iter().map(|server| server.picks).sum();
            let picked = 100.0 * share(server.picks as f64, picks as f64);
            format!("{picked:.1} %, busy {:.0} %", 100.0 * server.busy)
        });
    }
    table
}

fn ms(time: f64) -> String {
    format!("{time:.2} ms")
}

/// The end of a long name, which tells files apart.
fn shorten(name: &str) -> &str {
    let from = name.char_indices().rev().nth(17).map_or(0, |(at, _)| at);
    &name[from..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_alike_is_fair_and_one_for_all_is_not() {
        assert_eq!(jain(&[2.0, 2.0, 2.0]), 1.0);
        assert_eq!(jain(&[6.0, 0.0, 0.0]), 1.0 / 3.0);
        assert_eq!(jain(&[]), 1.0);
    }

    #[test]
    fn percentiles_are_times_that_happened() {
        let times: Vec<Duration> = (1..=1_000).map(Duration::from_millis).collect();
        let found = percentiles(&times);
        assert_eq!(
            (found.p50, found.p99, found.p999, found.most),
            (500.0, 990.0, 999.0, 1_000.0)
        );
        assert_eq!(found.mean, 500.5);
        assert_eq!(percentiles(&[]), Percentiles::default());
    }
}
