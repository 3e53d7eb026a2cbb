//! What `weir plugin simulate` plays through: servers, requests that arrive, failures. Read from a file or
//! put together from the command line; playing is not done here.

mod process;
mod trace;

use std::{path::Path, time::Duration};

use super::{
    ConfigErrors,
    load::{parse_with, text_of},
    read::Fields,
    value::Node,
};

pub use process::{Arrivals, BadProcess, Service};
pub use trace::{Arrival, TraceError, load_trace};

/// Everything that is not the plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    pub servers: Vec<SimulatedServer>,
    pub arrivals: Arrivals,
    pub requests: u64,
    /// How many different clients there are, each with requests of its own.
    pub keys: u32,
    /// How much more the first clients ask than the others: 0 for all the same, 1 for Zipf's law.
    pub skew: f64,
    /// Instances of the plugin; the kernel gives each request to one of them.
    pub workers: u32,
    pub seed: u64,
    /// From a server's failure or recovery until the proxy knows.
    pub detection: Duration,
    /// How often a request is tried elsewhere after a connection could not be made.
    pub retries: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SimulatedServer {
    pub name: String,
    pub weight: u32,
    /// Requests that it works at at a time; others wait in it.
    pub slots: u32,
    pub service: Service,
    /// When it refuses connections: from, until.
    pub down: Vec<(Duration, Duration)>,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            arrivals: Arrivals::Poisson { rate: 800.0 },
            requests: 50_000,
            keys: 1_000,
            skew: 0.0,
            workers: 2,
            seed: 1,
            detection: Duration::from_secs(2),
            retries: 3,
        }
    }
}

impl SimulatedServer {
    /// One of the name, four slots and 10 ms on average for each request.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            weight: 1,
            slots: 4,
            service: Service::Exponential {
                mean: Duration::from_millis(10),
            },
            down: Vec::new(),
        }
    }
}

/// Reads a scenario file.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn load(path: &Path) -> Result<Scenario, ConfigErrors> {
    parse(path, &text_of(path)?)
}

/// Reads `text` as if it stood in `file`.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn parse(file: &Path, text: &str) -> Result<Scenario, ConfigErrors> {
    let (scenario, _) = parse_with(file, text, |reader, tree| read(Fields::top(reader, tree)))?;
    Ok(scenario)
}

fn read(mut top: Fields<'_>) -> Scenario {
    let mut scenario = Scenario::default();
    let mut usual = SimulatedServer::named("");
    read_server_keys(&mut top, &mut usual);
    if let Some(arrivals) = top.get("arrivals").and_then(|node| read_process(&node)) {
        scenario.arrivals = arrivals;
    }
    let number = |node: Node<'_>| node.integer(1..=10_000_000);
    if let Some(requests) = top.get("requests").and_then(number) {
        scenario.requests = requests;
    }
    if let Some(keys) = top.get("keys").and_then(|node| node.small(1..=1_000_000)) {
        scenario.keys = keys;
    }
    if let Some(skew) = top.get("skew").and_then(|node| read_skew(&node)) {
        scenario.skew = skew;
    }
    if let Some(workers) = top.get("workers").and_then(|node| node.small(1..=256)) {
        scenario.workers = workers;
    }
    if let Some(seed) = top
        .get("seed")
        .and_then(|node| node.integer(0..=i64::MAX as u64))
    {
        scenario.seed = seed;
    }
    if let Some(detection) = top.get("detection").and_then(|node| node.duration()) {
        scenario.detection = detection;
    }
    if let Some(retries) = top.get("retries").and_then(|node| node.small(0..=100)) {
        scenario.retries = retries;
    }
    let servers = top.tables("server", "[[server]]");
    if servers.is_empty() {
        top.reader.error_with_hint(
            0..0,
            "there is no server",
            "write `[[server]]` and `name = \"a\"`",
        );
    }
    scenario.servers = servers
        .into_iter()
        .filter_map(|fields| read_server(fields, &usual))
        .collect();
    top.finish(&[(
        "down",
        "it is a server that is down: write it below `[[server]]`",
    )]);
    scenario
}

