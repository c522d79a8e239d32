//! Pulling: what clients get, and what it costs the registry.

mod addressing;
mod blobs;
mod budgets;
mod circles;
mod counts;
mod egress;
mod endpoints;
mod errors;
mod headers;
mod lies;
mod limits;
mod login_changes;
mod logins;
mod manifest_forms;
mod outages;
mod poor_heads;
pub mod private;
mod private_doubts;
mod private_turns;
mod ranges;
mod segments;
mod sight;
mod spoils;
mod stops;
mod stores;
mod tags;
mod unsized_blobs;
