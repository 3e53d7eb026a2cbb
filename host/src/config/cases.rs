//! Cases of `weir plugin test`, as they are written down: what a plugin is given and what it should
//! answer. Calling the plugin and comparing is not done here.

mod expected;
mod given;
mod step;

use std::{path::Path, sync::Arc, time::Duration};

use super::{
    ConfigErrors, ConfigPlaces, CounterTable, MapFile,
    counters::read_counters,
    load::{parse_with, text_of},
    map::read_maps,
    places::read_config,
    read::{Fields, Reader},
};
use crate::model::{BackendName, Candidate};

pub use expected::{Expected, ExpectedVerdict};
pub use given::{Given, GivenRequest, GivenResponse};
pub use step::{Act, Pick, Step};

/// A file of cases.
#[derive(Debug, Clone)]
pub struct CaseFile {
    pub maps: Vec<MapFile>,
    pub counters: Vec<CounterTable>,
    pub cases: Vec<Case>,
}

/// One sentence about a plugin, and how it shows.
#[derive(Debug, Clone)]
pub struct Case {
    pub name: String,
    /// Where in the file it begins, from 1.
    pub line: usize,
    pub setting: Setting,
    /// The config is to be refused with an error that contains this; there are no steps then.
    pub refused: Option<String>,
    pub steps: Vec<Step>,
}

/// What the plugin of a case runs in.
#[derive(Debug, Clone)]
pub struct Setting {
    /// JSON text.
    pub config: String,
    /// Where the config stands; for its errors.
    pub places: ConfigPlaces,
    /// The backends that exist; `None`: whichever the plugin names.
    pub backends: Option<Vec<BackendName>>,
    /// What a balancer is shown before the first step.
    pub servers: Vec<Candidate>,
    /// What its clock says in the beginning, in milliseconds since 1970.
    pub clock: u64,
    /// What its random numbers begin with.
    pub seed: u64,
    pub deadline: Duration,
    pub memory: usize,
}

/// Reads a file of cases.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn load(path: &Path) -> Result<CaseFile, ConfigErrors> {
    parse(path, &text_of(path)?)
}

/// Reads `text` as if it stood in `file`.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn parse(file: &Path, text: &str) -> Result<CaseFile, ConfigErrors> {
    let (cases, _) = parse_with(file, text, |reader, tree| {
        let places = ConfigPlaces {
            file: file.to_owned(),
            source: Arc::from(text),
            ..ConfigPlaces::default()
        };
        read(reader, places, Fields::top(reader, tree))
    })?;
    Ok(cases)
}

/// What all cases of a file have in common unless they say otherwise.
struct Common {
    setting: Setting,
    call: Option<&'static str>,
}

fn read(reader: &Reader<'_>, nowhere: ConfigPlaces, mut top: Fields<'_>) -> CaseFile {
    let setting = Setting {
        config: "{}".to_owned(),
        places: nowhere,
        backends: None,
        servers: Vec::new(),
        clock: 1_767_225_600_000,
        seed: 1,
        deadline: Duration::from_secs(1),
        memory: 64 << 20,
    };
    let common = Common {
        setting: read_setting(&mut top, &setting),
        call: step::read_call(&mut top),
    };
    let maps = read_maps(&mut top);
    let counters = read_counters(&mut top);
    let cases = top.tables("case", "[[case]]");
    if cases.is_empty() {
        reader.error_with_hint(
            0..0,
            "there is no case",
            "write `[[case]]`, then a name, a call and what it should answer",
        );
    }
    let cases = cases
        .into_iter()
        .filter_map(|fields| read_case(fields, &common))
        .collect();
    top.finish(&[(
        "steps",
        "steps belong to a case: write them below a `[[case]]`",
    )]);
    CaseFile {
        maps,
        counters,
        cases,
    }
}

fn read_case(mut fields: Fields<'_>, common: &Common) -> Option<Case> {
    let span = fields.span();
    let name = fields
        .require("name", "\"gold has a backend of its own\"")
        .and_then(|node| node.plain_text("gold has a backend of its own"))
        .map(str::to_owned);
    if let Some(name) = &name {
        fields.set_context(&format!("case `{}`: ", super::value::shorten(name)));
    }
    let setting = read_setting(&mut fields, &common.setting);
    let refused = fields
        .get("refused")
        .and_then(|node| node.plain_text("no matcher named"))
        .map(str::to_owned);
    let steps = if refused.is_some() {
        Vec::new()
    } else {
        step::read_steps(&mut fields, common.call, &setting.servers)
    };
    fields.finish(&[]);
    Some(Case {
        name: name?,
        line: setting.places.line(span.start),
        setting,
        refused,
        steps,
    })
}

fn read_setting(fields: &mut Fields<'_>, base: &Setting) -> Setting {
    let mut setting = base.clone();
    if let Some(node) = fields.get("config") {
        setting.places.spans.clear();
        setting.places.keys.clear();
        setting.places.plugin = node.span();
        setting.config = read_config(&node, &mut setting.places).to_string();
    }
    if let Some(names) = fields
        .get("backends")
        .and_then(|node| node.list("names of backends"))
    {
        let names = names.iter().filter_map(|node| node.plain_text("fast"));
        setting.backends = Some(names.map(BackendName::new).collect());
    }
    if let Some(servers) = given::read_servers(fields, "servers") {
        setting.servers = servers;
    }
    if let Some(clock) = fields
        .get("clock")
        .and_then(|node| node.integer(0..=i64::MAX as u64))
    {
        setting.clock = clock;
    }
    if let Some(seed) = fields
        .get("seed")
        .and_then(|node| node.integer(0..=i64::MAX as u64))
    {
        setting.seed = seed;
    }
    if let Some(deadline) = fields.get("deadline").and_then(|node| node.duration()) {
        setting.deadline = deadline;
    }
    if let Some(memory) = fields
        .get("memory")
        .and_then(|node| node.size(64 << 10..=1 << 30))
    {
        setting.memory = usize::try_from(memory).unwrap_or(usize::MAX);
    }
    setting
}