fn read_server(mut fields: Fields<'_>, usual: &SimulatedServer) -> Option<SimulatedServer> {
    let name = fields
        .require("name", "\"a\"")
        .and_then(|node| node.plain_text("a"))
        .map(str::to_owned);
    let mut server = usual.clone();
    read_server_keys(&mut fields, &mut server);
    if let Some(weight) = fields.get("weight").and_then(|node| node.small(1..=256)) {
        server.weight = weight;
    }
    if let Some(nodes) = fields.get("down").and_then(|node| node.list("spans")) {
        server.down = nodes.iter().filter_map(read_span).collect();
    }
    fields.finish(&[]);
    Some(SimulatedServer {
        name: name?,
        ..server
    })
}

/// What a server has, and at the top of the file all of them.
fn read_server_keys(fields: &mut Fields<'_>, server: &mut SimulatedServer) {
    if let Some(slots) = fields.get("slots").and_then(|node| node.small(1..=100_000)) {
        server.slots = slots;
    }
    if let Some(service) = fields.get("service").and_then(|node| read_process(&node)) {
        server.service = service;
    }
}

fn read_process<T: std::str::FromStr<Err = BadProcess>>(node: &Node<'_>) -> Option<T> {
    let read = node.plain_text("exponential:10ms")?.parse();
    read.map_err(|bad: BadProcess| node.wrong(bad.found, bad.hint))
        .ok()
}

fn read_skew(node: &Node<'_>) -> Option<f64> {
    let number = match node.value() {
        toml::de::DeValue::Float(number) => number.as_str().parse().ok(),
        toml::de::DeValue::Integer(number) => number.as_str().parse().ok(),
        _ => None,
    };
    let skew = number.filter(|skew: &f64| (0.0..=3.0).contains(skew));
    if skew.is_none() {
        node.wrong(
            "is out of range",
            "from 0 (all the same) to 3; 1 is Zipf's law",
        );
    }
    skew
}

/// `10s..20s`
fn read_span(node: &Node<'_>) -> Option<(Duration, Duration)> {
    let text = node.plain_text("10s..20s")?;
    let span = text.split_once("..").and_then(|(from, until)| {
        let (from, until) = (process::duration(from)?, process::duration(until)?);
        (from < until).then_some((from, until))
    });
    if span.is_none() {
        node.wrong(
            "is no span of time",
            "write from and until, such as \"10s..20s\"",
        );
    }
    span
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Scenario, String> {
        parse(Path::new("s.toml"), text).map_err(|errors| errors.to_string())
    }

    #[test]
    fn a_server_has_what_the_file_says_for_all_unless_it_says_otherwise() {
        let scenario = parsed(
            "arrivals = \"constant:100/s\"\nservice = \"fixed:5ms\"\nskew = 1\n\
             [[server]]\nname = \"a\"\ndown = [\"1s..2s\"]\n\
             [[server]]\nname = \"b\"\nweight = 3\nslots = 2\nservice = \"fixed:1ms\"\n",
        )
        .unwrap();
        let [a, b] = scenario.servers.try_into().unwrap();
        let millis = |mean| Service::Fixed {
            time: Duration::from_millis(mean),
        };
        assert_eq!((a.service, a.slots, a.weight), (millis(5), 4, 1));
        assert_eq!(a.down, [(Duration::from_secs(1), Duration::from_secs(2))]);
        assert_eq!((b.service, b.slots, b.weight), (millis(1), 2, 3));
        assert_eq!(scenario.skew, 1.0);
    }

    #[test]
    fn what_is_wrong_is_shown_where_it_stands() {
        let error = parsed("arivals = \"constant:100/s\"\n[[server]]\nname = \"a\"\n").unwrap_err();
        assert!(
            error.contains("s.toml:1:1: unknown key `arivals`"),
            "{error}"
        );
        let error = parsed("[[server]]\nname = \"a\"\nservice = \"gauss:1ms\"\n").unwrap_err();
        assert!(error.contains("s.toml:3:11: `service`"), "{error}");
        let error = parsed("[[server]]\nname = \"a\"\ndown = [\"2s..1s\"]\n").unwrap_err();
        assert!(
            error.contains("s.toml:3:9: `down` entry 1 is no span of time"),
            "{error}"
        );
        let error = parsed("requests = 5\n").unwrap_err();
        assert!(error.contains("there is no server"), "{error}");
    }
}
