//! The runtime sockets: a line of commands in, an answer out, in the words of HAProxy's stats socket. A
//! connection is closed after its answers unless it asked for a prompt.

mod commands;
mod help;
mod line;
mod maps;
mod servers;
mod show;
mod tables;

use std::{io, rc::Rc, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Semaphore,
    task::spawn_local,
    time::{sleep, timeout},
};
use tracing::{debug, info, warn};

use self::{
    commands::{Command, Kind},
    line::{BadLine, Line, is_http},
};
use super::admin::{Admin, own_socket};
use crate::{
    config::{Level, RuntimeSocket},
    net::{Listener, SharedListener, Stream},
};

const BACK_OFF: Duration = Duration::from_millis(100);
/// Longest line of commands.
const LONGEST_LINE: usize = 16 << 10;
/// Longest text that follows a command.
const LONGEST_PAYLOAD: usize = 4 << 20;
/// What is written at a time: so much must be taken within the time limit.
const PIECE: usize = 64 << 10;
/// How long somebody who still talks is listened to after the answer, so that it gets there.
const PARTING: Duration = Duration::from_secs(1);

/// Takes commands for ever.
pub async fn serve(
    admin: Rc<Admin>,
    settings: RuntimeSocket,
    listener: Rc<SharedListener>,
) -> io::Result<()> {
    let listener = Listener::register(own_socket(&listener)?)?;
    let places = Arc::new(Semaphore::new(settings.max_connections));
    let settings = Rc::new(settings);
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        let stream = match listener.accept().await {
            Ok(client) => client.stream,
            Err(error) => {
                warn!(%error, "nobody can be let in to give commands now; trying again");
                sleep(BACK_OFF).await;
                continue;
            }
        };
        let conversation = Conversation {
            admin: Rc::clone(&admin),
            stream,
            input: Vec::new(),
            ended: false,
            session: Session {
                level: settings.level,
                prompt: false,
                quit: false,
                timeout: settings.timeout,
            },
        };
        spawn_local(async move {
            let _place = place;
            if let Err(error) = conversation.hold().await {
                debug!(%error, "a connection for commands failed");
            }
        });
    }
}

/// What a connection may do, and how.
#[derive(Debug)]
struct Session {
    level: Level,
    prompt: bool,
    quit: bool,
    timeout: Duration,
}

/// A command with what it is about.
struct Asked<'a> {
    admin: &'a Admin,
    /// What follows the command's own words.
    arguments: &'a [String],
    /// The text that followed, if any was announced.
    payload: Option<&'a str>,
}

impl Asked<'_> {
    fn argument(&self, position: usize) -> &str {
        self.arguments.get(position).map_or("", String::as_str)
    }
}

struct Conversation {
    admin: Rc<Admin>,
    stream: Stream,
    /// What was read and not yet used.
    input: Vec<u8>,
    /// Nothing more will come.
    ended: bool,
    session: Session,
}

impl Conversation {
    async fn hold(mut self) -> io::Result<()> {
        while let Some(line) = self.line(LONGEST_LINE).await? {
            if is_http(&line) {
                // Somebody's web page; a command in its body must not be obeyed.
                debug!("an HTTP request came where commands are taken");
                return Ok(());
            }
            let line = match Line::read(&line) {
                Ok(line) => line,
                Err(bad) => {
                    let text = match bad {
                        BadLine::NotUtf8 => "Commands are text in UTF-8.\n",
                        BadLine::TooManyWords => "No command has so many words.\n",
                    };
                    self.answer(text.to_owned()).await?;
                    break;
                }
            };
            let payload = match line.payload {
                true => Some(self.payload().await?),
                false => None,
            };
            let last = line.commands.len() - 1;
            for (position, words) in line.commands.iter().enumerate() {
                let payload = payload.as_deref().filter(|_| position == last);
                let said = self.obey(words, payload).await;
                if self.session.quit {
                    return self.part().await;
                }
                self.answer(said).await?;
            }
            // More may have come together with this line.
            if !self.session.prompt && !self.input.contains(&b'\n') {
                break;
            }
        }
        self.part().await
    }

