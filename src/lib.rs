//! larder: a caching pull-through proxy for container registries.

pub mod addressing;
pub mod admin;
pub mod answer;
pub mod cache;
pub mod cli;
pub mod config;
pub mod oci;
pub mod runtime;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod upstream;
