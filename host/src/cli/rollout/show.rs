//! Tries of new versions as text.

use std::fmt;

use serde::Deserialize;

/// As the proxy answers it.
#[derive(Debug, Deserialize)]
pub struct Answer {
    pub rollouts: Vec<Rollout>,
    ordered: Vec<Ordered>,
    uses: Vec<Use>,
}

#[derive(Debug, Deserialize)]
pub struct Rollout {
    #[serde(rename = "use")]
    place: String,
    plugin: String,
    mode: String,
    state: String,
    why: Option<String>,
    share: String,
    step: Option<Step>,
    on: String,
    current: Version,
    next: Version,
    compared: u64,
    disagreements: u64,
    unseen: u64,
}

#[derive(Debug, Deserialize)]
struct Step {
    number: usize,
    of: usize,
    seconds: u64,
    of_seconds: Option<f64>,
    answers: u64,
    of_answers: u64,
}

#[derive(Debug, Deserialize)]
struct Version {
    version: String,
    digest: String,
    answers: u64,
    failures: u64,
    missed_deadlines: u64,
    microseconds: Times,
    picks: Option<std::collections::BTreeMap<String, u64>>,
}

#[derive(Debug, Deserialize)]
struct Times {
    mean: Option<f64>,
    p50: Option<f64>,
    p99: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Ordered {
    #[serde(rename = "use")]
    place: String,
    file: Said,
    now: Said,
}

#[derive(Debug, Deserialize)]
struct Said {
    plugin: String,
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Use {
    #[serde(rename = "use")]
    place: String,
    #[serde(flatten)]
    identity: Identity,
}

/// A plugin by name and digest.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub struct Identity {
    pub plugin: String,
    version: String,
    pub digest: String,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            plugin,
            version,
            digest,
        } = self;
        write!(f, "{plugin} {version} ({digest})")
    }
}

impl Answer {
    /// The try at a place, by either of its names.
    pub fn position(&self, place: &str) -> Option<usize> {
        let plain = |name: &str| name.replace('.', "/").replace("/balancer", "/balance");
        let mut tries = self.rollouts.iter();
        tries.position(|it| plain(&it.place) == plain(place))
    }

    /// What to say if nothing is tried out at a place.
    pub fn nothing_at(&self, place: &str) -> String {
        let mut said = format!("no new version is tried out at `{place}`");
        for next in &self.rollouts {
            said.push_str(&format!("\nthere is {}", next.place));
        }
        said
    }
}

impl Rollout {
    pub fn is_given_up(&self) -> bool {
        self.state == "given-up"
    }

    pub fn is_running(&self) -> bool {
        self.state == "running"
    }

    /// Whether the new version has its last share and has given so many answers with it.
    pub fn has_answered(&self, count: u64) -> bool {
        match &self.step {
            Some(step) => step.number == step.of && step.answers >= count,
            None => self.next.answers >= count,
        }
    }

    /// `running on 5%`, `given-up`
    fn standing(&self) -> String {
        match self.state.as_str() {
            "running" => format!("{} on {}", self.mode, self.share),
            _ => format!("{} {}", self.mode, self.state),
        }
    }
}

