//! `weir rollout`: new versions of plugins in a running proxy, ordered and looked at from the command line.
//!
//! Knows only what the administrators' door says; what orders mean is the proxy's.

mod show;
mod terms;

use std::{
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use clap::{Args, Subcommand};
use serde::Deserialize;

use self::{
    show::Answer,
    terms::{CanaryTerms, Terms},
};
use super::admin::{Door, encoded};
use crate::{
    config::{is_name, read_duration},
    model::Share,
};

/// The exit code if a version that is shown was given up.
const GIVEN_UP: u8 = 3;
/// The exit code if a version did not come as far as was waited for.
const NOT_YET: u8 = 4;
/// How often one looks at a version that is waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

#[derive(Debug, Subcommand)]
#[command(after_help = HELP)]
pub enum Command {
    /// Lists what is tried out, what was ordered beside the file, and with --uses where plugins are used.
    ///
    /// Exit code 3 if a version that is tried out was given up.
    List {
        /// Every use of a plugin too, whether or not a new version is tried out there.
        #[arg(long)]
        uses: bool,
        /// Prints it as the proxy tells it.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        door: Door,
    },
    /// Shows how a new version fares beside the current one.
    ///
    /// Exit code 3 if it was given up.
    Show {
        #[command(flatten)]
        at: At,
        /// Prints it as the proxy tells it.
        #[arg(long)]
        json: bool,
    },
    /// Shows a version all calls (or a share) that the current one gets, and compares its answers.
    ///
    /// No client notices. It is given up by itself if it fails too often.
    Shadow {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        terms: Terms,
        /// Of clients whose calls it is shown.
        #[arg(long, value_name = "SHARE", default_value = "100%")]
        share: Share,
    },
    /// Lets a version answer a share of clients, always the same ones.
    ///
    /// It is given up by itself if it fails too often, and with `--give-up disagreements=10%` if it answers too
    /// often differently from the current one. Then the current version answers all again, at once.
    Canary {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        terms: Terms,
        #[command(flatten)]
        canary: CanaryTerms,
    },
    /// Gives the version that is tried out another share of clients, from now on and for as long as its try lasts.
    ///
    /// A share that was to grow by steps grows no more by itself.
    Share {
        #[command(flatten)]
        at: At,
        /// For example 25%.
        share: Share,
    },
    /// Waits until a new version has shown what it can, for pipelines: until it has its last step's share and has
    /// answered so many calls with it.
    ///
    /// Exit code 3 as soon as it was given up or stopped, 4 if the time is over before it came so far.
    Wait {
        #[command(flatten)]
        at: At,
        /// Answers that it is to have given; of a canary that grows, in its last step.
        #[arg(long, value_name = "COUNT", default_value_t = 100)]
        answers: u64,
        /// The longest to wait; without it as long as it takes.
        #[arg(long = "for", value_name = "TIME", value_parser = read_duration)]
        time: Option<Duration>,
    },
    /// Lets the current version answer all for now; figures stay, and `resume` goes on.
    Stop(At),
    /// Goes on with a version that was stopped or given up, and forgets what counted against it.
    Resume(At),
    /// Lets the version that is tried out take the place of the current one.
    ///
    /// It stays so over reloads, until weir.toml says something else at that use, or the proxy is started anew.
    Promote(At),
    /// Goes one step back: ends what is tried out; if nothing is, the file's version is used again.
    Return(At),
    /// Undoes all that was ordered at a use: it is as weir.toml says.
    Reset(At),
}

const HELP: &str = "\
What is ordered here holds in the running proxy, over reloads, until weir.toml says something else at the same use;
then the file counts. It does not change the file, and a proxy that is started anew begins with what the file says.

  weir rollout list --uses
  weir rollout shadow  backend/api/balancer ./hash-2.wasm
  weir rollout canary  backend/api/balancer ./hash-2.wasm --steps '5% 10m, 25% 1h, 100%'
  weir rollout wait    backend/api/balancer --answers 10000 --for 3h && weir rollout promote backend/api/balancer

Exit codes: 0 done, 1 refused, with the reason, 2 the command line is not understood, 3 (list, show,
wait) a version that is tried out was given up, 4 (wait) it did not come so far in time.";

/// A use of a plugin in a running proxy.
#[derive(Debug, Args)]
pub struct At {
    /// Where the plugin is used: `frontend/web/filter/1`, `backend/api/filter/1`, `backend/api/balancer`,
    /// `backend/api/persistence`.
    #[arg(value_name = "USE")]
    place: String,
    #[command(flatten)]
    door: Door,
}

pub fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::List { uses, json, door } => list(door, *uses, *json),
        Command::Show { at, json } => at.show(*json),
        Command::Shadow { at, terms, share } => {
            at.order("next", &terms.shadow(*share)?)?;
            at.show(false)
        }
        Command::Canary { at, terms, canary } => {
            at.order("next", &terms.canary(canary)?)?;
            at.show(false)
        }
        Command::Share { at, share } => {
            let share = encoded(&share.to_string());
            at.said(&format!("share?value={share}"))
        }
        Command::Wait { at, answers, time } => at.wait(*answers, *time),
        Command::Stop(at) => at.said("stop"),
        Command::Resume(at) => at.said("resume"),
        Command::Promote(at) => at.replaced("promote"),
        Command::Return(at) => at.replaced("return"),
        Command::Reset(at) => at.replaced("reset"),
    }
}

