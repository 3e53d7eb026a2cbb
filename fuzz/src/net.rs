//! Of the proxy's folder `net` what is pure: bytes in, facts out.

#[path = "../../host/src/net/client_hello.rs"]
pub mod client_hello;
#[path = "../../host/src/net/proxy_protocol/mod.rs"]
pub mod proxy_protocol;
