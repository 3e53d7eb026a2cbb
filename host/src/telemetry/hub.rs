//! From workers to sinks. A worker formats a line into a buffer of its own and goes on; one thread
//! collects the buffers and writes them. A target that is too slow costs lines, never time.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use super::{
    access::{AccessRecord, format_httplog},
    date::Dates,
    handshake::{self, FailedHandshake},
    json::{format_event, format_json},
    sink::{LogError, Sink},
    text::push_line,
};
use crate::config::{LogFormat, LogLevel, LogTarget};

/// A worker's lines that are not yet written may take so much; more are dropped.
const MOST_WAITING: usize = 1 << 20;
/// Changes of state that may wait.
const MOST_EVENTS: usize = 4_096;
/// After the first line the thread waits this long for more, so that a busy proxy writes large
/// batches and an idle one sleeps.
const GATHER: Duration = Duration::from_millis(5);
/// Lost lines are told of so often at most.
const LOSSES_EVERY: Duration = Duration::from_secs(10);
/// How long the last lines may take when the proxy ends.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// All log targets and the thread that writes to them. Dropping it writes what is waiting.
pub struct LogHub {
    shared: Arc<Shared>,
    ended: Mutex<mpsc::Receiver<()>>,
}

/// What workers and the log thread share.
struct Shared {
    /// Set by whoever left something to do, cleared by the thread before it looks.
    awake: AtomicBool,
    thread: Mutex<Option<thread::Thread>>,
    stop: AtomicBool,
    reopen: AtomicBool,
    wants_httplog: AtomicBool,
    wants_json: AtomicBool,
    dropped: AtomicU64,
    queues: Mutex<Vec<Arc<Mutex<Lines>>>>,
    events: Mutex<Vec<Event>>,
    next_targets: Mutex<Option<Vec<Target>>>,
}

/// Formatted exchanges, in the forms that some target wants.
#[derive(Debug, Default)]
struct Lines {
    httplog: Vec<u8>,
    json: Vec<u8>,
}

struct Event {
    level: LogLevel,
    at: SystemTime,
    text: String,
}

struct Target {
    sink: Sink,
    format: LogFormat,
    level: LogLevel,
}

impl LogHub {
    /// Opens the targets and starts the thread.
    ///
    /// # Errors
    /// If a file cannot be opened. A syslog socket that is missing is no error: it is tried again.
    pub fn open(targets: &[LogTarget]) -> Result<Self, LogError> {
        let opened = open_all(targets)?;
        let shared = Arc::new(Shared {
            awake: AtomicBool::new(false),
            thread: Mutex::default(),
            stop: AtomicBool::new(false),
            reopen: AtomicBool::new(false),
            wants_httplog: AtomicBool::new(false),
            wants_json: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
            queues: Mutex::default(),
            events: Mutex::default(),
            next_targets: Mutex::default(),
        });
        shared.note_formats(&opened);
        let (done, ended) = mpsc::channel();
        let of_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                of_thread.run(opened);
                // Nobody may be waiting any more.
                let _ = done.send(());
            })
            .map_err(|source| LogError::Thread { source })?;
        *lock(&shared.thread) = Some(thread.thread().clone());
        Ok(Self {
            shared,
            ended: Mutex::new(ended),
        })
    }

    /// A worker's end. Lines of one writer stay in order.
    pub fn writer(&self) -> LogWriter {
        let lines = Arc::default();
        lock(&self.shared.queues).push(Arc::clone(&lines));
        LogWriter {
            shared: Arc::clone(&self.shared),
            lines,
            dates: Dates::default(),
        }
    }

    /// Tells a change of state, such as a server that went down, to the targets that want `level`.
    pub fn event(&self, level: LogLevel, text: impl Into<String>) {
        let mut events = lock(&self.shared.events);
        if events.len() >= MOST_EVENTS {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        events.push(Event {
            level,
            at: SystemTime::now(),
            text: text.into(),
        });
        drop(events);
        self.shared.wake();
    }

    /// Opens log files anew, for after they were renamed.
    pub fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
        self.shared.wake();
    }

    /// Writes to `targets` from now on; what was logged before may still go to the old ones.
    ///
    /// # Errors
    /// If a file cannot be opened. Then nothing changes.
    pub fn replace(&self, targets: &[LogTarget]) -> Result<(), LogError> {
        let opened = open_all(targets)?;
        self.shared.note_formats(&opened);
        *lock(&self.shared.next_targets) = Some(opened);
        self.shared.wake();
        Ok(())
    }

    /// Lines lost so far because a target was too slow or failed.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for LogHub {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.wake();
        // A target that takes nothing must not keep the process from ending.
        let _ = lock(&self.ended).recv_timeout(LAST_WORDS);
    }
}

