//! Telling the service manager how things are: systemd's `sd_notify`, a datagram with lines of text.

use std::{
    env,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::Duration,
};

use nix::time::{ClockId, clock_gettime};
use tracing::debug;

/// The way to the service manager, opened once, since a jail may hide its socket later.
#[derive(Debug)]
pub struct Notifier(Option<UnixDatagram>);

impl Notifier {
    /// Without a service manager everything is said to nobody.
    pub fn new() -> Self {
        let Some(place) = env::var_os("NOTIFY_SOCKET") else {
            return Self(None);
        };
        let address = match place.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
            _ => SocketAddr::from_pathname(&place),
        };
        let socket = address.and_then(|address| {
            let socket = UnixDatagram::unbound()?;
            socket.connect_addr(&address)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        match socket {
            Ok(socket) => Self(Some(socket)),
            Err(error) => {
                debug!(%error, "the service manager cannot be told anything");
                Self(None)
            }
        }
    }

    pub fn ready(&self) {
        self.say("READY=1\nSTATUS=serving");
    }

    /// A new generation is being built; [`ready`](Self::ready) ends that.
    pub fn reloading(&self) {
        let Ok(now) = clock_gettime(ClockId::CLOCK_MONOTONIC) else {
            return;
        };
        let micros = Duration::from(now).as_micros();
        self.say(&format!(
            "RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=reloading"
        ));
    }

    pub fn stopping(&self) {
        self.say("STOPPING=1\nSTATUS=draining");
    }

    /// Another process is the service from now on.
    pub fn succeeded_by(&self, pid: u32) {
        self.say(&format!("MAINPID={pid}\nREADY=1\nSTATUS=serving"));
    }

    fn say(&self, text: &str) {
        if let Some(socket) = &self.0
            && let Err(error) = socket.send(text.as_bytes())
        {
            debug!(%error, "the service manager was not told");
        }
    }
}
