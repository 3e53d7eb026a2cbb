//! `weir plugin bench`: what a plugin costs. Called warm and in batches, the way the proxy calls it; printed
//! is the median batch.

use std::{
    fmt, fs,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Setup, Subject};
use crate::{
    config::cases::Given,
    frontend::StagedExchange,
    model::{Candidate, Hook, Input, Outcome},
    plugin::{
        CallError, Instance, LoadError, Place, Plugin, Role, counters::CounterStore, maps::MapStore,
    },
};

const BATCHES: u32 = 15;
/// Instances alive at a time while their memory is measured.
const CROWD: u32 = 50;

/// What is measured, and how long.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    pub config: &'a str,
    /// What a balancer picks from.
    pub servers: u32,
    /// For each hook.
    pub time: Duration,
}

/// What a plugin costs.
#[derive(Debug)]
pub struct Costs {
    /// Compiling the component anew.
    pub compile: Duration,
    /// Of machine code, in bytes.
    pub code: usize,
    /// Making and configuring an instance.
    pub instance: Duration,
    /// Linear memory of an instance once it is configured, and after the calls, in bytes.
    pub memory: (usize, usize),
    /// What each further instance adds to the process, in bytes.
    pub resident: Option<u64>,
    pub calls: Vec<CallCost>,
}

/// What a hook costs.
#[derive(Debug)]
pub struct CallCost {
    pub call: String,
    /// Of a call, in the median batch and in the quickest.
    pub median: Duration,
    pub least: Duration,
    pub inputs: Vec<Input>,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum TimingError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Call(#[from] CallError),
}

/// Measures `subject`, whose compiling took `compile`, in every place that it can stand in.
pub fn measure(
    subject: &Subject,
    compile: Duration,
    options: &Options<'_>,
) -> Result<Costs, TimingError> {
    let component = subject.component();
    let places = [Place::Filter, Place::Balancer, Place::Persistence];
    let mut costs = Costs {
        compile,
        code: component.code_size(),
        instance: Duration::ZERO,
        memory: (0, 0),
        resident: None,
        calls: Vec::new(),
    };
    for place in places.into_iter().filter(|p| p.suits(component.roles())) {
        let plugin = subject.load(&Setup {
            place,
            config: options.config,
            backends: None,
            maps: &MapStore::default(),
            counters: &CounterStore::default(),
            deadline: Duration::from_secs(60),
            memory: 1 << 30,
        })?;
        measure_place(&plugin, place, options, &mut costs)?;
    }
    Ok(costs)
}

fn measure_place(
    plugin: &Arc<Plugin>,
    place: Place,
    options: &Options<'_>,
    costs: &mut Costs,
) -> Result<(), TimingError> {
    let began = Instant::now();
    let before = resident();
    let crowd: Vec<Instance> = (0..CROWD)
        .map(|_| plugin.instantiate())
        .collect::<Result<_, _>>()?;
    costs.instance = costs.instance.max(began.elapsed() / CROWD);
    let grown = resident().zip(before).map(|(now, before)| {
        // Other things of the process may have gone meanwhile.
        now.saturating_sub(before) / u64::from(CROWD)
    });
    costs.resident = costs.resident.max(grown);
    drop(crowd);

    let mut bench = Bench {
        instance: plugin.instantiate()?,
        plugin,
        options,
    };
    costs.memory.0 = costs.memory.0.max(bench.instance.memory());
    for hook in Hook::ALL {
        if plugin.has_hook(hook) && place.plays(role(hook)) {
            costs.calls.extend(bench.measure(hook)?);
        }
    }
    costs.memory.1 = costs.memory.1.max(bench.instance.memory());
    Ok(())
}

fn role(hook: Hook) -> Role {
    match hook {
        Hook::OnConnection => Role::ConnectionFilter,
        Hook::OnRequest => Role::RequestFilter,
        Hook::OnResponse => Role::ResponseFilter,
        Hook::Pick => Role::Balancer,
        Hook::Lookup | Hook::Assigned => Role::Persistence,
    }
}

struct Bench<'a> {
    instance: Instance,
    plugin: &'a Plugin,
    options: &'a Options<'a>,
}

