//! The operator's surface: health and metrics, read only, at a door of their own; and commands that change how larder runs,
//! over a socket for those who own it, and over TCP for those who show a token.

mod attempts;
pub mod client;
mod connections;
pub mod document;
pub mod door;
pub mod error;
pub mod metrics;
pub mod operations;
pub mod reload;
pub mod routes;
pub mod socket;
mod standing;
pub mod tcp;
pub mod token;

pub use client::{AdminUrl, Client, ClientError, Whereabouts};
pub use door::Door;
pub use error::OperationError;
pub use metrics::Gauges;
pub use operations::Operations;
pub use reload::{ReloadWish, Reloads};
pub use socket::Socket;
pub use tcp::{Settings, TcpDoor};
pub use token::TokenError;
