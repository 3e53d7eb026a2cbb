//! Where lines go: streams, files, syslog. Used by the log thread alone, which may block here; workers
//! never do.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    os::{
        fd::AsFd,
        unix::{fs::OpenOptionsExt, net::UnixDatagram},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use rustix::fs::OFlags;
use tracing::warn;

use super::{date::Dates, text::push_number};
use crate::config::{Facility, LogLevel, LogSink};

/// A log target cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("log file {} cannot be opened", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("standard output or error is not open")]
    Stream { source: io::Error },
    #[error("no socket can be made for syslog")]
    Socket { source: io::Error },
    #[error("the log thread cannot be started")]
    Thread { source: io::Error },
}

/// After a failure a syslog socket is not tried again for so long.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);
/// A reader that takes nothing for so long loses the batch.
const STALLED_AFTER: Duration = Duration::from_secs(1);

/// An open target.
#[derive(Debug)]
pub(super) struct Sink {
    name: String,
    out: Out,
    /// Whether the last write failed; a run of failures gives one warning.
    failing: bool,
    /// The last write stopped within a line.
    torn: bool,
}

#[derive(Debug)]
enum Out {
    /// A copy of the descriptor: unlike `io::Stdout` it has no lock and no buffer.
    Stream(File),
    File {
        path: PathBuf,
        file: File,
    },
    Syslog(Syslog),
}

impl Sink {
    pub fn open(to: &LogSink, facility: Facility) -> Result<Self, LogError> {
        let stream = |fd: io::Result<std::os::fd::OwnedFd>| {
            fd.map(|fd| Out::Stream(fd.into()))
                .map_err(|source| LogError::Stream { source })
        };
        let (name, out) = match to {
            LogSink::Stdout => (
                "stdout".to_owned(),
                stream(io::stdout().as_fd().try_clone_to_owned())?,
            ),
            LogSink::Stderr => (
                "stderr".to_owned(),
                stream(io::stderr().as_fd().try_clone_to_owned())?,
            ),
            LogSink::File(path) => {
                let file = append_to(path).map_err(|source| LogError::Open {
                    path: path.clone(),
                    source,
                })?;
                let path = path.clone();
                (format!("file:{}", path.display()), Out::File { path, file })
            }
            LogSink::SyslogUnix(path) => (
                format!("syslog:{}", path.display()),
                Out::Syslog(Syslog::new(Peer::Unix(path.clone()), facility)),
            ),
            LogSink::SyslogUdp(socket) => (
                format!("syslog:udp://{socket}"),
                Out::Syslog(Syslog::new(Peer::Udp(*socket), facility)),
            ),
        };
        Ok(Self {
            name,
            out,
            failing: false,
            torn: false,
        })
    }

    /// Writes whole lines, each ending with a line feed. Answers how many were lost.
    pub fn write(&mut self, lines: &[u8], level: LogLevel, dates: &mut Dates) -> usize {
        let (lost, result) = match &mut self.out {
            Out::Stream(file) | Out::File { file, .. } => {
                let (written, result) = write_lines(file, &mut self.torn, lines);
                (
                    memchr::memchr_iter(b'\n', &lines[written..]).count(),
                    result,
                )
            }
            Out::Syslog(syslog) => syslog.write(lines, level, dates),
        };
        match result {
            Ok(()) => self.failing = false,
            Err(error) if !self.failing => {
                self.failing = true;
                warn!(target = %self.name, %error, "log lines are being lost");
            }
            Err(_) => {}
        }
        lost
    }

    /// Opens a file anew, for after it was renamed. If that fails, the old one is kept.
    pub fn reopen(&mut self) {
        let Out::File { path, file } = &mut self.out else {
            return;
        };
        match append_to(path) {
            Ok(new) => *file = new,
            Err(error) => warn!(target = %self.name, %error, "the log file stays the old one"),
        }
    }
}

/// A named pipe is not waited for until somebody reads from it.
fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
}

/// Writes lines behind a line end of their own if the last write was `torn`. Answers how many bytes of them
/// were taken.
fn write_lines(file: &mut File, torn: &mut bool, lines: &[u8]) -> (usize, io::Result<()>) {
    if *torn {
        let (_, ended) = write_all(file, b"\n");
        if ended.is_err() {
            return (0, ended);
        }
        *torn = false;
    }
    let (written, result) = write_all(file, lines);
    *torn = written > 0 && lines[written - 1] != b'\n';
    (written, result)
}

