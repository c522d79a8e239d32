//! Asks a registry for all that is to be told of an image: the manifest, one image of an index, its config, and what
//! refers to it. Everything that has a digest is checked against it.

use bytes::Bytes;
use serde::Deserialize;

use super::document::{self, Fields};
use super::platform::{self, PlatformName};
use super::report::{self, Config, Image, Layer, Listed, Refers, Report};
use crate::cli::trouble::Trouble;
use crate::cli::visit::Visit;
use crate::oci::Referrer;
use crate::oci::{
    Algorithm, Descriptor, Digest, ManifestKind, ManifestView, Measurer, Platform, Reference,
    VariantClass, Verifier,
};
use crate::telemetry::with_causes;
use crate::upstream::{FetchedManifest, UpstreamError};

/// The largest config that is read. The largest that are seen have some hundred kilobytes.
const MAX_CONFIG: usize = 8 << 20;

/// A manifest whose digest is known to be right.
struct Found {
    digest: Digest,
    bytes: Bytes,
    view: ManifestView,
}

/// Asks for everything.
pub(super) async fn gather(
    visit: &Visit,
    reference: Reference,
    wanted: Option<&PlatformName>,
) -> Result<Report, Trouble> {
    let found = match fetch(visit, &reference).await? {
        Some(found) => found,
        None => return Err(visit.missing(reference).await),
    };
    let image = match found.view.kind {
        ManifestKind::Index => chosen(visit, &found, wanted).await?,
        ManifestKind::Manifest | ManifestKind::Other => {
            let image = image(visit, &found).await?;
            check(visit, wanted, image.config.as_ref())?;
            Some(image)
        }
        ManifestKind::Schema1 => None,
    };
    let asked = visit
        .upstream
        .referrers(&visit.origin.repository, &found.digest);
    let referrers = told(Box::pin(asked).await);
    Ok(Report {
        registry: visit.origin.upstream.to_string(),
        repository: visit.origin.repository.to_string(),
        login: visit.login.as_ref().map(ToString::to_string),
        tag: match reference {
            Reference::Tag(tag) => Some(tag.to_string()),
            Reference::Digest(_) => None,
        },
        digest: found.digest,
        size_bytes: found.bytes.len() as u64,
        annotations: Fields::read(&found.bytes).texts_by_name("annotations"),
        platforms: found.view.manifests.iter().map(Listed::from).collect(),
        media_type: found.view.media_type,
        image,
        referrers,
    })
}

/// Fetches a manifest. `None` when the registry says that it is not there.
async fn fetch(visit: &Visit, reference: &Reference) -> Result<Option<Found>, Trouble> {
    let repository = &visit.origin.repository;
    let asked = visit
        .upstream
        .get_manifest(repository, reference, VariantClass::Index);
    let Some(fetched) = Box::pin(asked)
        .await
        .map_err(|error| visit.trouble(error))?
    else {
        return Ok(None);
    };
    let origin = || visit.origin.clone();
    let digest = match reference {
        Reference::Digest(digest) => match Verifier::check(*digest, &fetched.bytes) {
            Ok(content) => content.digest(),
            Err(source) => {
                let origin = origin();
                return Err(Trouble::Wrong { origin, source });
            }
        },
        Reference::Tag(_) => measure(&fetched),
    };
    let FetchedManifest {
        bytes, media_type, ..
    } = fetched;
    match ManifestView::parse(&bytes, media_type.as_ref()) {
        Ok(view) => Ok(Some(Found {
            digest,
            bytes,
            view,
        })),
        Err(source) => Err(Trouble::NoManifest {
            origin: origin(),
            source,
        }),
    }
}

/// Finds out the digest of a manifest that was asked for by tag: by the algorithm that the registry uses for it.
fn measure(fetched: &FetchedManifest) -> Digest {
    let measured = Measurer::measure(Algorithm::Sha256, &fetched.bytes).digest();
    match fetched.declared {
        Some(declared) if declared != measured => match Verifier::check(declared, &fetched.bytes) {
            Ok(content) => content.digest(),
            Err(mismatch) => {
                tracing::warn!(
                    error = with_causes(&*mismatch),
                    "the registry says another digest than the manifest has"
                );
                measured
            }
        },
        Some(_) | None => measured,
    }
}

