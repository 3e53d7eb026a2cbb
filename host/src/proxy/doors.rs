//! The sockets of administrators: the HTTP interface and those that take commands. Opened at the start, handed
//! over to the process that comes after, and not part of any generation.

use std::{cell::RefCell, io, rc::Rc};

use tokio::task::{JoinHandle, spawn_local};
use tracing::info;

use super::{
    admin::{self, Admin},
    listeners::Listeners,
    runtime,
};
use crate::{
    config::{Address, Process, RuntimeSocket},
    net::{BindError, Parcel, SharedListener},
};

/// What the HTTP interface's socket is called when it is handed over.
const ADMIN: &str = "admin";

pub struct Doors {
    admin: Option<Rc<SharedListener>>,
    runtime: Vec<(RuntimeSocket, Rc<SharedListener>)>,
    /// Those who let administrators in.
    letting_in: RefCell<Vec<JoinHandle<io::Result<()>>>>,
}

impl Doors {
    /// Opens what `process` names, or takes it over from the proxy before.
    pub fn open(process: &Process, listeners: &mut Listeners) -> Result<Self, BindError> {
        let admin = process.admin.as_ref().map(|address| {
            let claimed = listeners.claim(ADMIN);
            claimed
                .map_or_else(|| admin::bind(address), Ok)
                .map(Rc::new)
        });
        let runtime = process.runtime_sockets.iter().map(|settings| {
            let listener = match listeners.claim(&name_of(settings)) {
                Some(claimed) => claimed,
                None => SharedListener::bind_with(&settings.address, &settings.socket, 1)?,
            };
            Ok((settings.clone(), Rc::new(listener)))
        });
        Ok(Self {
            admin: admin.transpose()?,
            runtime: runtime.collect::<Result<_, BindError>>()?,
            letting_in: RefCell::default(),
        })
    }

    /// Lets administrators in from now on.
    pub fn serve(&self, admin: &Rc<Admin>) {
        let mut letting_in = self.letting_in.borrow_mut();
        if let Some(listener) = &self.admin {
            info!(address = %listener.address, "administrators are served");
            let serving = admin::serve(Rc::clone(admin), Rc::clone(listener));
            letting_in.push(spawn_local(serving));
        }
        for (settings, listener) in &self.runtime {
            let level = settings.level.as_str();
            info!(address = %listener.address, level, "commands are taken");
            admin
                .runtime_sockets
                .borrow_mut()
                .push((settings.clone(), listener.address.clone()));
            let serving = runtime::serve(Rc::clone(admin), settings.clone(), Rc::clone(listener));
            letting_in.push(spawn_local(serving));
        }
    }

    /// Lets nobody in any more: another process does, at the same sockets. Who is in may finish.
    pub fn close(&self) {
        for serving in self.letting_in.borrow_mut().drain(..) {
            serving.abort();
        }
    }

    /// Puts all of them into `parcel`, for the proxy that takes over.
    pub fn hand_over(&self, parcel: &mut Parcel) -> io::Result<()> {
        if let Some(listener) = &self.admin {
            parcel.add(ADMIN.to_owned(), listener.hand_over()?)?;
        }
        for (settings, listener) in &self.runtime {
            parcel.add(name_of(settings), listener.hand_over()?)?;
        }
        Ok(())
    }

    /// Nobody took over after all.
    pub fn keep(&self) {
        let runtime = self.runtime.iter().map(|(_, listener)| listener);
        self.admin
            .iter()
            .chain(runtime)
            .for_each(|listener| listener.keep());
    }
}

/// The same in another process, and in another version of the program.
fn name_of(settings: &RuntimeSocket) -> String {
    let address = match &settings.address {
        Address::Unix(path) => format!("unix {}", path.display()),
        Address::Tcp(address) => format!("tcp {address}"),
        Address::Inherited(fd) => format!("fd {fd}"),
        Address::Activated(name) => format!("systemd {name}"),
        Address::Statistics => "statistics".to_owned(),
        Address::Name { host, port } => format!("name {host}:{port}"),
        Address::ClientPort(ip) => format!("ip {ip}"),
    };
    format!("runtime {address}")
}
