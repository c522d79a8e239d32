//! What may go: the content that was used least lately, when the cache is larger than it may be or the disk is too full.
//!
//! [`TrackedBlobs`] stands before the store of blobs and tells [`Usage`] what is used; [`Evictor`] decides how much has to
//! go, and removes it. Records that name evicted content stay: it is fetched again when somebody wants it. Last use is
//! known to the hour, in a file of its own that may be lost: what is found without it counts as used now.

mod evict;
mod metrics;
mod room;
mod tracked;
mod usage;

#[cfg(test)]
mod tests;

pub use evict::{Evictor, Parts};
pub use metrics::Metrics;
pub use room::Room;
pub use tracked::TrackedBlobs;
pub use usage::{Kept, Usage};

/// What the configuration says of how much is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// How many bytes all blobs may have; `None` for [`Room::usual`].
    pub max_size: Option<u64>,
}