fn list(door: &Door, uses: bool, json: bool) -> anyhow::Result<ExitCode> {
    let text = door.get("/rollouts")?.text()?;
    let answer: Answer = serde_json::from_str(&text)?;
    match json {
        true => print!("{text}"),
        false => print!(
            "{}",
            show::List {
                answer: &answer,
                uses
            }
        ),
    }
    Ok(code(answer.rollouts.iter()))
}

fn code<'a>(mut shown: impl Iterator<Item = &'a show::Rollout>) -> ExitCode {
    match shown.any(show::Rollout::is_given_up) {
        true => ExitCode::from(GIVEN_UP),
        false => ExitCode::SUCCESS,
    }
}

/// What the proxy says of an order that it carried out.
#[derive(Debug, Deserialize)]
struct Done {
    #[serde(rename = "use")]
    place: String,
    before: show::Identity,
    now: show::Identity,
    as_file: bool,
}

impl At {
    fn order(&self, wish: &str, body: &str) -> anyhow::Result<Done> {
        let text = self.door.post(&self.target(wish)?, body)?.text()?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Prints what the proxy answers.
    fn said(&self, wish: &str) -> anyhow::Result<ExitCode> {
        print!("{}", self.door.post(&self.target(wish)?, "")?.text()?);
        Ok(ExitCode::SUCCESS)
    }

    fn replaced(&self, wish: &str) -> anyhow::Result<ExitCode> {
        let done = self.order(wish, "")?;
        match done.before.digest == done.now.digest && done.before.plugin == done.now.plugin {
            true => println!("{}: {} goes on", done.place, done.now),
            false => println!(
                "{}: {}\n  in place of {}",
                done.place, done.now, done.before
            ),
        }
        if !done.as_file {
            println!(
                "It stays so over reloads, until weir.toml says something else at this use or the proxy is started anew.\n\
                 To keep it, write `plugin = \"{}\"` there, with whatever else was ordered of it, and no `next`.",
                done.now.plugin
            );
        }
        Ok(ExitCode::SUCCESS)
    }

    fn show(&self, json: bool) -> anyhow::Result<ExitCode> {
        let text = self.door.get("/rollouts")?.text()?;
        let (position, found) = self.found(&text)?;
        match json {
            true => {
                let all: serde_json::Value = serde_json::from_str(&text)?;
                println!("{:#}", all["rollouts"][position]);
            }
            false => print!("{found}"),
        }
        Ok(code(std::iter::once(&found)))
    }

    fn wait(&self, answers: u64, time: Option<Duration>) -> anyhow::Result<ExitCode> {
        let began = Instant::now();
        loop {
            let (_, found) = self.found(&self.door.get("/rollouts")?.text()?)?;
            let ended = match (found.is_running(), found.has_answered(answers)) {
                (false, _) => Some(ExitCode::from(GIVEN_UP)),
                (true, true) => Some(ExitCode::SUCCESS),
                (true, false) if time.is_some_and(|time| began.elapsed() >= time) => {
                    Some(ExitCode::from(NOT_YET))
                }
                (true, false) => None,
            };
            if let Some(code) = ended {
                print!("{found}");
                return Ok(code);
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// The try at this use in what the proxy says, and where in it.
    fn found(&self, text: &str) -> anyhow::Result<(usize, show::Rollout)> {
        let mut answer: Answer = serde_json::from_str(text)?;
        let Some(position) = answer.position(&self.place) else {
            anyhow::bail!("{}", answer.nothing_at(&self.place));
        };
        Ok((position, answer.rollouts.swap_remove(position)))
    }

    /// Fails if that is no name at all, which would mean something else in a target.
    fn target(&self, wish: &str) -> anyhow::Result<String> {
        anyhow::ensure!(
            self.place.split('/').all(is_name),
            "`{}` is no use of a plugin; one is `frontend/web/filter/1`, `backend/api/balancer` or as `weir rollout list --uses` shows it",
            self.place
        );
        Ok(format!("/rollouts/{}/{wish}", self.place))
    }
}
