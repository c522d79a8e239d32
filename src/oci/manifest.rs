//! A view of a manifest. The bytes stay as received, always; this only reads what a proxy has to know of them.

use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use super::descriptor::Descriptor;
use super::media_type::MediaType;

/// What shape a manifest has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManifestKind {
    /// A list of other manifests.
    Index,
    /// A manifest of one image or artifact.
    Manifest,
    /// Docker's schema 1.
    Schema1,
    /// A JSON object of some other type. It is kept and served all the same.
    Other,
}

/// What a proxy needs to know of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestView {
    /// The shape of the body.
    pub kind: ManifestKind,
    /// The type to serve it with.
    pub media_type: MediaType,
    /// The type that the body says it has.
    pub declared: Option<MediaType>,
    /// The manifests that an index lists.
    pub manifests: Vec<Descriptor>,
    /// The config and layers of a manifest, or the blobs of an artifact.
    pub blobs: Vec<Descriptor>,
}

/// Why a body is not taken as a manifest.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// Something else than a JSON object, an error page for example.
    #[error("the manifest is not a JSON object")]
    NotAnObject,
    /// Not JSON, or with fields of wrong types.
    #[error("the manifest cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// Both an index and a manifest: what it means would depend on who reads it (CVE-2021-41190).
    #[error("the manifest has both 'manifests' and '{0}', so that it would mean two things")]
    Ambiguous(&'static str),
    /// The body says another type than the header.
    #[error("the manifest says that it is {body}, its Content-Type says {header}")]
    TypesDiffer {
        /// The `mediaType` of the body.
        body: MediaType,
        /// The `Content-Type` of the answer.
        header: MediaType,
    },
    /// An index that is called a manifest: whoever looks at the type alone would miss what it lists (CVE-2021-41190).
    #[error("the manifest is an index, but is called {0}")]
    Mislabelled(MediaType),
    /// Neither the header nor the body tells what it is.
    #[error("nothing tells the media type of the manifest")]
    Untyped,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(default)]
    schema_version: Option<u64>,
    #[serde(default)]
    media_type: Option<MediaType>,
    #[serde(borrow, default)]
    manifests: Option<Present<'a>>,
    #[serde(borrow, default)]
    config: Option<Present<'a>>,
    #[serde(borrow, default)]
    layers: Option<Present<'a>>,
    #[serde(borrow, default)]
    fs_layers: Option<Present<'a>>,
    #[serde(borrow, default)]
    blobs: Option<Present<'a>>,
    #[serde(borrow, default)]
    signatures: Option<Present<'a>>,
}

/// A field that is there, whatever it holds.
type Present<'a> = &'a RawValue;

impl ManifestView {
    /// Reads a manifest as it came from a registry, with the `Content-Type` of the answer if there was one.
    ///
    /// The type is the header's; where that says nothing (`text/plain` and the like), the body's `mediaType`; else what
    /// the shape tells.
    ///
    /// # Errors
    /// [`ManifestError`] when the body is not a JSON object, could be read in two ways, or contradicts the header.
    pub fn parse(bytes: &[u8], content_type: Option<&MediaType>) -> Result<Self, ManifestError> {
        // A struct of optional fields would take `[]` as well.
        if bytes.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{') {
            return Err(ManifestError::NotAnObject);
        }
        let body: Body<'_> = serde_json::from_slice(bytes)?;
        for (field, name) in [
            (body.layers, "layers"),
            (body.config, "config"),
            (body.fs_layers, "fsLayers"),
        ] {
            if body.manifests.is_some() && field.is_some() {
                return Err(ManifestError::Ambiguous(name));
            }
        }
        let kind = body.kind();
        let media_type = body.media_type(kind, content_type)?;
        if media_type.is_index() && kind != ManifestKind::Index {
            return Err(ManifestError::Untyped);
        }
        if media_type.is_image() && kind == ManifestKind::Index {
            return Err(ManifestError::Mislabelled(media_type));
        }
        let blobs = [
            body.config.map(one).transpose()?,
            body.layers.map(list).transpose()?,
            {
                let is_artifact = media_type.as_str() == MediaType::OCI_ARTIFACT;
                body.blobs.filter(|_| is_artifact).map(list).transpose()?
            },
        ];
        Ok(Self {
            kind,
            media_type,
            declared: body.media_type.clone(),
            manifests: body.manifests.map(list).transpose()?.unwrap_or_default(),
            blobs: blobs.into_iter().flatten().flatten().collect(),
        })
    }

    /// Returns the manifest for linux/amd64 in an index.
    pub fn default_platform(&self) -> Option<&Descriptor> {
        self.manifests.iter().find(|child| {
            child
                .platform
                .as_ref()
                .is_some_and(|platform| platform.is_default())
        })
    }
}

impl Body<'_> {
    fn kind(&self) -> ManifestKind {
        if self.manifests.is_some() {
            ManifestKind::Index
        } else if self.config.is_some() || self.layers.is_some() {
            ManifestKind::Manifest
        } else if self.schema_version == Some(1) {
            ManifestKind::Schema1
        } else {
            ManifestKind::Other
        }
    }

    fn media_type(
        &self,
        kind: ManifestKind,
        header: Option<&MediaType>,
    ) -> Result<MediaType, ManifestError> {
        let header = header.filter(|header| !header.says_nothing());
        match (&self.media_type, header) {
            (Some(body), Some(header)) if body != header => Err(ManifestError::TypesDiffer {
                body: body.clone(),
                header: header.clone(),
            }),
            (_, Some(header)) => Ok(header.clone()),
            (Some(body), None) => Ok(body.clone()),
            (None, None) => match kind {
                ManifestKind::Index => Ok(MediaType::known(MediaType::OCI_INDEX)),
                ManifestKind::Manifest => Ok(MediaType::known(MediaType::OCI_MANIFEST)),
                ManifestKind::Schema1 if self.signatures.is_some() => {
                    Ok(MediaType::known(MediaType::DOCKER_SCHEMA1_SIGNED))
                }
                ManifestKind::Schema1 => Ok(MediaType::known(MediaType::DOCKER_SCHEMA1)),
                ManifestKind::Other => Err(ManifestError::Untyped),
            },
        }
    }
}