impl fmt::Debug for LogHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogHub")
            .field("dropped", &self.dropped())
            .finish_non_exhaustive()
    }
}

fn open_all(targets: &[LogTarget]) -> Result<Vec<Target>, LogError> {
    targets
        .iter()
        .map(|target| {
            Ok(Target {
                sink: Sink::open(&target.to, target.facility)?,
                format: target.format,
                level: target.level,
            })
        })
        .collect()
}

/// What the lock guards is whole at any time, so a panic elsewhere does not matter.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn wake(&self) {
        if !self.awake.swap(true, Ordering::AcqRel)
            && let Some(thread) = &*lock(&self.thread)
        {
            thread.unpark();
        }
    }

    fn note_formats(&self, targets: &[Target]) {
        let wanted = |format| {
            targets
                .iter()
                .any(|target| target.format == format && target.level >= LogLevel::Info)
        };
        self.wants_httplog
            .store(wanted(LogFormat::HttpLog), Ordering::Release);
        self.wants_json
            .store(wanted(LogFormat::Json), Ordering::Release);
    }

    fn run(&self, mut targets: Vec<Target>) {
        let mut dates = Dates::default();
        let mut lines = Lines::default();
        let mut losses = Losses::default();
        loop {
            let stop = self.stop.load(Ordering::Acquire);
            if !stop && !self.awake.load(Ordering::Acquire) {
                // Wakes up by itself too, since `open` may not have told its name yet.
                thread::park_timeout(Duration::from_secs(1));
                if !self.awake.load(Ordering::Acquire) {
                    continue;
                }
            }
            if !stop {
                thread::sleep(GATHER);
            }
            // Whatever is left from here on sets it again.
            self.awake.store(false, Ordering::Release);
            if let Some(next) = lock(&self.next_targets).take() {
                targets = next;
            }
            if self.reopen.swap(false, Ordering::AcqRel) {
                for target in &mut targets {
                    target.sink.reopen();
                }
            }
            self.write_lines(&mut targets, &mut lines, &mut dates);
            self.write_events(&mut targets, &mut dates);
            losses.tell(self.dropped.load(Ordering::Relaxed), stop);
            if stop {
                return;
            }
        }
    }

    fn write_lines(&self, targets: &mut [Target], lines: &mut Lines, dates: &mut Dates) {
        let queues = {
            let mut queues = lock(&self.queues);
            // A writer that is gone has left its last lines, and nobody else holds its queue.
            queues.retain(|queue| Arc::strong_count(queue) > 1 || !lock(queue).is_empty());
            queues.clone()
        };
        for queue in &queues {
            lines.httplog.clear();
            lines.json.clear();
            std::mem::swap(&mut *lock(queue), lines);
            for target in targets.iter_mut() {
                let bytes = match target.format {
                    LogFormat::HttpLog => &lines.httplog,
                    LogFormat::Json => &lines.json,
                };
                if bytes.is_empty() || target.level < LogLevel::Info {
                    continue;
                }
                let lost = target.sink.write(bytes, LogLevel::Info, dates);
                self.dropped.fetch_add(lost as u64, Ordering::Relaxed);
            }
        }
    }

    fn write_events(&self, targets: &mut [Target], dates: &mut Dates) {
        let events = std::mem::take(&mut *lock(&self.events));
        let mut line = Vec::new();
        for event in &events {
            for target in targets.iter_mut() {
                if target.level < event.level {
                    continue;
                }
                line.clear();
                match target.format {
                    LogFormat::HttpLog => push_line(&mut line, &event.text),
                    LogFormat::Json => {
                        format_event(event.level, &event.text, event.at, dates, &mut line);
                    }
                }
                line.push(b'\n');
                let lost = target.sink.write(&line, event.level, dates);
                self.dropped.fetch_add(lost as u64, Ordering::Relaxed);
            }
        }
    }
}