impl Bench<'_> {
    fn measure(&mut self, hook: Hook) -> Result<Vec<CallCost>, CallError> {
        let inputs = self.plugin.inputs(hook).to_vec();
        let values = sample(hook, &inputs);
        let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
        let time = self.options.time;
        let cost = |call: &str, (median, least)| CallCost {
            call: call.to_owned(),
            median,
            least,
            inputs: inputs.clone(),
        };
        let instance = &mut self.instance;
        let measured = match hook {
            Hook::OnConnection => batches(time, || instance.on_connection(&values).map(drop))?,
            Hook::OnRequest => batches(time, || instance.on_request(&values).map(drop))?,
            Hook::OnResponse => batches(time, || instance.on_response(&values).map(drop))?,
            Hook::Lookup => batches(time, || instance.lookup(&values).map(drop))?,
            Hook::Assigned => batches(time, || instance.assigned("server-1", &values).map(drop))?,
            Hook::Pick => return self.measure_balancer(&values, cost),
        };
        Ok(vec![cost(hook.as_str(), measured)])
    }

    fn measure_balancer(
        &mut self,
        values: &[Option<&str>],
        cost: impl Fn(&str, (Duration, Duration)) -> CallCost,
    ) -> Result<Vec<CallCost>, CallError> {
        let (servers, time) = (self.options.servers, self.options.time);
        let candidates: Vec<Candidate> = (1..=servers)
            .map(|id| Candidate {
                name: format!("server-{id}"),
                id,
                weight: 1,
                limit: 0,
            })
            .collect();
        let loads: Vec<u32> = match self.plugin.wants_loads() {
            true => (0..servers).map(|n| n % 7 + 1).collect(),
            false => Vec::new(),
        };
        let instance = &mut self.instance;
        let without_inputs = |mut cost: CallCost| {
            cost.inputs.clear();
            cost
        };
        let update = batches(time, || instance.update(&candidates))?;
        let mut turn = 0;
        let pick = batches(time, || {
            turn += 1;
            instance.pick(turn, values, &loads, &[]).map(drop)
        })?;
        let mut costs = vec![
            without_inputs(cost(&format!("update of {servers}"), update)),
            cost(&format!("pick among {servers}"), pick),
        ];
        if self.plugin.has_feedback() {
            let observe = batches(time, || instance.observe(0, Outcome::Success, 1_000))?;
            costs.push(without_inputs(cost("observe", observe)));
        }
        Ok(costs)
    }
}

/// Values as an ordinary request has them; what it would not have is made up.
fn sample(hook: Hook, inputs: &[Input]) -> Vec<Option<String>> {
    let mut given = Given::default();
    given.request.target = "/shop/items/index.html?page=2".to_owned();
    let known = StagedExchange::new(&given).map(|exchange| exchange.values(hook, inputs));
    let known = known.unwrap_or_else(|_| vec![None; inputs.len()]);
    let known = known.into_iter();
    known
        .map(|value| Some(value.unwrap_or_else(|| "some-value".to_owned())))
        .collect()
}

/// The median and the quickest of several batches that take `time` together.
fn batches(
    time: Duration,
    mut call: impl FnMut() -> Result<(), CallError>,
) -> Result<(Duration, Duration), CallError> {
    let began = Instant::now();
    let mut calls = 0_u32;
    // A tenth of the time to get warm and to see how many calls make a batch.
    while calls < 10 || began.elapsed() < time / 10 && calls < 1_000_000 {
        black_box(call()?);
        calls += 1;
    }
    let each = began.elapsed() / calls;
    let batch = time.as_nanos() / u128::from(BATCHES) / each.as_nanos().max(1);
    let batch = u32::try_from(batch).unwrap_or(u32::MAX).max(1);
    let mut times = Vec::new();
    for _ in 0..BATCHES {
        let began = Instant::now();
        for _ in 0..batch {
            black_box(call()?);
        }
        times.push(began.elapsed() / batch);
    }
    times.sort();
    Ok((times[times.len() / 2], times[0]))
}

/// Of this process, in bytes.
fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

impl fmt::Display for Costs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ready, after) = self.memory;
        writeln!(
            f,
            "compile          {:>10}   machine code {}; once, then kept in the code cache",
            shown(self.compile),
            size(self.code as u64)
        )?;
        let resident = self.resident.map(size);
        writeln!(
            f,
            "instance         {:>10}   memory {} (after the calls {}), resident {}",
            shown(self.instance),
            size(ready as u64),
            size(after as u64),
            resident.as_deref().unwrap_or("unknown")
        )?;
        for cost in &self.calls {
            let inputs: Vec<String> = cost.inputs.iter().map(ToString::to_string).collect();
            writeln!(
                f,
                "{:16} {:>10}   at best {}{}{}",
                cost.call,
                shown(cost.median),
                shown(cost.least),
                if inputs.is_empty() { "" } else { "; inputs " },
                inputs.join(", ")
            )?;
        }
        Ok(())
    }
}

fn shown(time: Duration) -> String {
    let nanos = time.as_nanos();
    match nanos {
        0..10_000 => format!("{nanos} ns"),
        10_000..10_000_000 => format!("{:.1} µs", nanos as f64 / 1e3),
        _ => format!("{:.0} ms", nanos as f64 / 1e6),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{} KiB", bytes / 1024),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}
