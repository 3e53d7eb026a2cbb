//! What whole-proxy tests are made of: servers that do as they are told ([`Origin`]), the real binary
//! in a folder of its own ([`Weir`]), clients that send exactly the bytes given ([`Client`]) and
//! steady traffic ([`Load`]).
//!
//! Everything is bound to port 0 and waited for with a deadline; nothing sleeps and hopes. A deadline
//! that passes panics with what was waited for, and for the proxy with all that it wrote.
//!
//! ```no_run
//! # use weir_tests::{Origin, Weir};
//! # async fn example() {
//! let origin = Origin::start("web-a").await;
//! let weir = Weir::start(&weir_tests::fill(
//!     r#"
//!     [[frontend]]
//!     name = "web"
//!     bind = ["127.0.0.1:0"]
//!     default_backend = "apps"
//!
//!     [[backend]]
//!     name = "apps"
//!     server = [{ name = "web-a", address = "@web-a@" }]
//!     "#,
//!     &[("web-a", &origin.address())],
//! ))
//! .await;
//!
//! let response = weir.get("/").await;
//! assert_eq!(response.status(), 200);
//! assert_eq!(response.origin(), "web-a");
//! # }
//! ```

mod client;
mod command;
mod curl;
mod deadline;
mod fill;
mod load;
mod manual;
mod message;
mod names;
mod namespace;
mod origin;
mod output;
mod python;
mod registry;
mod simple;
pub mod tls;
mod weir;

pub use client::{Client, Response};
pub use command::{Ran, WeirCommand};
pub use curl::{CurlOutput, curl};
pub use deadline::{DEADLINE, eventually, within};
pub use fill::{closed_port, component, fill, repository};
pub use load::{Load, LoadReport};
pub use manual::{ManualConnection, ManualServer};
pub use message::Head;
pub use names::NameServer;
pub use namespace::TestNamespace;
pub use origin::{After, Answer, Origin, Request};
pub use python::{PythonServer, Script, can_run, has_program};
pub use registry::Registry;
pub use simple::simple;
pub use weir::{Exited, Reload, Weir, WeirBuilder, binary};