    /// Does what the words of a command say, and tells what came of it.
    async fn obey(&mut self, words: &[String], payload: Option<&str>) -> String {
        let level = self.session.level;
        if let Some((name, instead)) = commands::absence(words) {
            return format!("Weir has no '{name}': {instead}.\n");
        }
        let Some(command) = commands::find(words) else {
            return help::unknown(words, level);
        };
        if command.level > level {
            return "Permission denied\n".to_owned();
        }
        let admin = Rc::clone(&self.admin);
        let asked = Asked {
            admin: &admin,
            arguments: &words[command.words.len()..],
            payload,
        };
        let changes = command.level == Level::Admin || payload.is_some();
        if changes {
            info!(command = ?words.join(" "), "taken from a runtime socket");
        }
        self.run(command, &asked).await
    }

    async fn run(&mut self, command: &Command, asked: &Asked<'_>) -> String {
        match command.kind {
            Kind::AddAcl => maps::add(asked, maps::Called::Acl),
            Kind::AddMap => maps::add(asked, maps::Called::Map),
            Kind::AddServer => servers::add(asked).await,
            Kind::ClearAcl => maps::clear(asked, maps::Called::Acl),
            Kind::ClearCounters => String::new(),
            Kind::ClearMap => maps::clear(asked, maps::Called::Map),
            Kind::ClearTable => tables::clear(asked),
            Kind::CommitAcl => maps::commit(asked, maps::Called::Acl),
            Kind::CommitMap => maps::commit(asked, maps::Called::Map),
            Kind::DelAcl => maps::remove(asked, maps::Called::Acl),
            Kind::DelMap => maps::remove(asked, maps::Called::Map),
            Kind::DelServer => servers::remove(asked).await,
            Kind::DisableServer => servers::disable(asked),
            Kind::EnableServer => servers::enable(asked),
            Kind::GetAcl => maps::get(asked, maps::Called::Acl),
            Kind::GetMap => maps::get(asked, maps::Called::Map),
            Kind::GetWeight => servers::weight(asked),
            Kind::Help => help::help(asked.arguments, self.session.level),
            Kind::Operator => self.lower(Level::Operator),
            Kind::PrepareAcl => maps::prepare(asked, maps::Called::Acl),
            Kind::PrepareMap => maps::prepare(asked, maps::Called::Map),
            Kind::Prompt => {
                self.session.prompt = !self.session.prompt;
                String::new()
            }
            Kind::Quit => {
                self.session.quit = true;
                String::new()
            }
            Kind::SetMap => maps::set(asked),
            Kind::SetMaxconnFrontend => servers::limit_frontend(asked),
            Kind::SetMaxconnGlobal => servers::limit_process(asked),
            Kind::SetMaxconnServer => servers::limit(asked),
            Kind::SetServer => servers::set(asked),
            Kind::SetTable => tables::set(asked),
            Kind::SetTimeout => self.set_timeout(asked),
            Kind::SetWeight => servers::set_weight(asked, asked.argument(1)),
            Kind::ShowAcl => maps::show(asked, maps::Called::Acl),
            Kind::ShowBackend => show::backends(asked.admin),
            Kind::ShowCliLevel => format!("{}\n", self.session.level.as_str()),
            Kind::ShowCliSockets => show::sockets(asked.admin),
            Kind::ShowInfo => show::info(asked),
            Kind::ShowMap => maps::show(asked, maps::Called::Map),
            Kind::ShowServersConn => show::servers_conn(asked),
            Kind::ShowServersState => show::servers_state(asked),
            Kind::ShowStat => show::stat(asked),
            Kind::ShowTable => tables::show(asked),
            Kind::ShowVersion => format!("{}\n", env!("CARGO_PKG_VERSION")),
            Kind::ShutdownSessions => servers::end_sessions(asked),
            Kind::User => self.lower(Level::User),
        }
    }

