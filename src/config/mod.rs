//! The configuration: reads it from a file, the environment and flags, and says everything that is wrong with it.
//!
//! [`settings`] is what is true afterwards.

pub mod endpoint_url;
pub mod settings;

pub use endpoint_url::{EndpointUrl, EndpointUrlError};
pub use settings::{
    AddressingSettings, CacheSettings, EndpointSettings, Freshness, ServerSettings, Settings,
    StoreSettings, UpstreamRule, UpstreamSettings,
};
