//! Error codes and bodies (distribution-spec, "Error Codes").

use serde::Serialize;

/// The codes that clients know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    /// The blob is not in the repository.
    BlobUnknown,
    /// The upload cannot go on.
    BlobUploadInvalid,
    /// There is no such upload.
    BlobUploadUnknown,
    /// The digest is malformed, or the content does not have it.
    DigestInvalid,
    /// A manifest names a blob that is not there.
    ManifestBlobUnknown,
    /// The manifest is malformed.
    ManifestInvalid,
    /// The manifest is not in the repository.
    ManifestUnknown,
    /// The repository name is malformed.
    NameInvalid,
    /// There is no such repository.
    NameUnknown,
    /// The size is not the content's.
    SizeInvalid,
    /// Credentials are needed.
    Unauthorized,
    /// The request is refused, whoever asks.
    Denied,
    /// The operation is not available here.
    Unsupported,
    /// Too many requests.
    #[serde(rename = "TOOMANYREQUESTS")]
    TooManyRequests,
}

/// The body of an error answer, for one error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorBody {
    /// What kind of error, for programs.
    pub code: ErrorCode,
    /// What happened, for people.
    pub message: String,
    /// More about it, such as the digest asked for or the words of the upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl ErrorBody {
    /// Describes one error.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            detail: None,
        }
    }

    /// Returns the JSON document that clients expect.
    pub fn to_json(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Document<'a> {
            errors: [&'a ErrorBody; 1],
        }
        serde_json::to_vec(&Document { errors: [self] })
            .expect("strings and unit variants always serialise")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_as_the_specification_draws_them() {
        let mut body = ErrorBody::new(ErrorCode::TooManyRequests, "slow \"down\"");
        let plain = String::from_utf8(body.to_json()).unwrap();
        assert_eq!(
            plain,
            r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow \"down\""}]}"#
        );
        body.code = ErrorCode::BlobUploadUnknown;
        body.detail = Some("x".into());
        let detailed = String::from_utf8(body.to_json()).unwrap();
        assert_eq!(
            detailed,
            r#"{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"slow \"down\"","detail":"x"}]}"#
        );
    }
}
