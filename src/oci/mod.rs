//! The vocabulary of the OCI distribution specification: values that cannot be wrong once they exist.
//!
//! Everything here is parsed at the edge, once, and knows nothing of sockets, files or policy. This room uses no
//! other room.

pub mod accept;
pub mod challenge;
pub mod condition;
pub mod descriptor;
pub mod digest;
pub mod digest_text;
pub mod error_code;
pub mod image_pattern;
pub mod manifest;
pub mod media_type;
pub mod name;
pub mod page;
pub mod range;
pub mod reference;
pub mod referrer;
pub mod repository_pattern;
pub mod scope;
pub mod upstream_name;
pub mod verify;

pub use accept::{Accept, VariantClass};
pub use challenge::{Challenge, ChallengeContent};
pub use condition::EntityTags;
pub use descriptor::{Descriptor, Platform};
pub use digest::{Algorithm, Digest, DigestError};
pub use digest_text::DigestText;
pub use error_code::{ErrorBody, ErrorCode};
pub use image_pattern::{ImagePattern, ImagePatternError};
pub use manifest::{ManifestError, ManifestKind, ManifestView};
pub use media_type::MediaType;
pub use name::{NameError, RepositoryName};
pub use page::next_page;
pub use range::{ByteRange, ContentRange, Unsatisfiable};
pub use reference::{Reference, Tag, TagError};
pub use referrer::{Referrer, ReferrerError};
pub use repository_pattern::{RepositoryPattern, RepositoryPatternError};
pub use scope::{Scope, ScopeError};
pub use upstream_name::{UpstreamName, UpstreamNameError, UpstreamPattern};
pub use verify::{Measurer, Mismatch, VerifiedContent, Verifier};
