//! The server below the registry API: connections, protocols, stopping.

mod connections;
mod counts;
mod http10;
mod limits;