/// Tells of lost lines, and not with each of them: the disk that is full is often the one that this goes to.
#[derive(Debug, Default)]
struct Losses {
    told: u64,
    at: Option<Instant>,
}

impl Losses {
    fn tell(&mut self, dropped: u64, at_last: bool) {
        let lines = dropped - self.told;
        let due = self.at.is_none_or(|at| at.elapsed() >= LOSSES_EVERY);
        if lines > 0 && (due || at_last) {
            tracing::warn!(lines, "log lines were lost");
            self.told = dropped;
            self.at = Some(Instant::now());
        }
    }
}

impl Lines {
    fn is_empty(&self) -> bool {
        self.httplog.is_empty() && self.json.is_empty()
    }
}

/// What one worker writes its exchanges to.
pub struct LogWriter {
    shared: Arc<Shared>,
    /// Held by the log thread only while it takes the buffers, so a worker hardly ever waits.
    lines: Arc<Mutex<Lines>>,
    dates: Dates,
}

impl LogWriter {
    /// Whether any target takes lines about exchanges.
    pub fn is_wanted(&self) -> bool {
        self.shared.wants_httplog.load(Ordering::Relaxed)
            || self.shared.wants_json.load(Ordering::Relaxed)
    }

    /// Logs an exchange. Never blocks for a target: if they are too slow, the line is dropped and
    /// counted.
    pub fn write(&mut self, record: &AccessRecord<'_>) {
        self.write_as(
            |dates, out| format_httplog(record, dates, out),
            |dates, out| format_json(record, dates, out),
        );
    }

    /// Logs a handshake that came to nothing, as [`write`](Self::write) does.
    pub fn write_handshake(&mut self, failed: &FailedHandshake<'_>) {
        self.write_as(
            |dates, out| handshake::format_httplog(failed, dates, out),
            |dates, out| handshake::format_json(failed, dates, out),
        );
    }

    fn write_as(
        &mut self,
        as_httplog: impl FnOnce(&mut Dates, &mut Vec<u8>),
        as_json: impl FnOnce(&mut Dates, &mut Vec<u8>),
    ) {
        let httplog = self.shared.wants_httplog.load(Ordering::Acquire);
        let json = self.shared.wants_json.load(Ordering::Acquire);
        if !httplog && !json {
            return;
        }
        let mut lines = lock(&self.lines);
        if lines.httplog.len().max(lines.json.len()) >= MOST_WAITING {
            drop(lines);
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if httplog {
            as_httplog(&mut self.dates, &mut lines.httplog);
            lines.httplog.push(b'\n');
        }
        if json {
            as_json(&mut self.dates, &mut lines.json);
            lines.json.push(b'\n');
        }
        drop(lines);
        self.shared.wake();
    }
}

impl fmt::Debug for LogWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogWriter").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixDatagram, path::Path};

    use super::*;
    use crate::{
        config::{Facility, LogSink},
        telemetry::access::tests::record,
    };

    fn target(to: LogSink, format: LogFormat, level: LogLevel) -> LogTarget {
        LogTarget {
            to,
            format,
            facility: Facility(16),
            level,
        }
    }

    fn file(path: &Path, format: LogFormat, level: LogLevel) -> LogTarget {
        target(LogSink::File(path.to_owned()), format, level)
    }

