//! A server of names on loopback that says what it is told to say.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{net::UdpSocket, task::JoinHandle};

/// Answers questions for IPv4 addresses over UDP. Dropping it closes its port.
pub struct NameServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    says: Mutex<BTreeMap<String, Says>>,
    questions: AtomicUsize,
}

/// What is said about a name. Of a name that nothing is said about there is no such name.
#[derive(Debug, Clone, Default)]
enum Says {
    Addresses {
        all: Vec<Ipv4Addr>,
        seconds: u32,
    },
    #[default]
    NoSuchName,
    /// Server failure.
    Failure,
    Nothing,
}

/// Codes of RFC 1035.
const NO_SUCH_NAME: u8 = 3;
const SERVER_FAILURE: u8 = 2;
const TYPE_A: [u8; 2] = [0, 1];

impl NameServer {
    pub async fn start() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("loopback has free ports");
        let address = socket.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(serve(socket, Arc::clone(&shared)));
        Self {
            address,
            shared,
            task,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on `name` has these addresses, each answer being valid for so many seconds.
    pub fn set(&self, name: &str, addresses: &[Ipv4Addr], seconds: u32) {
        self.say(
            name,
            Says::Addresses {
                all: addresses.to_vec(),
                seconds,
            },
        );
    }

    /// From now on it is denied that there is such a name.
    pub fn deny(&self, name: &str) {
        self.say(name, Says::NoSuchName);
    }

    /// From now on questions about it fail.
    pub fn fail(&self, name: &str) {
        self.say(name, Says::Failure);
    }

    /// From now on questions about it get no answer.
    pub fn be_silent_about(&self, name: &str) {
        self.say(name, Says::Nothing);
    }

    /// How many questions have come so far.
    pub fn questions(&self) -> usize {
        self.shared.questions.load(Ordering::SeqCst)
    }

    fn say(&self, name: &str, says: Says) {
        lock(&self.shared.says).insert(name.to_owned(), says);
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(socket: UdpSocket, shared: Arc<Shared>) {
    let mut buffer = [0; 1500];
    loop {
        let Ok((length, client)) = socket.recv_from(&mut buffer).await else {
            return;
        };
        shared.questions.fetch_add(1, Ordering::SeqCst);
        if let Some(answer) = answer(&buffer[..length], &shared) {
            // A client that is gone needs no answer.
            let _ = socket.send_to(&answer, client).await;
        }
    }
}

/// Reads the one question of a message (RFC 1035 §4.1) and answers it.
fn answer(message: &[u8], shared: &Shared) -> Option<Vec<u8>> {
    let (head, rest) = message.split_at_checked(12)?;
    let mut name = Vec::new();
    let mut at = 0;
    loop {
        let length = usize::from(*rest.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        let label = rest.get(at..at + length)?;
        name.push(String::from_utf8_lossy(label).to_lowercase());
        at += length;
    }
    let question = rest.get(..at + 4)?;
    let asks_for_ipv4 = question[at..at + 2] == TYPE_A;
    let says = lock(&shared.says).get(&name.join(".")).cloned();
    let (code, addresses, seconds) = match says.unwrap_or_default() {
        Says::Addresses { all, seconds } if asks_for_ipv4 => (0, all, seconds),
        Says::Addresses { seconds, .. } => (0, Vec::new(), seconds),
        Says::NoSuchName => (NO_SUCH_NAME, Vec::new(), 0),
        Says::Failure => (SERVER_FAILURE, Vec::new(), 0),
        Says::Nothing => return None,
    };
    let mut answer = head[..2].to_vec();
    // An answer, recursion asked for and available; one question.
    answer.extend([0x81, 0x80 | code, 0, 1]);
    let count = u16::try_from(addresses.len()).expect("tests use few addresses");
    answer.extend(count.to_be_bytes());
    answer.extend([0; 4]);
    answer.extend(question);
    for address in addresses {
        // The name of the question, type A, class IN.
        answer.extend([0xc0, 12, 0, 1, 0, 1]);
        answer.extend(seconds.to_be_bytes());
        answer.extend([0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}
