//! What every long-lived part stands on: tasks that are counted and drained, the clock, the signals to stop, files.

pub mod clock;
pub mod executor;
pub mod instance;
pub mod live;
pub mod open_files;
pub mod process;
pub mod signals;
pub mod stamp;
pub mod tasks;

pub use clock::{Clock, Timestamp};
pub use instance::InstanceId;
pub use live::Live;
pub use stamp::Stamp;
pub use tasks::Tasks;