/// All of an answer, in short.
pub struct List<'a> {
    pub answer: &'a Answer,
    pub uses: bool,
}

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Answer {
            rollouts,
            ordered,
            uses,
        } = self.answer;
        if rollouts.is_empty() {
            writeln!(f, "no new version is tried out")?;
        } else {
            let head = [
                "USE",
                "",
                "CURRENT",
                "NEXT",
                "ANSWERS",
                "FAILED",
                "DISAGREED",
            ];
            let rows = rollouts.iter().map(|it| {
                let failed = it.next.failures + it.next.missed_deadlines;
                [
                    it.place.clone(),
                    it.standing(),
                    short(&it.current),
                    short(&it.next),
                    it.next.answers.to_string(),
                    failed.to_string(),
                    format!("{} of {}", it.disagreements, it.compared),
                ]
            });
            let rows: Vec<_> = std::iter::once(head.map(str::to_owned))
                .chain(rows)
                .collect();
            table(&rows, f)?;
        }
        for next in rollouts {
            if let Some(why) = &next.why {
                writeln!(f, "{}: given up for {why}", next.place)?;
            }
        }
        for ordered in ordered {
            writeln!(
                f,
                "{}: ordered {}; the file has {}",
                ordered.place, ordered.now, ordered.file
            )?;
        }
        if self.uses {
            writeln!(f)?;
            let rows = uses.iter().map(|it| {
                let version = it.identity.version.clone();
                [
                    it.place.clone(),
                    it.identity.plugin.clone(),
                    version,
                    it.identity.digest.clone(),
                ]
            });
            let head = ["USE", "PLUGIN", "VERSION", "DIGEST"].map(str::to_owned);
            table(&std::iter::once(head).chain(rows).collect::<Vec<_>>(), f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.next {
            Some(next) => write!(f, "{} with the next {next}", self.plugin),
            None => f.write_str(&self.plugin),
        }
    }
}

/// `1.2.0 9f86d081`
fn short(version: &Version) -> String {
    let digest = version.digest.trim_start_matches("sha256:");
    format!("{} {}", version.version, digest.get(..8).unwrap_or(digest))
}

/// Columns as wide as what stands in them.
fn table<const N: usize>(rows: &[[String; N]], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; N] = std::array::from_fn(|column| width(column).unwrap_or(0));
    for row in rows {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}

impl fmt::Display for Rollout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.place, self.standing())?;
        let mut line = |name: &str, value: &str| writeln!(f, "  {name:<11}{value}");
        if let Some(why) = &self.why {
            line("given up", why)?;
        }
        line("next", &self.plugin)?;
        if self.share != "100%" || self.mode == "canary" {
            line("told apart", &format!("by {}", self.on))?;
        }
        if let Some(step) = &self.step {
            line("step", &step.to_string())?;
        }
        let compared = match (self.compared, self.unseen) {
            (0, 0) => "nothing".to_owned(),
            (compared, 0) => format!("{compared} answers, {} differ", self.disagreements),
            (compared, unseen) => {
                format!(
                    "{compared} answers, {} differ; {unseen} calls not shown",
                    self.disagreements
                )
            }
        };
        line("compared", &compared)?;
        writeln!(f)?;
        let head = [
            "", "VERSION", "ANSWERS", "FAILED", "TOO LATE", "MEAN", "P50", "P99",
        ];
        let row = |name: &str, version: &Version| {
            let Times { mean, p50, p99 } = version.microseconds;
            [
                format!("  {name}"),
                version.version.clone(),
                version.answers.to_string(),
                version.failures.to_string(),
                version.missed_deadlines.to_string(),
                micros(mean),
                micros(p50),
                micros(p99),
            ]
        };
        let rows = [
            head.map(str::to_owned),
            row("current", &self.current),
            row("next", &self.next),
        ];
        table(&rows, f)?;
        writeln!(f)?;
        for (name, version) in [("current", &self.current), ("next", &self.next)] {
            writeln!(f, "  {name:<8} {}", version.digest)?;
            if let Some(picks) = &version.picks {
                let picks = picks
                    .iter()
                    .map(|(server, count)| format!("{server} {count}"));
                writeln!(
                    f,
                    "  {:<8} picked {}",
                    "",
                    picks.collect::<Vec<_>>().join(", ")
                )?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.number, self.of)?;
        match self.of_seconds {
            Some(all) => write!(
                f,
                ", for {} of {all} s; {} of at least {} answers",
                self.seconds, self.answers, self.of_answers
            ),
            None => f.write_str(", the last one"),
        }
    }
}

fn micros(time: Option<f64>) -> String {
    time.map_or("-".to_owned(), |micros| format!("{micros} µs"))
}