fn one(field: Present<'_>) -> Result<Vec<Descriptor>, serde_json::Error> {
    let descriptor: Option<Descriptor> = serde_json::from_str(field.get())?;
    Ok(descriptor.into_iter().collect())
}

fn list(field: Present<'_>) -> Result<Vec<Descriptor>, serde_json::Error> {
    let descriptors: Option<Vec<Descriptor>> = serde_json::from_str(field.get())?;
    Ok(descriptors.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(media_type: &str, rest: &str) -> String {
        let digest = format!("sha256:{}", "d".repeat(64));
        format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":7{rest}}}"#)
    }

    fn index() -> String {
        let arm = descriptor(
            MediaType::OCI_MANIFEST,
            r#","platform":{"architecture":"arm64","os":"linux"}"#,
        );
        let amd = descriptor(
            MediaType::OCI_MANIFEST,
            r#","platform":{"architecture":"amd64","os":"linux"}"#,
        );
        format!(r#"{{"schemaVersion":2,"manifests":[{arm},{amd}]}}"#)
    }

    fn image() -> String {
        let config = descriptor("application/vnd.oci.image.config.v1+json", "");
        let layer = descriptor("application/vnd.oci.image.layer.v1.tar+gzip", "");
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layer},{layer}]}}"#)
    }

    fn parse(body: &str, content_type: &str) -> Result<ManifestView, String> {
        let content_type = MediaType::parse(content_type);
        ManifestView::parse(body.as_bytes(), content_type.as_ref())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn types_come_from_header_then_body_then_shape() {
        let declared = r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":null,"layers":[]}"#;
        for (body, header, found) in [
            (index(), MediaType::OCI_INDEX, MediaType::OCI_INDEX),
            (index(), MediaType::DOCKER_LIST, MediaType::DOCKER_LIST),
            (index(), "", MediaType::OCI_INDEX),
            (index(), "text/plain; charset=utf-8", MediaType::OCI_INDEX),
            (image(), "application/json", MediaType::OCI_MANIFEST),
            (
                declared.into(),
                "application/octet-stream",
                MediaType::DOCKER_MANIFEST,
            ),
            (
                r#"{"schemaVersion":1,"fsLayers":[]}"#.into(),
                "",
                MediaType::DOCKER_SCHEMA1,
            ),
            (
                r#"{"schemaVersion":1,"signatures":[]}"#.into(),
                "",
                MediaType::DOCKER_SCHEMA1_SIGNED,
            ),
            (
                r#"{"x":1}"#.into(),
                "application/vnd.example+json",
                "application/vnd.example+json",
            ),
        ] {
            assert_eq!(
                parse(&body, header).unwrap().media_type.as_str(),
                found,
                "{body} {header}"
            );
        }
    }

    #[test]
    fn what_could_mean_two_things_is_refused() {
        for body in [
            r#"{"manifests":[],"layers":[]}"#,
            r#"{"manifests":[],"config":{}}"#,
            r#"{"manifests":[],"fsLayers":[]}"#,
        ] {
            assert!(
                parse(body, MediaType::OCI_INDEX)
                    .unwrap_err()
                    .contains("two things"),
                "{body}"
            );
        }
        let differs = r#"{"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
        assert!(
            parse(differs, MediaType::DOCKER_LIST)
                .unwrap_err()
                .contains("Content-Type says")
        );
        let twice = r#"{"manifests":[],"manifests":[]}"#;
        assert!(
            parse(twice, MediaType::OCI_INDEX)
                .unwrap_err()
                .contains("duplicate field")
        );
        assert!(parse(r#"{"layers":[]}"#, MediaType::OCI_INDEX).is_err());
        for media_type in [MediaType::OCI_MANIFEST, MediaType::DOCKER_MANIFEST] {
            let called = format!(r#"{{"mediaType":"{media_type}","manifests":[]}}"#);
            for (body, header) in [(&*called, ""), (r#"{"manifests":[]}"#, media_type)] {
                let error = parse(body, header).unwrap_err();
                assert!(error.contains("is an index, but is called"), "{error}");
            }
        }
    }

    #[test]
    fn garbage_is_refused() {
        for body in [
            "",
            " []",
            "null",
            "[]",
            "\"x\"",
            "<html>",
            "{",
            r#"{"manifests":7}"#,
            r#"{"manifests":[{"digest":"x","size":1}]}"#,
        ] {
            assert!(parse(body, MediaType::OCI_INDEX).is_err(), "{body}");
        }
        assert!(parse("{}", "").unwrap_err().contains("nothing tells"));
    }

    #[test]
    fn children_are_found() {
        let view = parse(&index(), MediaType::OCI_INDEX).unwrap();
        assert_eq!(
            (view.kind, view.manifests.len(), view.blobs.len()),
            (ManifestKind::Index, 2, 0)
        );
        assert_eq!(view.default_platform(), Some(&view.manifests[1]));
        let view = parse(&image(), MediaType::OCI_MANIFEST).unwrap();
        assert_eq!(
            (view.kind, view.manifests.len(), view.blobs.len()),
            (ManifestKind::Manifest, 0, 3)
        );
        assert_eq!(view.blobs[0].size, 7);
    }
}
