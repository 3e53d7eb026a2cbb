//! What an administrator sees of new versions that are tried out, and can do with them: stop, resume, share.

use std::fmt::Write as _;

use hyper::StatusCode;
use serde_json::{Value, json};

use super::{admin::Admin, admin_orders};
use crate::{
    frontend::{Figures, Generation, NextUse, Progress, Standing, Version},
    model::Share,
    telemetry::{PluginPlace, plugin_labels},
};

/// All tries of the generation that serves, what was ordered beside the file, and where plugins are used at all.
pub fn list(admin: &Admin) -> Value {
    let generation = admin.current.borrow();
    let rollouts = tries(&generation).map(|next| shown(&generation, next));
    json!({
        "rollouts": rollouts.collect::<Vec<_>>(),
        "ordered": admin_orders::ordered(admin),
        "uses": admin_orders::all_uses(&generation),
    })
}

/// One try in a few words, for the use that it belongs to.
pub fn brief(next: &NextUse) -> Value {
    let terms = next.rollout.terms();
    json!({
        "plugin": next.used.plugin.name().as_str(),
        "version": terms.next.version,
        "digest": terms.next.digest.to_string(),
        "mode": terms.mode.as_str(),
        "share": next.rollout.share().to_string(),
        "state": next.rollout.standing().as_str(),
    })
}

fn shown(generation: &Generation, next: &NextUse) -> Value {
    let rollout = &next.rollout;
    let terms = rollout.terms();
    let version = |version: Version| {
        let identity = match version {
            Version::Current => &terms.current,
            Version::Next => &terms.next,
        };
        let figures = rollout.figures(version);
        let micros = |time: Option<std::time::Duration>| {
            time.map(|time| (time.as_nanos() as f64 / 10.0).round() / 100.0)
        };
        json!({
            "version": identity.version,
            "digest": identity.digest.to_string(),
            "answers": figures.answers(),
            "failures": figures.failures(),
            "missed_deadlines": figures.missed_deadlines(),
            "microseconds": {
                "mean": micros(figures.mean()),
                "p50": micros(figures.quantile(0.5)),
                "p99": micros(figures.quantile(0.99)),
            },
            "picks": picks(generation, next, version),
        })
    };
    let standing = rollout.standing();
    let why = match &standing {
        Standing::GivenUp(excess) => Some(excess.to_string()),
        Standing::Running | Standing::Stopped => None,
    };
    json!({
        "use": rollout.place.to_string(),
        "plugin": next.used.plugin.name().as_str(),
        "mode": terms.mode.as_str(),
        "state": standing.as_str(),
        "why": why,
        "share": rollout.share().to_string(),
        "step": rollout.progress().map(|it| step(&it)),
        "on": terms.on().to_string(),
        "current": version(Version::Current),
        "next": version(Version::Next),
        "compared": rollout.comparisons(),
        "disagreements": rollout.disagreements(),
        "unseen": rollout.unseen_calls(),
    })
}

fn step(progress: &Progress) -> Value {
    json!({
        "number": progress.number,
        "of": progress.of,
        "seconds": progress.since.as_secs(),
        "of_seconds": progress.lasts.map(|lasts| lasts.as_secs_f64()),
        "answers": progress.answers,
        "of_answers": progress.at_least,
    })
}

/// How often each server was picked; none where nothing picks servers.
fn picks(generation: &Generation, next: &NextUse, version: Version) -> Value {
    let PluginPlace::Balancer(name) = &next.rollout.place else {
        return Value::Null;
    };
    let Some(backend) = generation.backends.iter().find(|it| it.name == *name) else {
        return Value::Null;
    };
    let counts = next.picks.counts(version);
    let servers = backend.servers.iter().map(|it| it.name.to_string());
    Value::Object(servers.zip(counts.into_iter().map(Value::from)).collect())
}

/// Does what `POST /rollouts/USE/WISH?QUERY` asks for; `path` is what follows `/rollouts/`. Answers with what
/// became of it.
pub fn manage(admin: &Admin, path: &str, query: Option<&str>) -> (StatusCode, String) {
    const WISHES: &str =
        "write /rollouts/USE/ and one of stop, resume, share, next, promote, return, reset\n";
    let Some((place, wish)) = path.rsplit_once('/') else {
        return (StatusCode::NOT_FOUND, WISHES.to_owned());
    };
    let generation = admin.current.borrow();
    let mut tries = tries(&generation);
    let Some(next) = tries.find(|next| next.rollout.place.is_called(place)) else {
        return (StatusCode::NOT_FOUND, nothing_at(&generation, place));
    };
    let rollout = &next.rollout;
    match wish {
        "stop" => {
            rollout.stop();
        }
        "resume" => {
            rollout.resume();
        }
        "share" => match read_share(query) {
            Ok(share) => rollout.set_share(share),
            Err(why) => return (StatusCode::BAD_REQUEST, why.to_owned()),
        },
        _ => return (StatusCode::NOT_FOUND, WISHES.to_owned()),
    }
    let said = format!(
        "{place} {} {}\n",
        rollout.standing().as_str(),
        rollout.share()
    );
    (StatusCode::OK, said)
}

fn nothing_at(generation: &Generation, place: &str) -> String {
    let mut said = format!("no new version is tried out at `{place}`\n");
    for next in tries(generation) {
        said.push_str(&format!("there is {}\n", next.rollout.place));
    }
    said
}

