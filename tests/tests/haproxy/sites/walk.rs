//! Going through a script, step by step, and writing down what is seen.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::{fd::OwnedFd, unix::fs::PermissionsExt, unix::net::UnixStream},
    process::Child,
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

use super::{
    super::{
        client::Client,
        origin::BEGUN,
        proxies::{Kind, command},
    },
    script::{Act, Site, Step},
    world::World,
};

/// Checks take their time to believe in a server again.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

/// One text for each step. Panics where something is not as the script says.
pub fn walk(site: &Site, kind: Kind) -> Vec<String> {
    let world = World::make(site);
    let mut walk = Walk {
        proxy: start(site, kind),
        world,
        client: Client::new("nowhere"),
        held: Vec::new(),
    };
    let mut seen = Vec::new();
    for step in &site.steps {
        let text = walk.step(step);
        for expected in &step.expected {
            assert!(
                text.contains(expected.as_str()),
                "`{}`: `{expected}` is not in\n{text}\n{}",
                step.text,
                told()
            );
        }
        seen.push(text);
    }
    let _ = walk.proxy.kill();
    let _ = walk.proxy.wait();
    seen
}

struct Walk {
    proxy: Child,
    world: World,
    client: Client,
    /// Connections whose answers nobody waits for.
    held: Vec<TcpStream>,
}

fn start(site: &Site, kind: Kind) -> Child {
    let out = File::create("/run/told").expect("a file can be made");
    let errors = out.try_clone().expect("a descriptor can be copied");
    let child = command(kind, &site.config())
        .stdout(out)
        .stderr(errors)
        .current_dir("/")
        .spawn();
    child.expect("the proxy can be started")
}

/// What the proxy wrote.
fn told() -> String {
    fs::read_to_string("/run/told").unwrap_or_default()
}

impl Walk {
    fn step(&mut self, step: &Step) -> String {
        match &step.act {
            Act::To { address, source } => {
                self.client = self.client_of(address, source.as_deref());
                String::new()
            }
            Act::Ask(bytes) => plain(&self.client.ask(bytes)),
            Act::Until(bytes) => self.until(bytes, step),
            Act::Hold(bytes) => self.hold(bytes),
            Act::Spread(count, bytes) => self.spread(*count, bytes),
            Act::New => {
                self.client.reconnect();
                String::new()
            }
            Act::Stop(name) => {
                self.world.server(name).stop();
                String::new()
            }
            Act::Start(name) => {
                self.world.server(name).start();
                String::new()
            }
            Act::Log => self.log_line(step),
            Act::Command { path, command } => run(path, command),
            Act::Mode(path) => {
                let socket = fs::metadata(path).expect("the socket is there");
                format!("{:o}", socket.permissions().mode() & 0o777)
            }
            Act::Process => self.process(),
        }
    }

    /// A client of an address that is listened on.
    fn client_of(&mut self, address: &str, source: Option<&str>) -> Client {
        let begun = Instant::now();
        // In front of TCP every connection takes a turn, so the one that found somebody is used.
        let found = loop {
            if let Ok(stream) = TcpStream::connect(address) {
                break stream;
            }
            let ended = self.proxy.try_wait().expect("a child can be asked");
            assert!(
                ended.is_none() && begun.elapsed() < PATIENCE,
                "nobody listens at {address}\n{}",
                told()
            );
            thread::sleep(PAUSE);
        };
        match source {
            None => {
                let mut client = Client::new(address);
                client.adopt(found);
                client
            }
            Some(source) => {
                let to: SocketAddr = address.parse().expect("the script has an address");
                let from: SocketAddr = format!("{source}:0").parse().expect("it is an address");
                Client::connecting_by(Box::new(move || connect_from(from, to)))
            }
        }
    }

    /// Sends a request, and waits no longer than until a server has it.
    fn hold(&mut self, bytes: &[u8]) -> String {
        let before = BEGUN.load(Ordering::SeqCst);
        let mut stream = self.client.connect();
        stream.write_all(bytes).expect("the proxy reads");
        self.held.push(stream);
        let begun = Instant::now();
        while BEGUN.load(Ordering::SeqCst) == before {
            assert!(begun.elapsed() < PATIENCE, "no server got it\n{}", told());
            thread::sleep(PAUSE);
        }
        String::new()
    }

    fn until(&mut self, bytes: &[u8], step: &Step) -> String {
        let begun = Instant::now();
        loop {
            self.client.reconnect();
            let text = plain(&self.client.ask(bytes));
            let is_there = |expected: &String| text.contains(expected.as_str());
            if step.expected.iter().all(is_there) {
                return text;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "`{}`: still\n{text}\n{}",
                step.text,
                told()
            );
            thread::sleep(PAUSE);
        }
    }

    fn spread(&mut self, count: usize, bytes: &[u8]) -> String {
        let mut servers = BTreeSet::new();
        for _ in 0..count {
            let text = self.client.ask(bytes);
            let named = text
                .lines()
                .find_map(|line| line.strip_prefix("x-server: "));
            servers.insert(named.unwrap_or("none").to_owned());
        }
        servers.into_iter().collect::<Vec<_>>().join(" ")
    }

    /// The first line of the log that has all that is expected. What else is in lines differs from one run to
    /// the next.
    fn log_line(&self, step: &Step) -> String {
        let begun = Instant::now();
        loop {
            let lines = self
                .world
                .log
                .lock()
                .expect("nobody panics with it")
                .clone();
            let fits = |line: &&String| step.expected.iter().all(|text| line.contains(text));
            if lines.iter().any(|line| fits(&line)) {
                return step.expected.join("\n");
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "`{}`: the log has\n{}",
                step.text,
                lines.join("\n")
            );
            thread::sleep(PAUSE);
        }
    }

    fn process(&self) -> String {
        let folder = format!("/proc/{}", self.proxy.id());
        let status = fs::read_to_string(format!("{folder}/status")).unwrap_or_default();
        let line = |name: &str| status.lines().find(|line| line.starts_with(name));
        let root = fs::read_link(format!("{folder}/root")).unwrap_or_default();
        let (user, group) = (line("Uid:"), line("Gid:"));
        format!(
            "{}\n{}\nroot {}",
            user.unwrap_or_default(),
            group.unwrap_or_default(),
            root.display()
        )
    }
}

/// What clients see, without what says how connections to servers are shared.
fn plain(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("x-reused: "));
    lines.collect::<Vec<_>>().join("\n")
}

fn connect_from(from: SocketAddr, to: SocketAddr) -> TcpStream {
    let socket: OwnedFd =
        socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket can be made");
    bind(&socket, &from).expect("the address is this machine's");
    connect(&socket, &to).expect("the proxy listens");
    TcpStream::from(socket)
}

/// What the socket for commands answers, without what is never the same twice.
fn run(path: &str, command: &str) -> String {
    let mut stream = UnixStream::connect(path).expect("the socket is there");
    stream
        .write_all(format!("{command}\n").as_bytes())
        .expect("commands are read");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .expect("the answer is text");
    answer.trim_end().to_owned()
}
