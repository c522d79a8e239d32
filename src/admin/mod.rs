//! The operator's surface: health and metrics, read only, at a door of their own.

mod connections;
pub mod door;
pub mod metrics;

pub use door::Door;
pub use metrics::Gauges;
