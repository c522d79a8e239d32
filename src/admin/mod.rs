//! The operator's surface: health and metrics, read only, at a door of their own; and commands that change how larder runs,
//! over a socket for those who own it.

pub mod client;
mod connections;
pub mod document;
pub mod door;
pub mod error;
pub mod metrics;
pub mod operations;
mod routes;
pub mod socket;
mod standing;

pub use client::{Client, ClientError};
pub use door::Door;
pub use error::OperationError;
pub use metrics::Gauges;
pub use operations::Operations;
pub use socket::Socket;
