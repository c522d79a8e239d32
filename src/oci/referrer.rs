//! What refers to a manifest, as a list of referrers names it (distribution-spec, "Listing Referrers").

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::digest::Digest;
use super::media_type::MediaType;

/// A manifest that says that it is about another one. All that its descriptor has is kept: annotations among it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>", into = "Map<String, Value>")]
pub struct Referrer {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Its type.
    pub media_type: Option<MediaType>,
    /// What it is: a signature, a list of parts.
    pub artifact_type: Option<MediaType>,
    descriptor: Map<String, Value>,
}

/// Why an entry of a list is no referrer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the descriptor has no digest or no size")]
pub struct ReferrerError;

impl TryFrom<Map<String, Value>> for Referrer {
    type Error = ReferrerError;

    fn try_from(descriptor: Map<String, Value>) -> Result<Self, ReferrerError> {
        let text = |key: &str| descriptor.get(key).and_then(Value::as_str);
        let digest = text("digest").and_then(|digest| digest.parse().ok());
        let size = descriptor.get("size").and_then(Value::as_u64);
        let kind = |key: &str| text(key).and_then(MediaType::parse);
        Ok(Self {
            digest: digest.ok_or(ReferrerError)?,
            size: size.ok_or(ReferrerError)?,
            media_type: kind("mediaType"),
            artifact_type: kind("artifactType"),
            descriptor,
        })
    }
}

impl From<Referrer> for Map<String, Value> {
    fn from(referrer: Referrer) -> Self {
        referrer.descriptor
    }
}

impl Referrer {
    /// Returns the descriptor as the registry wrote it.
    pub fn descriptor(&self) -> &Map<String, Value> {
        &self.descriptor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_descriptor_is_kept() {
        let digest = format!("sha256:{}", "d".repeat(64));
        let text = format!(
            r#"{{"annotations":{{"a":"b"}},"artifactType":"application/x","digest":"{digest}","mediaType":"text/plain","size":7}}"#
        );
        let referrer: Referrer = serde_json::from_str(&text).unwrap();
        assert_eq!(referrer.digest.to_string(), digest);
        assert_eq!(referrer.size, 7);
        assert_eq!(referrer.artifact_type, MediaType::parse("application/x"));
        assert_eq!(serde_json::to_string(&referrer).unwrap(), text);
    }

    #[test]
    fn what_cannot_be_asked_for_is_no_referrer() {
        for text in [
            "{}",
            r#"{"digest":"sha256:7","size":1}"#,
            &format!(r#"{{"digest":"sha256:{}"}}"#, "d".repeat(64)),
            &format!(r#"{{"digest":"sha256:{}","size":-1}}"#, "d".repeat(64)),
            "[]",
        ] {
            assert!(serde_json::from_str::<Referrer>(text).is_err(), "{text}");
        }
    }
}
