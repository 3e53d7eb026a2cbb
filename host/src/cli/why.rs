//! `weir why`: the story of an exchange, for people.

mod show;

use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;

use super::admin::Door;
use crate::telemetry::story::{Kept, Story};

#[derive(Debug, Args)]
pub struct Why {
    /// The request's id, as in the log. Without one, the stories that are there are listed.
    id: Option<String>,
    #[command(flatten)]
    door: Door,
    /// Prints it as the proxy tells it.
    #[arg(long)]
    json: bool,
    /// In a list, only exchanges that failed.
    #[arg(long, conflicts_with = "id")]
    failed: bool,
    /// How many are listed, the latest first.
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 20,
        conflicts_with = "id"
    )]
    limit: usize,
}

pub fn why(options: &Why) -> anyhow::Result<ExitCode> {
    match &options.id {
        Some(id) => {
            anyhow::ensure!(
                !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric()),
                "`{id}` is no request id; one has 32 hexadecimal digits"
            );
            let text = options.door.get(&format!("/why/{id}"))?.text()?;
            match options.json {
                true => println!("{text}"),
                false => print!("{}", show::Told(&serde_json::from_str::<Story>(&text)?)),
            }
        }
        None => list(options)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// As the proxy answers it.
#[derive(Debug, Deserialize)]
struct List {
    stories: Vec<Summary>,
    untold_failures: u64,
}

#[derive(Debug, Deserialize)]
struct Summary {
    id: String,
    at: u64,
    kept: Kept,
    frontend: String,
    request: Option<String>,
    backend: Option<String>,
    server: Option<String>,
    status: Option<u16>,
    verdict: Option<String>,
    fault: Option<String>,
    error: Option<String>,
}

fn list(options: &Why) -> anyhow::Result<()> {
    let failed = if options.failed { "&failed" } else { "" };
    let target = format!("/why?limit={}{failed}", options.limit);
    let text = options.door.get(&target)?.text()?;
    if options.json {
        print!("{text}");
        return Ok(());
    }
    let list: List = serde_json::from_str(&text)?;
    if list.stories.is_empty() {
        println!("no story is kept; `[why]` in the configuration says of which exchanges one is");
    }
    for story in &list.stories {
        println!("{}", line(story));
    }
    if list.untold_failures > 0 {
        println!(
            "{} failures came too fast for all of them to be kept",
            list.untold_failures
        );
    }
    Ok(())
}

fn line(story: &Summary) -> String {
    let status = story
        .status
        .map_or("-".to_owned(), |status| status.to_string());
    let server = match (&story.backend, &story.server) {
        (Some(backend), Some(server)) => format!("{backend}/{server}"),
        (Some(backend), None) => format!("{backend}/-"),
        (None, _) => "-".to_owned(),
    };
    let what = story.request.as_deref().unwrap_or("-");
    let mut line = format!(
        "{}  {}  {:<7}  {status:>3}  {} {server}  {what}",
        show::date(story.at),
        story.id,
        show::kept(story.kept),
        story.frontend,
    );
    if let Some(why) = story.error.as_ref().or(story.verdict.as_ref()) {
        line.push_str(&format!("  {why}"));
    }
    if let Some(fault) = &story.fault {
        line.push_str(&format!("  (fault: {fault})"));
    }
    line
}
