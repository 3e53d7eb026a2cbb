//! A world for one configuration: what it names is there, and nobody outside notices. Made by a process that is
//! alone in its namespaces.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixDatagram},
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use super::{script::Site, server::Server};

/// What is there.
#[derive(Default)]
pub struct World {
    pub servers: Vec<Server>,
    /// What was written to the system's log.
    pub log: Arc<Mutex<Vec<String>>>,
}

/// Where the machines of `machine` are reached from.
const HERE: &str = "10.0.0.1/24";

/// Whether this machine lets us make namespaces.
pub fn can_be_made() -> Result<(), String> {
    let trial = "mount -t tmpfs tmpfs /run && mkdir /run/netns && ip netns add trial && ip link add to-trial type veth peer name eth0 netns trial";
    let output = Command::new("unshare")
        .args(["--net", "--mount", "--pid", "--fork", "--kill-child"])
        .args(["sh", "-c", trial])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("`unshare` cannot be started: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

impl World {
    pub fn make(site: &Site) -> Self {
        let mut world = Self::default();
        run("ip", &["link", "set", "lo", "up"]);
        empty_folder("/run");
        for folder in ["/run/netns", "/run/haproxy"] {
            fs::create_dir(folder).expect("a folder can be made in an empty one");
        }
        let mut names = "127.0.0.1 localhost\n".to_owned();
        for words in &site.world {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            match words.as_slice() {
                ["address", address] => {
                    run("ip", &["address", "add", address, "dev", "lo"]);
                }
                ["name", name] => names.push_str(&format!("127.0.0.1 {name}\n")),
                ["namespace", name] => namespace(name),
                ["machine", name, address] => machine(name, address),
                ["file", path, text] => file(Path::new(path), text),
                ["syslog"] => world.listen_to_the_log(),
                ["server", name, address] => world.servers.push(Server::new(name, address, None)),
                ["server", name, address, inside] => {
                    world.servers.push(Server::new(name, address, Some(inside)));
                }
                other => panic!("{other:?} has no meaning"),
            }
        }
        fs::write("/run/hosts", names).expect("a file can be written");
        run("mount", &["--bind", "/run/hosts", "/etc/hosts"]);
        world.servers.iter_mut().for_each(Server::start);
        world
    }

    pub fn server(&mut self, name: &str) -> &mut Server {
        let found = self.servers.iter_mut().find(|server| server.name == name);
        found.expect("the script names servers that there are")
    }

    /// Where programs write to the log, before and after they have changed their root.
    fn listen_to_the_log(&mut self) {
        let dev = Path::new("/run/dev");
        fs::create_dir(dev).expect("a folder can be made");
        for device in ["null", "zero", "random", "urandom"] {
            let (from, to) = (format!("/dev/{device}"), dev.join(device));
            fs::write(&to, "").expect("a file can be made");
            run("mount", &["--bind", &from, &to.to_string_lossy()]);
        }
        run("mount", &["--rbind", "/run/dev", "/dev"]);
        let root = Path::new("/var/lib/haproxy");
        empty_folder("/var/lib/haproxy");
        fs::create_dir(root.join("dev")).expect("a folder can be made");
        for path in ["/dev/log", "/var/lib/haproxy/dev/log"] {
            let socket = UnixDatagram::bind(path).expect("nobody else reads the log");
            let everybody = fs::Permissions::from_mode(0o666);
            fs::set_permissions(path, everybody).expect("it is ours");
            let lines = Arc::clone(&self.log);
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(size) = socket.recv(&mut buffer) {
                    let line = String::from_utf8_lossy(&buffer[..size]).into_owned();
                    lines.lock().expect("nobody panics with it").push(line);
                }
            });
        }
    }
}

fn namespace(name: &str) {
    run("ip", &["netns", "add", name]);
    run("ip", &["-n", name, "link", "set", "lo", "up"]);
}

fn machine(name: &str, address: &str) {
    namespace(name);
    let peer = ["peer", "name", "eth0", "netns", name];
    let link = ["link", "add", "to-there", "type", "veth"];
    run("ip", &[link.as_slice(), peer.as_slice()].concat());
    run("ip", &["address", "add", HERE, "dev", "to-there"]);
    run("ip", &["link", "set", "to-there", "up"]);
    let address = format!("{address}/24");
    run(
        "ip",
        &["-n", name, "address", "add", &address, "dev", "eth0"],
    );
    run("ip", &["-n", name, "link", "set", "eth0", "up"]);
}

/// A file below a folder of the machine, which is empty otherwise.
fn file(path: &Path, text: &str) {
    let mut parents = path.ancestors().skip(1);
    let there = parents.find(|folder| folder.is_dir());
    let there = there.expect("there is a root").to_string_lossy();
    empty_folder(&there);
    let folder = path.parent().expect("a file is in a folder");
    fs::create_dir_all(folder).expect("a folder can be made in an empty one");
    fs::write(path, format!("{text}\n")).expect("a file can be written");
}

fn empty_folder(path: &str) {
    run("mount", &["-t", "tmpfs", "tmpfs", path]);
}

fn run(program: &str, words: &[&str]) {
    let output = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("`{program}` cannot be started: {error}"));
    assert!(
        output.status.success(),
        "{program} {words:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
