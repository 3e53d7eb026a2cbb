//! `weir replay`: recorded decisions against another component.

use std::{fs, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, anyhow, bail};
use clap::Args;

use crate::{
    config::{self, Config, Counter, CounterTable, PluginUse, WhenFull},
    model::BackendName,
    plugin::{
        counters::{CounterStore, KnownTables},
        maps::MapStore,
    },
    telemetry::story::RecordHead,
    workbench::{
        Subject,
        replay::{self, Playing, Recorded},
    },
};

#[derive(Debug, Args)]
pub struct Replay {
    /// What `weir record` has written.
    file: PathBuf,
    /// The component that is asked: a .wasm file, or the name of a plugin that comes with Weir.
    #[arg(long, value_name = "FILE")]
    plugin: PathBuf,
    /// Where the plugin of the recording was used (`frontend.web.filter.1`, `backend.app.balance`); needed if the
    /// component could stand in several places.
    #[arg(long = "use", value_name = "USE")]
    place: Option<String>,
    /// The component's config, as JSON in a file.
    #[arg(long = "plugin-config", visible_alias = "config", value_name = "FILE")]
    plugin_config: Option<PathBuf>,
    /// A weir.toml, where the use has its config, maps and limits.
    #[arg(short = 'c', value_name = "FILE", conflicts_with = "plugin_config")]
    weir_toml: Option<PathBuf>,
    /// Prints the comparison as JSON.
    #[arg(long)]
    json: bool,
}

/// With what the component is loaded.
struct Setting {
    config: String,
    backends: Option<Vec<BackendName>>,
    maps: MapStore,
    counters: CounterStore,
    deadline: Duration,
    memory: usize,
}

pub fn replay(options: &Replay) -> anyhow::Result<ExitCode> {
    let recorded = replay::load(&options.file)?;
    tell_of(&recorded);
    let subject = Subject::open(&options.plugin)?;
    let suits = |place| replay::suits(&subject, place);
    let place = replay::choose_use(&recorded.exchanges, options.place.as_deref(), suits)?;
    let setting = setting(options, &recorded.head, &place)?;
    let comparison = replay::play(
        &subject,
        &Playing {
            exchanges: &recorded.exchanges,
            place: &place,
            config: &setting.config,
            backends: setting.backends.as_deref(),
            maps: &setting.maps,
            counters: &setting.counters,
            deadline: setting.deadline,
            memory: setting.memory,
        },
    )?;
    match options.json {
        true => println!("{}", serde_json::to_string_pretty(&comparison)?),
        false => print!("{comparison}"),
    }
    Ok(ExitCode::from(u8::from(!comparison.agrees())))
}

/// Says what is missing from the recording.
fn tell_of(recorded: &Recorded) {
    match &recorded.end {
        None => eprintln!("note: the recording was interrupted; what is there is replayed"),
        Some(end) if end.lost > 0 => eprintln!(
            "note: {} exchanges are missing, since they came faster than they were written",
            end.lost
        ),
        Some(_) => {}
    }
}

fn setting(options: &Replay, head: &RecordHead, place: &str) -> anyhow::Result<Setting> {
    let plain = |config| Setting {
        config,
        backends: None,
        maps: MapStore::default(),
        counters: recorded_tables(head, place),
        deadline: Duration::from_millis(100),
        memory: 32 << 20,
    };
    if let Some(file) = &options.weir_toml {
        return of_config(file, place);
    }
    if let Some(file) = &options.plugin_config {
        let text = fs::read_to_string(file)
            .with_context(|| format!("{} can't be read", file.display()))?;
        return Ok(plain(text));
    }
    let used = head.uses.iter().find(|used| used.place == place);
    match used.and_then(|used| used.config.clone()) {
        Some(config) => Ok(plain(config)),
        None => {
            eprintln!(
                "note: the recording has no configs, for they can hold secrets; the component gets `{{}}`. Give it one with -c weir.toml or --config FILE"
            );
            Ok(plain("{}".to_owned()))
        }
    }
}

fn of_config(file: &std::path::Path, place: &str) -> anyhow::Result<Setting> {
    let config = config::load(file).map_err(|errors| anyhow!("{errors}"))?;
    let Some(used) = find(&config, place) else {
        bail!("{} has no {place}", file.display());
    };
    let maps = MapStore::load(&config.maps).map_err(|errors| {
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        anyhow!("{}", texts.join("\n"))
    })?;
    Ok(Setting {
        config: used.config.clone(),
        deadline: used.deadline,
        memory: used.memory,
        backends: Some(config.backends.iter().map(|it| it.name.clone()).collect()),
        counters: tables(
            config
                .counters
                .iter()
                .filter(|it| used.grants.counters.contains(&it.name)),
        ),
        maps,
    })
}

/// Empty tables.
fn tables<'a>(declared: impl Iterator<Item = &'a CounterTable>) -> CounterStore {
    let declared: Vec<_> = declared.cloned().collect();
    CounterStore::of(&declared, &mut KnownTables::default())
}

/// Those that the plugin of the recording was granted, empty.
fn recorded_tables(head: &RecordHead, place: &str) -> CounterStore {
    let used = head.uses.iter().find(|used| used.place == place);
    let shown = used
        .map(|used| used.counters.as_slice())
        .unwrap_or_default();
    let declared: Vec<_> = shown
        .iter()
        .map(|table| CounterTable {
            name: table.name.clone(),
            size: table.size,
            expire: table.expire.map(Duration::from_millis),
            counters: table
                .counters
                .iter()
                .map(|counter| Counter {
                    name: counter.name.clone(),
                    window: counter.window.map(Duration::from_millis),
                    // Answers are those of the recording.
                    held: false,
                })
                .collect(),
            when_full: match table.refuses {
                true => WhenFull::Refuse,
                false => WhenFull::Evict,
            },
        })
        .collect();
    tables(declared.iter())
}

/// The use that a recording calls `place`.
fn find<'a>(config: &'a Config, place: &str) -> Option<&'a PluginUse> {
    let filter = |filters: &'a [PluginUse], rest: &str| {
        let number: usize = rest.strip_prefix("filter.")?.parse().ok()?;
        filters.get(number.checked_sub(1)?)
    };
    for frontend in &config.frontends {
        let prefix = format!("frontend.{}.", frontend.name);
        if let Some(rest) = place.strip_prefix(&prefix) {
            return filter(&frontend.filters, rest);
        }
    }
    for backend in &config.backends {
        let prefix = format!("backend.{}.", backend.name);
        match place.strip_prefix(&prefix) {
            Some("balance") => return Some(&backend.balancer),
            Some("persistence") => return backend.persistence.as_ref(),
            Some(rest) => return filter(&backend.filters, rest),
            None => {}
        }
    }
    None
}
