//! The referrers API, for registries that have it: which manifests name another as their subject.

use http::{HeaderName, StatusCode, header};
use larder::oci::MediaType;
use serde_json::{Value, json};

use super::answer::Answer;
use super::content::Shelf;
use super::request::Request;

const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// Lists the referrers of a digest, in the order of their digests, as an index.
pub fn referrers(request: &Request, shelf: &Shelf) -> Answer {
    let subject = request.reference.as_deref().unwrap_or_default();
    let wanted = request.query("artifactType").into_iter().next();
    let mut found: Vec<Value> = shelf
        .manifests
        .iter()
        .filter_map(|(digest, manifest)| {
            let document: Value = serde_json::from_slice(&manifest.bytes).ok()?;
            (document["subject"]["digest"] == subject).then(|| {
                let kind = match &document["artifactType"] {
                    Value::Null => &document["config"]["mediaType"],
                    kind => kind,
                };
                json!({
                    "mediaType": manifest.media_type,
                    "digest": digest,
                    "size": manifest.bytes.len(),
                    "artifactType": kind,
                    "annotations": document["annotations"],
                })
            })
        })
        .filter(|entry| {
            let kind = wanted.as_ref();
            kind.is_none_or(|kind| entry["artifactType"] == kind.as_str())
        })
        .collect();
    found.sort_by_key(|entry| entry["digest"].to_string());
    let index = json!({"schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": found});
    let mut answer = Answer::json(StatusCode::OK, index.to_string());
    answer.set(header::CONTENT_TYPE, MediaType::OCI_INDEX);
    if wanted.is_some() {
        answer.set(FILTERS_APPLIED, "artifactType");
    }
    answer
}