/// `value=5%`
fn read_share(query: Option<&str>) -> Result<Share, &'static str> {
    const HELP: &str = "write ?value=5%, from 0% to 100%\n";
    let value = query.and_then(|query| query.strip_prefix("value="));
    let value = value.ok_or(HELP)?;
    // Some clients write the percent sign as the standard wants it.
    let value = value.replace("%25", "%");
    value.parse().map_err(|_| HELP)
}

fn tries(generation: &Generation) -> impl Iterator<Item = &NextUse> {
    generation.uses().filter_map(|used| used.next.as_deref())
}

/// Appends the tries' figures in Prometheus' text form.
pub fn write_metrics(generation: &Generation, out: &mut String) -> std::fmt::Result {
    let tries: Vec<_> = tries(generation).collect();
    if tries.is_empty() {
        return Ok(());
    }
    let labels_of = |next: &NextUse| {
        let name = next.used.plugin.name();
        plugin_labels(&next.rollout.place, name.as_str())
    };
    let per_try = |value: &dyn Fn(&NextUse) -> u64| -> Vec<(String, u64)> {
        let samples = tries.iter().map(|next| (labels_of(next), value(next)));
        samples.collect()
    };
    let per_version = |value: &dyn Fn(&Figures) -> u64| -> Vec<(String, u64)> {
        let both = tries.iter().flat_map(|next| {
            Version::BOTH.map(|version| {
                let labels = versioned(next, version, &labels_of(next));
                (labels, value(next.rollout.figures(version)))
            })
        });
        both.collect()
    };
    family(
        out,
        ("rollout_running", "gauge"),
        "1 while the new version has clients or is shown calls.",
        per_try(&|next| u64::from(!next.rollout.is_off())),
    )?;
    family(
        out,
        ("rollout_given_up", "gauge"),
        "1 once the new version passed a limit.",
        per_try(&|next| u64::from(matches!(next.rollout.standing(), Standing::GivenUp(_)))),
    )?;
    family(
        out,
        ("rollout_answers_total", "counter"),
        "Answers of either version while a new one is tried out.",
        per_version(&Figures::answers),
    )?;
    family(
        out,
        ("rollout_failures_total", "counter"),
        "Calls that failed, other than by taking too long.",
        per_version(&Figures::failures),
    )?;
    family(
        out,
        ("rollout_missed_deadlines_total", "counter"),
        "Calls that took too long.",
        per_version(&Figures::missed_deadlines),
    )?;
    family(
        out,
        ("rollout_compared_total", "counter"),
        "Calls that both versions answered.",
        per_try(&|next| next.rollout.comparisons()),
    )?;
    family(
        out,
        ("rollout_disagreements_total", "counter"),
        "Calls that they answered differently.",
        per_try(&|next| next.rollout.disagreements()),
    )?;
    family(
        out,
        ("rollout_unseen_total", "counter"),
        "Calls that a shadow was not shown since it did not keep up.",
        per_try(&|next| next.rollout.unseen_calls()),
    )?;
    write_times(&tries, &labels_of, out)
}

fn write_times(
    tries: &[&NextUse],
    labels_of: &dyn Fn(&NextUse) -> String,
    out: &mut String,
) -> std::fmt::Result {
    writeln!(
        out,
        "# HELP weir_rollout_call_seconds How long answers took.\n\
         # TYPE weir_rollout_call_seconds summary"
    )?;
    for next in tries {
        for version in Version::BOTH {
            let labels = versioned(next, version, &labels_of(next));
            let figures = next.rollout.figures(version);
            for part in [0.5, 0.99] {
                if let Some(time) = figures.quantile(part) {
                    let seconds = time.as_secs_f64();
                    writeln!(
                        out,
                        "weir_rollout_call_seconds{{{labels},quantile=\"{part}\"}} {seconds}"
                    )?;
                }
            }
            let (sum, count) = (figures.total().as_secs_f64(), figures.answers());
            writeln!(out, "weir_rollout_call_seconds_sum{{{labels}}} {sum}")?;
            writeln!(out, "weir_rollout_call_seconds_count{{{labels}}} {count}")?;
        }
    }
    Ok(())
}

fn versioned(next: &NextUse, version: Version, labels: &str) -> String {
    let terms = next.rollout.terms();
    let digest = match version {
        Version::Current => terms.current.digest,
        Version::Next => terms.next.digest,
    };
    format!(
        "{labels},version=\"{}\",digest=\"{digest}\"",
        version.as_str()
    )
}

fn family(
    out: &mut String,
    (name, kind): (&str, &str),
    help: &str,
    samples: Vec<(String, u64)>,
) -> std::fmt::Result {
    writeln!(out, "# HELP weir_{name} {help}\n# TYPE weir_{name} {kind}")?;
    for (labels, value) in samples {
        writeln!(out, "weir_{name}{{{labels}}} {value}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_with_or_without_the_escaped_percent_sign() {
        for query in ["value=5%", "value=5%25"] {
            assert_eq!(read_share(Some(query)), Ok(Share::percent(5)), "{query}");
        }
        for wrong in ["value=", "value=5", "share=5%", "value=200%"] {
            assert!(read_share(Some(wrong)).is_err(), "{wrong}");
        }
        assert!(read_share(None).is_err());
    }
}