/// Like `Write::write_all`, but also for descriptors that do not block, and says how much was taken.
fn write_all(file: &mut File, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut since = Instant::now();
    let mut taken = 0;
    while taken < bytes.len() {
        match file.write(&bytes[taken..]) {
            Ok(0) => return (taken, Err(io::ErrorKind::WriteZero.into())),
            Ok(written) => {
                taken += written;
                since = Instant::now();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if since.elapsed() > STALLED_AFTER {
                    return (taken, Err(error));
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return (taken, Err(error)),
        }
    }
    (taken, Ok(()))
}

/// One datagram per line: `<134>Nov 21 01:59:41 weir[328]: …`.
#[derive(Debug)]
struct Syslog {
    peer: Peer,
    facility: Facility,
    socket: Option<Socket>,
    tried: Option<Instant>,
    datagram: Vec<u8>,
}

#[derive(Debug)]
enum Peer {
    Unix(PathBuf),
    Udp(SocketAddr),
}

#[derive(Debug)]
enum Socket {
    Unix(UnixDatagram),
    Udp(UdpSocket),
}

impl Syslog {
    fn new(peer: Peer, facility: Facility) -> Self {
        Self {
            peer,
            facility,
            socket: None,
            tried: None,
            datagram: Vec::new(),
        }
    }

    fn write(
        &mut self,
        lines: &[u8],
        level: LogLevel,
        dates: &mut Dates,
    ) -> (usize, io::Result<()>) {
        let now = SystemTime::now();
        let mut lost = 0;
        let mut result = Ok(());
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            self.datagram.clear();
            push_priority(&mut self.datagram, self.facility, level);
            dates.push_syslog(&mut self.datagram, now);
            self.datagram.extend_from_slice(b" weir[");
            push_number(&mut self.datagram, u64::from(std::process::id()));
            self.datagram.extend_from_slice(b"]: ");
            self.datagram.extend_from_slice(line);
            if let Err(error) = self.send() {
                lost += 1;
                result = Err(error);
            }
        }
        (lost, result)
    }

    fn send(&mut self) -> io::Result<()> {
        if self.socket.is_none() {
            if self.tried.is_some_and(|at| at.elapsed() < RECONNECT_AFTER) {
                return Err(io::ErrorKind::NotConnected.into());
            }
            self.tried = Some(Instant::now());
            self.socket = Some(self.peer.connect()?);
        }
        let sent = match &self.socket {
            Some(Socket::Unix(socket)) => socket.send(&self.datagram),
            Some(Socket::Udp(socket)) => socket.send(&self.datagram),
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        match sent {
            Ok(_) => Ok(()),
            Err(error) => {
                // A line that is too long says nothing about the socket.
                if error.raw_os_error() != Some(rustix::io::Errno::MSGSIZE.raw_os_error()) {
                    self.socket = None;
                    self.tried = Some(Instant::now());
                }
                Err(error)
            }
        }
    }
}

impl Peer {
    fn connect(&self) -> io::Result<Socket> {
        match self {
            Self::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                socket.set_write_timeout(Some(STALLED_AFTER))?;
                Ok(Socket::Unix(socket))
            }
            Self::Udp(to) => {
                let from: SocketAddr = if to.is_ipv4() {
                    (Ipv4Addr::UNSPECIFIED, 0).into()
                } else {
                    (Ipv6Addr::UNSPECIFIED, 0).into()
                };
                let socket = UdpSocket::bind(from)?;
                socket.connect(to)?;
                Ok(Socket::Udp(socket))
            }
        }
    }
}

fn push_priority(out: &mut Vec<u8>, facility: Facility, level: LogLevel) {
    out.push(b'<');
    push_number(out, u64::from(facility.0) * 8 + level as u64);
    out.push(b'>');
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use jiff::tz::TimeZone;

    use super::*;

    fn dates() -> Dates {
        Dates::in_zone(TimeZone::UTC)
    }

    #[test]
    fn priorities_are_those_of_rfc_3164() {
        for (facility, level, expected) in [
            (16, LogLevel::Info, "<134>"),
            (16, LogLevel::Notice, "<133>"),
            (16, LogLevel::Alert, "<129>"),
            (16, LogLevel::Emerg, "<128>"),
            (17, LogLevel::Notice, "<141>"),
            (0, LogLevel::Debug, "<7>"),
        ] {
            let mut out = Vec::new();
            push_priority(&mut out, Facility(facility), level);
            assert_eq!(out, expected.as_bytes());
        }
    }

    #[test]
    fn every_line_is_a_datagram_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let daemon = UnixDatagram::bind(&path).unwrap();
        daemon
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let mut sink = Sink::open(&LogSink::SyslogUnix(path), Facility(16)).unwrap();
        assert_eq!(sink.write(b"one\ntwo\n", LogLevel::Info, &mut dates()), 0);
        for expected in ["one\n", "two\n"] {
            let mut bytes = [0; 1_024];
            let length = daemon.recv(&mut bytes).unwrap();
            let text = std::str::from_utf8(&bytes[..length]).unwrap();
            assert!(text.starts_with("<134>"), "{text}");
            let tag = format!(" weir[{}]: {expected}", std::process::id());
            assert!(text.ends_with(&tag), "{text}");
            // `<134>` + `Nov 21 01:59:41`
            assert_eq!(text.len(), 5 + 15 + tag.len(), "{text}");
        }
    }

    #[test]
    fn udp_works_too() {
        let daemon = UdpSocket::bind("127.0.0.1:0").unwrap();
        daemon
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let to = LogSink::SyslogUdp(daemon.local_addr().unwrap());
        let mut sink = Sink::open(&to, Facility(17)).unwrap();
        assert_eq!(sink.write(b"x\n", LogLevel::Notice, &mut dates()), 0);
        let mut bytes = [0; 1_024];
        let length = daemon.recv(&mut bytes).unwrap();
        assert!(bytes[..length].starts_with(b"<141>"));
    }

    #[test]
    fn a_missing_daemon_loses_lines_until_it_comes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut sink = Sink::open(&LogSink::SyslogUnix(path.clone()), Facility(16)).unwrap();
        assert_eq!(sink.write(b"a\nb\n", LogLevel::Info, &mut dates()), 2);

        let daemon = UnixDatagram::bind(&path).unwrap();
        let Out::Syslog(syslog) = &mut sink.out else {
            panic!("a syslog sink was opened");
        };
        syslog.tried = None;
        assert_eq!(sink.write(b"c\n", LogLevel::Info, &mut dates()), 0);
        let mut bytes = [0; 1_024];
        let length = daemon.recv(&mut bytes).unwrap();
        assert!(bytes[..length].ends_with(b": c\n"));
    }

    #[test]
    fn a_renamed_file_is_left_behind_when_reopened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let moved = folder.path().join("access.log.1");
        let mut sink = Sink::open(&LogSink::File(path.clone()), Facility(16)).unwrap();
        sink.write(b"before\n", LogLevel::Info, &mut dates());
        std::fs::rename(&path, &moved).unwrap();
        sink.write(b"still before\n", LogLevel::Info, &mut dates());
        sink.reopen();
        sink.write(b"after\n", LogLevel::Info, &mut dates());
        assert_eq!(std::fs::read(&moved).unwrap(), b"before\nstill before\n");
        assert_eq!(std::fs::read(&path).unwrap(), b"after\n");
    }

    #[test]
    fn a_line_that_was_cut_off_is_not_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap();
        // Nobody reads, and that is not waited for.
        let missing = Sink::open(&LogSink::File(path.clone()), Facility(16));
        assert!(matches!(missing, Err(LogError::Open { .. })));

        let mut reader = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        let mut sink = Sink::open(&LogSink::File(path), Facility(16)).unwrap();
        let line = [b"x".repeat(999), b"\n".to_vec()].concat();
        let lost = sink.write(&line.repeat(100), LogLevel::Info, &mut dates());
        let mut taken = vec![0; (100 - lost) * 1_000];
        reader.read_exact(&mut taken).unwrap();
        assert!(lost > 0 && taken.ends_with(b"x\n"), "{lost} lines");

        assert_eq!(sink.write(b"after\n", LogLevel::Info, &mut dates()), 0);
        let mut rest = vec![0; 1_100];
        let length = reader.read(&mut rest).unwrap();
        let rest = str::from_utf8(&rest[..length]).unwrap();
        let (torn, after) = rest.split_once('\n').unwrap();
        assert!(!torn.is_empty() && torn.len() < 999, "{torn}");
        assert_eq!(after, "after\n");
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let error = Sink::open(&LogSink::File("/no/such/folder/x.log".into()), Facility(16));
        let error = error.unwrap_err().to_string();
        assert_eq!(error, "log file /no/such/folder/x.log cannot be opened");
    }
}
