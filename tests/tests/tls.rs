//! TLS in front and to servers, with other people's clients and servers at the far ends.

#[path = "tls/acme.rs"]
mod acme;
#[path = "tls/certificates.rs"]
mod certificates;
#[path = "tls/clients.rs"]
mod clients;
#[path = "tls/handshakes.rs"]
mod handshakes;
#[path = "tls/scan.rs"]
mod scan;
#[path = "tls/servers.rs"]
mod servers;
#[path = "tls/sessions.rs"]
mod sessions;

use weir_tests::Origin;

/// A frontend `web` whose listener has these TLS settings, before one server in clear text.
fn front(tls: &str, more: &str, origin: &Origin) -> String {
    format!(
        "[[log]]\nto = \"stdout\"\n\n[[frontend]]\nname = \"web\"\ndefault_backend = \"apps\"\n\
         bind = [{{ address = \"127.0.0.1:0\", tls = {{ {tls} }} }}]\n{more}\n\n\
         [[backend]]\nname = \"apps\"\nserver = [{{ name = \"a\", address = \"{}\" }}]\n",
        origin.address()
    )
}