    /// What is in the file once the hub is gone.
    fn lines_of(path: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn every_target_gets_its_form_and_its_severities() {
        let folder = tempfile::tempdir().unwrap();
        let [all, json, severe] = ["all", "json", "severe"].map(|name| folder.path().join(name));
        let hub = LogHub::open(&[
            file(&all, LogFormat::HttpLog, LogLevel::Info),
            file(&json, LogFormat::Json, LogLevel::Info),
            file(&severe, LogFormat::HttpLog, LogLevel::Notice),
        ])
        .unwrap();
        let mut writer = hub.writer();
        writer.write(&record());
        hub.event(LogLevel::Alert, "Server b/a is DOWN");
        hub.event(LogLevel::Debug, "nobody wants this");
        drop(hub);

        let all = lines_of(&all);
        assert_eq!(all.len(), 2);
        assert!(all[0].ends_with("\"GET /x?y HTTP/1.1\""), "{all:?}");
        assert_eq!(all[1], "Server b/a is DOWN");
        let json = lines_of(&json);
        assert_eq!(json.len(), 2);
        assert!(json[1].contains("\"level\":\"alert\""), "{json:?}");
        assert_eq!(lines_of(&severe), ["Server b/a is DOWN"]);
    }

    #[test]
    fn a_line_is_written_soon_without_anything_following_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let daemon = UnixDatagram::bind(&path).unwrap();
        daemon
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let to = target(
            LogSink::SyslogUnix(path),
            LogFormat::HttpLog,
            LogLevel::Info,
        );
        let hub = LogHub::open(&[to]).unwrap();
        hub.writer().write(&record());
        let mut bytes = [0; 1_024];
        let length = daemon.recv(&mut bytes).unwrap();
        assert!(bytes[..length].starts_with(b"<134>"));
    }

    #[test]
    fn lines_of_many_writers_all_arrive_and_each_ones_in_order() {
        const EACH: u64 = 2_000;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let hub = LogHub::open(&[file(&path, LogFormat::Json, LogLevel::Info)]).unwrap();
        thread::scope(|scope| {
            for name in ["a", "b", "c"] {
                let mut writer = hub.writer();
                scope.spawn(move || {
                    for bytes in 0..EACH {
                        writer.write(&AccessRecord {
                            frontend: name,
                            bytes,
                            ..record()
                        });
                    }
                });
            }
        });
        let dropped = hub.dropped();
        drop(hub);
        let mut next = std::collections::HashMap::from([("a", 0), ("b", 0), ("c", 0)]);
        let mut count = 0;
        for line in lines_of(&path) {
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            let expected = next.get_mut(line["frontend"].as_str().unwrap()).unwrap();
            assert!(line["bytes"].as_u64().unwrap() >= *expected);
            *expected = line["bytes"].as_u64().unwrap() + 1;
            count += 1;
        }
        assert_eq!(count + dropped, 3 * EACH);
    }

    #[test]
    fn a_target_that_takes_nothing_costs_lines_but_no_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        // Its buffer is soon full, since nobody reads.
        let _daemon = UnixDatagram::bind(&path).unwrap();
        let to = target(
            LogSink::SyslogUnix(path),
            LogFormat::HttpLog,
            LogLevel::Info,
        );
        let hub = LogHub::open(&[to]).unwrap();
        let mut writer = hub.writer();
        let begun = Instant::now();
        for _ in 0..30_000 {
            writer.write(&record());
        }
        assert!(begun.elapsed() < Duration::from_secs(10));
        assert!(hub.dropped() > 0);
    }

    #[test]
    fn new_targets_take_over() {
        let folder = tempfile::tempdir().unwrap();
        let [old, new] = ["old", "new"].map(|name| folder.path().join(name));
        let hub = LogHub::open(&[file(&old, LogFormat::HttpLog, LogLevel::Info)]).unwrap();
        hub.replace(&[file(&new, LogFormat::Json, LogLevel::Info)])
            .unwrap();
        hub.writer().write(&record());
        let missing = file(Path::new("/no/such/x"), LogFormat::Json, LogLevel::Info);
        assert!(hub.replace(&[missing]).is_err());
        hub.event(LogLevel::Notice, "still here");
        drop(hub);
        assert_eq!(lines_of(&new).len(), 2);
        assert!(lines_of(&old).is_empty());
    }
}
