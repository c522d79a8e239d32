//! The server below the registry API: connections, protocols, stopping.

mod connections;
mod counts;
mod forms;
mod http10;
mod limits;
mod proxies;
mod sending;
mod stopping;
mod tls;
