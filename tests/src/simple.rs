//! The configuration that most tests need, so that they show only what is special about them.

use std::{fmt::Write, net::SocketAddr};

/// Frontend `web` before backend `apps` with these servers, which are called `s1`, `s2`, …; `frontend` and
/// `backend` are further lines of the two. Lines for the top of the file can be put before it.
pub fn simple(servers: &[SocketAddr], frontend: &str, backend: &str) -> String {
    let mut config = format!(
        "[[frontend]]\nname = \"web\"\nbind = [\"127.0.0.1:0\"]\ndefault_backend = \"apps\"\n{frontend}\n\n\
         [[backend]]\nname = \"apps\"\n{backend}\n"
    );
    for (number, address) in (1..).zip(servers) {
        write!(
            config,
            "[[backend.server]]\nname = \"s{number}\"\naddress = \"{address}\"\n"
        )
        .expect("a string takes all text");
    }
    config
}