/// Fetches the image of an index that is wanted. `None` when the index is empty.
async fn chosen(
    visit: &Visit,
    index: &Found,
    wanted: Option<&PlatformName>,
) -> Result<Option<Image>, Trouble> {
    let images = &index.view.manifests;
    let Some(child) = platform::choose(images, wanted) else {
        return match wanted {
            None => Ok(None),
            Some(wanted) => Err(Trouble::NoPlatform {
                origin: visit.origin.clone(),
                wanted: wanted.to_string(),
                found: names(images),
            }),
        };
    };
    match fetch(visit, &Reference::Digest(child.digest)).await? {
        Some(found) => Ok(Some(image(visit, &found).await?)),
        None => Err(Trouble::Incomplete {
            origin: visit.origin.clone(),
            what: "a manifest",
            digest: child.digest,
        }),
    }
}

/// Names the platforms of an index.
fn names(images: &[Descriptor]) -> String {
    let name = |image: &Descriptor| {
        let Platform {
            os,
            architecture,
            variant,
        } = image.platform.as_ref()?;
        report::platform(Some(os), Some(architecture), variant.as_deref())
    };
    let mut names: Vec<String> = images.iter().filter_map(name).collect();
    names.dedup();
    if names.is_empty() {
        return "no platform at all".to_owned();
    }
    names.join(", ")
}

#[derive(Default, Deserialize)]
struct Parts {
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
}

/// Describes the manifest of an image or artifact, with its config.
async fn image(visit: &Visit, found: &Found) -> Result<Image, Trouble> {
    // These fields were read once already, and are sound.
    let Parts { config, layers } = serde_json::from_slice(&found.bytes).unwrap_or_default();
    let layers = match found.view.kind {
        ManifestKind::Other => found.view.blobs.clone(),
        ManifestKind::Manifest | ManifestKind::Index | ManifestKind::Schema1 => {
            layers.unwrap_or_default()
        }
    };
    let fields = Fields::read(&found.bytes);
    Ok(Image {
        digest: found.digest,
        media_type: found.view.media_type.clone(),
        size_bytes: found.bytes.len() as u64,
        artifact_type: fields.text("artifactType"),
        annotations: fields.texts_by_name("annotations"),
        layers_size_bytes: layers
            .iter()
            .fold(0, |sum, layer| sum.saturating_add(layer.size)),
        layers: layers.iter().map(Layer::from).collect(),
        config: match &config {
            Some(config) => read_config(visit, config).await?,
            None => None,
        },
        config_media_type: config.and_then(|config| config.media_type),
    })
}

/// Reads the config of an image. `None` for artifacts.
async fn read_config(visit: &Visit, config: &Descriptor) -> Result<Option<Config>, Trouble> {
    let kind = config.media_type.as_ref();
    if !kind.is_some_and(|kind| document::is_image_config(kind.as_str())) {
        return Ok(None);
    }
    let repository = &visit.origin.repository;
    let asked = visit
        .upstream
        .small_blob(repository, &config.digest, MAX_CONFIG);
    match Box::pin(asked)
        .await
        .map_err(|error| visit.trouble(error))?
    {
        Some(bytes) => Ok(Some(document::config(&bytes))),
        None => Err(Trouble::Incomplete {
            origin: visit.origin.clone(),
            what: "the config",
            digest: config.digest,
        }),
    }
}

/// Makes sure that an image which no index lists is for the platform that is wanted, as far as its config says.
fn check(
    visit: &Visit,
    wanted: Option<&PlatformName>,
    config: Option<&Config>,
) -> Result<(), Trouble> {
    let (Some(wanted), Some(config)) = (wanted, config) else {
        return Ok(());
    };
    let said = Platform {
        os: config.os.clone().unwrap_or_default(),
        architecture: config.architecture.clone().unwrap_or_default(),
        variant: config.variant.clone(),
    };
    if wanted.fits(&said) {
        return Ok(());
    }
    Err(Trouble::NoPlatform {
        origin: visit.origin.clone(),
        wanted: wanted.to_string(),
        found: config
            .platform()
            .unwrap_or_else(|| "no platform at all".to_owned()),
    })
}

/// Turns what refers to a manifest into what is told of it. That it cannot be had does not spoil the rest.
fn told(asked: Result<Vec<Referrer>, UpstreamError>) -> Option<Vec<Refers>> {
    match asked {
        Ok(found) => Some(found.into_iter().map(Refers::from).collect()),
        Err(error) => {
            tracing::warn!(
                error = with_causes(&error),
                "the referrers could not be asked for"
            );
            None
        }
    }
}
