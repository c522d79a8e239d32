//! The registry API: reads requests, asks the rooms below, writes answers. Decides nothing about freshness.

pub mod route;
