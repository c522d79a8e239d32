//! The programs and the image that the tests put together.

pub(crate) mod client;
pub(crate) mod containerd;
pub(crate) mod content;
pub(crate) mod dockerd;
pub(crate) mod gate;
pub(crate) mod image;
pub(crate) mod larder;
pub(crate) mod podman;
pub(crate) mod process;
pub(crate) mod registry;
pub(crate) mod sandbox;
pub(crate) mod skopeo;
pub(crate) mod token_service;
pub(crate) mod user;

pub(crate) use client::{Client, Road};
pub(crate) use gate::Gate;
pub(crate) use image::{Image, REPOSITORY};
pub(crate) use larder::Larder;
pub(crate) use podman::Podman;
pub(crate) use process::until;
pub(crate) use registry::{Door, PASSWORD, Registry, USER};
pub(crate) use skopeo::{Platforms, Skopeo};
pub(crate) use token_service::TokenService;
