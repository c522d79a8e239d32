//! What every long-lived part stands on: tasks that are counted and drained, the clock, the signals to stop.

pub mod clock;
pub mod executor;
pub mod shutdown;
pub mod tasks;

pub use clock::{Clock, Timestamp};
pub use tasks::Tasks;
