//! Other registries: how to find, ask and read them, in spite of redirects, tokens, broken connections and bad days.
//!
//! An [`Upstream`] is asked for manifests and blobs of one registry, through its endpoints in order. Each request passes
//! the budget of the upstream, shows an anonymous token where one is wanted, follows redirects within the rules of
//! trust, and is tried again when that may help. A [`BlobTransfer`] goes on by itself after a break.
//!
//! Nothing here knows what is cached, and nothing is verified here: bytes are only as good as the digest that the caller
//! checks.

pub mod credentials;
pub mod endpoint_url;
pub mod error;
pub mod health;
pub mod listing;
pub mod metrics;
pub mod openness;
pub mod quota;
pub mod registry;
pub mod resume;
pub mod retry;
pub mod settings;
pub mod standing;
pub mod switch;
pub mod tls;
pub mod upstreams;

mod answer;
mod auth;
mod blob;
mod budget;
mod client_key;
mod connect;
mod egress;
mod endpoint;
mod gates;
mod habits;
mod manifest;
mod packing;
mod redirect;
mod refusal;
mod request;
mod resolve;
mod scheme;
mod sifted;
mod transport;
mod trust;
mod wire;

#[cfg(test)]
mod tests;

pub use credentials::{
    CredentialReport, CredentialSettings, CredentialSource, CredentialState, HelperName,
    LoginIdentity, Secret, SecretSource,
};
pub use egress::{EgressError, Traffic};
pub use endpoint_url::{EndpointUrl, EndpointUrlError};
pub use error::{LoginProblem, Phase, RateLimit, TrustRule, UpstreamError};
pub use health::CircuitLimits;
pub use listing::{Cursor, TagsPage};
pub use metrics::Metrics;
pub use openness::{Openness, Sample};
pub use quota::Quota;
pub use registry::{BlobHead, Fetched, FetchedManifest, ManifestHead, TransferRange, Upstream};
pub use request::{AsWhom, Sought};
pub use resume::BlobTransfer;
pub use retry::Schedule;
pub use settings::{
    ApiPath, ClientCertificate, Egress, EndpointScope, EndpointSettings, Limits, Parts, Settings,
    TlsSettings,
};
pub use standing::{
    EndpointStanding, HostStanding, HostState, LastFailure, ReachedLimit, Standing, ToldQuota,
    UpstreamStanding,
};
pub use switch::{Mode, Switch};
pub use tls::TlsError;
pub use upstreams::{SetupError, Upstreams};
