//! larder as a whole, against registries that run in this process.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "test support"
)]

mod advisories;
mod cli;
mod contract;
mod deploy;
mod fake_registry;
#[path = "../fuzz/mod.rs"]
mod fuzz;
mod lists;
mod pull;
mod quirks;
mod readme;
mod real;
mod server;
mod support;
mod traces;
