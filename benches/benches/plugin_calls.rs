//! How long one call of a plugin takes, host and guest together: `cargo bench -p weir-benches`.
//!
//! A warm instance is called in batches; printed is the median batch, in nanoseconds per call.

use std::{hint::black_box, sync::Arc, time::Duration, time::Instant};

use weir::{
    config::{Grants, PluginSource},
    model::{BackendName, Candidate, Hook, PluginName},
    plugin::{
        Instance, Place, Plugin, PluginSpec, Runtime, RuntimeOptions, counters::CounterStore,
        maps::MapStore,
    },
};

const BATCHES: usize = 50;
const CALLS: usize = 10_000;

fn main() {
    // `cargo test` builds and starts this too; there it only has to work.
    let batches = if std::env::args().any(|arg| arg == "--bench") {
        BATCHES
    } else {
        1
    };
    let runtime = Runtime::new(RuntimeOptions::default()).expect("plugins can run here");
    let report = |what: &str, ns: f64| println!("{what:55} {ns:8.0} ns");

    for servers in [3, 30, 300] {
        for balancer in ["round-robin", "least-conn"] {
            let plugin = load(&runtime, balancer, Place::Balancer, "{}", &[]);
            let ns = picks(&plugin, servers, batches);
            report(&format!("{balancer}: pick among {servers}"), ns);
        }
    }
    for rules in [1, 10, 100, 1000] {
        let names: Vec<BackendName> = (0..rules)
            .map(|n| BackendName::new(&format!("b{n}")))
            .collect();
        let plugin = load(
            &runtime,
            "rules",
            Place::Filter,
            &rules_config(rules),
            &names,
        );
        let path = format!("/svc{:04}/index.html", rules - 1);
        report(
            &format!("rules: the last of {rules} path prefixes"),
            requests(&plugin, &path, batches),
        );
    }
}

fn load(
    runtime: &Arc<Runtime>,
    name: &str,
    place: Place,
    config: &str,
    backends: &[BackendName],
) -> Arc<Plugin> {
    let spec = PluginSpec {
        name: PluginName::new(name),
        source: PluginSource::Bundled(name.to_owned()),
        place,
        config,
        grants: &Grants::default(),
        maps: &MapStore::default(),
        counters: &CounterStore::default(),
        deadline: Duration::from_secs(1),
        memory: 64 << 20,
        backends,
    };
    Plugin::load(runtime, &spec)
        .unwrap_or_else(|error| panic!("{error}; has `cargo xtask build` been run?"))
}

fn picks(plugin: &Plugin, servers: usize, batches: usize) -> f64 {
    let mut instance = instance(plugin);
    let candidates: Vec<Candidate> = (1..=servers as u32)
        .map(|id| Candidate {
            name: format!("s{id}"),
            id,
            weight: 1,
            limit: 0,
        })
        .collect();
    instance
        .update(&candidates)
        .expect("the plugin takes servers");
    let loads: Vec<u32> = if plugin.wants_loads() {
        (0..servers as u32).map(|n| n % 7 + 1).collect()
    } else {
        Vec::new()
    };
    let mut turn = 0;
    time(batches, || {
        turn += 1;
        black_box(
            instance
                .pick(turn, &[], &loads, &[])
                .expect("the plugin picks"),
        );
    })
}

fn requests(plugin: &Plugin, path: &str, batches: usize) -> f64 {
    let mut instance = instance(plugin);
    assert_eq!(
        plugin.inputs(Hook::OnRequest).len(),
        1,
        "path rules ask for the path alone"
    );
    time(batches, || {
        black_box(
            instance
                .on_request(&[Some(black_box(path))])
                .expect("the plugin judges"),
        );
    })
}

fn instance(plugin: &Plugin) -> Instance {
    plugin
        .instantiate()
        .expect("a plugin that was loaded can be instantiated")
}

/// Nanoseconds per call in the median batch.
fn time(batches: usize, mut call: impl FnMut()) -> f64 {
    let mut batch = || {
        let start = Instant::now();
        for _ in 0..CALLS {
            call();
        }
        start.elapsed().as_nanos() as f64 / CALLS as f64
    };
    batch();
    let mut times: Vec<f64> = (0..batches).map(|_| batch()).collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn rules_config(count: usize) -> String {
    let matchers: Vec<String> = (0..count)
        .map(|n| format!(r#""m{n}": {{"path": {{"prefix": "/svc{n:04}/"}}}}"#))
        .collect();
    let rules: Vec<String> = (0..count)
        .map(|n| format!(r#"{{"when": "m{n}", "use": "b{n}"}}"#))
        .collect();
    format!(
        r#"{{"match": {{{}}}, "rule": [{}]}}"#,
        matchers.join(","),
        rules.join(",")
    )
}
