//! Every folder under `examples/`, started from the very files that people copy; only addresses, and
//! intervals that tests would have to wait for, are replaced. What is asserted is what HAProxy 2.6 does
//! with the configuration that an example mirrors.

mod check;
mod custom_plugin;
mod deluxe_customers;
mod grpc;
mod hashing;
mod languages;
mod least_conn;
mod namespaces;
mod random_draws;
mod remote_by_path;
mod set_up;
mod stacked;
mod static_dynamic;
mod sticky_cookie;
mod syslog_admin;
mod tcp;
mod three_apps;
mod tls;
mod websocket;