    fn lower(&mut self, level: Level) -> String {
        self.session.level = self.session.level.min(level);
        String::new()
    }

    fn set_timeout(&mut self, asked: &Asked<'_>) -> String {
        if asked.argument(0) != "cli" {
            return "'set timeout' only supports 'cli'.\n".to_owned();
        }
        if asked.argument(1).is_empty() {
            return "Expects an integer value.\n".to_owned();
        }
        match read_delay(asked.argument(1)) {
            Some(delay) => {
                self.session.timeout = delay;
                String::new()
            }
            None => "Invalid timeout value.\n".to_owned(),
        }
    }

    /// The next line, without its end; `None` if no more comes or nothing came for too long.
    async fn line(&mut self, longest: usize) -> io::Result<Option<Vec<u8>>> {
        let mut looked_at = 0;
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.input[looked_at..]) {
                let mut line: Vec<u8> = self.input.drain(..=looked_at + end).collect();
                line.pop();
                return Ok(Some(line));
            }
            looked_at = self.input.len();
            if looked_at > longest {
                self.answer("The line is too long.\n".to_owned()).await?;
                return Err(io::ErrorKind::InvalidData.into());
            }
            if self.ended {
                let rest = std::mem::take(&mut self.input);
                return Ok((!rest.is_empty()).then_some(rest));
            }
            let mut piece = [0; 4096];
            match timeout(self.session.timeout, self.stream.read(&mut piece)).await {
                Ok(Ok(0)) => self.ended = true,
                Ok(Ok(count)) => self.input.extend_from_slice(&piece[..count]),
                Ok(Err(error)) => return Err(error),
                Err(_elapsed) => return Ok(None),
            }
        }
    }

    /// All lines up to an empty one.
    async fn payload(&mut self) -> io::Result<String> {
        let mut payload = Vec::new();
        while let Some(line) = self.line(LONGEST_LINE).await? {
            if line.is_empty() || line == b"\r" {
                break;
            }
            payload.extend_from_slice(&line);
            payload.push(b'\n');
            if payload.len() > LONGEST_PAYLOAD {
                self.answer("The text is too long.\n".to_owned()).await?;
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        String::from_utf8(payload).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    /// Says something, with the empty line that ends every answer.
    async fn answer(&mut self, mut text: String) -> io::Result<()> {
        text.push('\n');
        if self.session.prompt {
            text.push_str("> ");
        }
        for piece in text.as_bytes().chunks(PIECE) {
            let written = timeout(self.session.timeout, self.stream.write_all(piece)).await;
            written.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        }
        self.stream.flush().await
    }

    /// Closes the connection so that the last answer arrives: with bytes unread, a close would be a reset.
    async fn part(mut self) -> io::Result<()> {
        self.stream.shutdown().await?;
        let listen = async {
            let mut piece = [0; 4096];
            while !self.ended {
                match self.stream.read(&mut piece).await {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {}
                }
            }
        };
        // Whoever talks on for longer has had his answer.
        let _ = timeout(PARTING, listen).await;
        Ok(())
    }
}

/// Seconds, or a number with a unit: `10`, `10s`, `500ms`, `1m`, `2h`.
fn read_delay(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok().filter(|number| *number > 0)?;
    let delay = match unit {
        "ms" => Duration::from_millis(number),
        "" | "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.checked_mul(60)?),
        "h" => Duration::from_secs(number.checked_mul(3_600)?),
        _ => return None,
    };
    // For longer than that nobody waits.
    (delay <= Duration::from_secs(7 * 24 * 3_600)).then_some(delay)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_seconds_unless_they_say_otherwise() {
        for (text, wanted) in [
            ("10", Some(10_000)),
            ("10s", Some(10_000)),
            ("500ms", Some(500)),
            ("2m", Some(120_000)),
            ("0", None),
            ("x", None),
            ("5d", None),
            ("99999999999999999h", None),
        ] {
            let wanted = wanted.map(Duration::from_millis);
            assert_eq!(read_delay(text), wanted, "{text}");
        }
    }
}
