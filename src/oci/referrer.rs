//! What refers to a manifest, as a list of referrers names it (distribution-spec, "Listing Referrers").

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::digest::Digest;
use super::media_type::MediaType;

/// A manifest that says that it is about another one. All that its descriptor has is kept: annotations among it. It is
/// kept as text: parsed, what a registry chooses to put into it would take many times the room.
#[derive(Clone, Debug)]
pub struct Referrer {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Its type.
    pub media_type: Option<MediaType>,
    /// What it is: a signature, a list of parts.
    pub artifact_type: Option<MediaType>,
    descriptor: Box<RawValue>,
}

/// Why an entry of a list is no referrer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the descriptor has no digest or no size")]
pub struct ReferrerError;

/// What is read of a descriptor.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    #[serde(borrow)]
    digest: Option<&'a RawValue>,
    #[serde(borrow)]
    size: Option<&'a RawValue>,
    #[serde(borrow)]
    media_type: Option<&'a RawValue>,
    #[serde(borrow)]
    artifact_type: Option<&'a RawValue>,
}

impl TryFrom<Box<RawValue>> for Referrer {
    type Error = ReferrerError;

    fn try_from(descriptor: Box<RawValue>) -> Result<Self, ReferrerError> {
        let fields: Fields<'_> =
            serde_json::from_str(descriptor.get()).map_err(|_| ReferrerError)?;
        let text = |raw: Option<&RawValue>| serde_json::from_str::<String>(raw?.get()).ok();
        let digest = text(fields.digest).and_then(|digest| digest.parse().ok());
        let size = fields
            .size
            .and_then(|size| serde_json::from_str(size.get()).ok());
        let kind = |raw| MediaType::parse(&text(raw)?);
        Ok(Self {
            digest: digest.ok_or(ReferrerError)?,
            size: size.ok_or(ReferrerError)?,
            media_type: kind(fields.media_type),
            artifact_type: kind(fields.artifact_type),
            descriptor,
        })
    }
}

impl Referrer {
    /// Returns the descriptor as the registry wrote it, in JSON.
    pub fn descriptor(&self) -> &str {
        self.descriptor.get()
    }
}

impl PartialEq for Referrer {
    fn eq(&self, other: &Self) -> bool {
        self.descriptor() == other.descriptor()
    }
}

impl Serialize for Referrer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.descriptor.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Referrer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let descriptor = Box::<RawValue>::deserialize(deserializer)?;
        Self::try_from(descriptor).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_descriptor_is_kept() {
        let digest = format!("sha256:{}", "d".repeat(64));
        let text = format!(
            r#"{{"size":7,"mediaType":"text/plain","digest":"{digest}","artifactType":"application/x", "annotations":{{"b":1.50,"a":[]}}}}"#
        );
        let referrer: Referrer = serde_json::from_str(&text).unwrap();
        assert_eq!(referrer.digest.to_string(), digest);
        assert_eq!(referrer.size, 7);
        assert_eq!(referrer.media_type, MediaType::parse("text/plain"));
        assert_eq!(referrer.artifact_type, MediaType::parse("application/x"));
        assert_eq!(serde_json::to_string(&referrer).unwrap(), text);
    }

    #[test]
    fn what_cannot_be_asked_for_is_no_referrer() {
        let digest = "d".repeat(64);
        for text in [
            "{}",
            r#"{"digest":"sha256:7","size":1}"#,
            &format!(r#"{{"digest":"sha256:{digest}"}}"#),
            &format!(r#"{{"digest":"sha256:{digest}","size":-1}}"#),
            &format!(r#"{{"digest":"sha256:{digest}","size":null}}"#),
            // Which of the two one reads, another may not.
            &format!(
                r#"{{"digest":"sha256:{digest}","size":1,"digest":"sha256:{}"}}"#,
                "e".repeat(64)
            ),
            "[]",
        ] {
            assert!(serde_json::from_str::<Referrer>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn types_that_are_none_are_left_out() {
        for kind in ["7", "null", r#""x""#] {
            let text = format!(
                r#"{{"digest":"sha256:{}","size":1,"mediaType":{kind}}}"#,
                "d".repeat(64)
            );
            let referrer: Referrer = serde_json::from_str(&text).unwrap();
            assert_eq!(referrer.media_type, None, "{kind}");
        }
    }
}
