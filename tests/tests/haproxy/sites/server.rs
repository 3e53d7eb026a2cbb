//! A server that can go and come back, in whichever namespace.

use std::{
    fs::File,
    net::{Shutdown, TcpListener, TcpStream},
    os::fd::AsFd,
    sync::{Arc, Mutex},
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::super::origin::serve;

pub struct Server {
    pub name: &'static str,
    address: String,
    namespace: Option<String>,
    running: Option<Running>,
}

struct Running {
    listener: TcpListener,
    clients: Arc<Mutex<Vec<TcpStream>>>,
}

impl Server {
    pub fn new(name: &str, address: &str, namespace: Option<&str>) -> Self {
        Self {
            name: Box::leak(name.to_owned().into_boxed_str()),
            address: address.to_owned(),
            namespace: namespace.map(str::to_owned),
            running: None,
        }
    }

    pub fn start(&mut self) {
        let listener = self.listen();
        let accepting = listener.try_clone().expect("a descriptor can be copied");
        let clients: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let known = Arc::clone(&clients);
        let name = self.name;
        thread::spawn(move || {
            // Shutting the listener down is what ends this.
            while let Ok((stream, _)) = accepting.accept() {
                let copy = stream.try_clone().expect("a descriptor can be copied");
                known.lock().expect("nobody panics with it").push(copy);
                thread::spawn(move || serve(name, stream));
            }
        });
        self.running = Some(Running { listener, clients });
    }

    /// Nobody can connect any more, and whoever has is cut off.
    pub fn stop(&mut self) {
        let running = self.running.take().expect("it runs");
        rustix::net::shutdown(&running.listener, rustix::net::Shutdown::Both)
            .expect("a listener can be shut down");
        for client in running
            .clients
            .lock()
            .expect("nobody panics with it")
            .iter()
        {
            let _ = client.shutdown(Shutdown::Both);
        }
    }

    /// A thread can go into another namespace; the sockets that it makes there stay there.
    fn listen(&self) -> TcpListener {
        let address = self.address.clone();
        let door = self.namespace.as_ref().map(|name| {
            File::open(format!("/run/netns/{name}")).expect("the script made the namespace")
        });
        let listening = thread::spawn(move || {
            if let Some(door) = door {
                move_into_link_name_space(door.as_fd(), Some(LinkNameSpaceType::Network))
                    .expect("we are root here");
            }
            TcpListener::bind(&address).unwrap_or_else(|error| panic!("{address}: {error}"))
        });
        listening.join().expect("the address is free")
    }
}
