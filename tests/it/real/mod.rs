//! larder between real components: Debian's docker-registry behind it, skopeo and podman in front, an image of real files.
//!
//! These tests need programs that a plain `cargo test` must not ask for, so they are ignored there; `.ci/run` installs
//! the programs and runs them.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test support: what fails here fails the test"
)]

mod client_config;
mod coalescing;
mod healing;
mod logins;
mod matrix;
mod outages;
mod parts;
mod pulls;
mod readme;
mod support;
