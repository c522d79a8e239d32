//! The server below the registry API: connections, protocols, stopping.

mod connections;
mod limits;
