//! Pulls a manifest and the smallest blob of an image, by the very requests that each client would make.

use std::fmt::Write;

use http::{Method, StatusCode};
use serde::Deserialize;

use super::{Visit, shown};
use crate::addressing::{ImageName, Origin};
use crate::cli::doctor::ask::{Asked, Door, Reply};
use crate::cli::doctor::finding::{Finding, Severity, Subject};
use crate::cli::doctor::way::{Naming, Way};
use crate::oci::{
    Descriptor, Digest, ManifestKind, ManifestView, MediaType, Reference, UpstreamName, Verifier,
};

/// The longest manifest, as larder itself takes them.
const MAX_MANIFEST: usize = 8 << 20;
/// The longest blob that is pulled: the config of an image has a few kilobytes.
const MAX_BLOB: usize = 32 << 20;
/// What clients take.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, \
                         application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";

/// Pulls the image as each client that is told to do so here.
pub(super) async fn pull(
    door: &Door,
    visit: &Visit,
    image: &ImageName,
    findings: &mut Vec<Finding>,
) {
    let Some(origin) = origin(image) else {
        let message = format!("{image} names no repository of a registry");
        let remedy = "write it as alpine:3.20 or ghcr.io/org/app:1";
        findings.push(Finding::fault(Subject::Canary, message, remedy));
        return;
    };
    let mut pulls: Vec<(String, Option<&Way>)> = Vec::new();
    for way in &visit.ways {
        // One pull a client is enough: a way of its own for the registry comes before that for all others.
        let is_other = way.scope.name().is_none();
        let has_own = |it: &Way| it.client == way.client && it.scope.name().is_some();
        if is_other
            && visit
                .ways
                .iter()
                .any(|it| has_own(it) && it.target(&origin, "").is_some())
        {
            continue;
        }
        if way.target(&origin, "").is_some() {
            pulls.push((way.client.name().to_owned(), Some(way)));
        }
    }
    if visit.ways.is_empty() {
        pulls.push(("by name".to_owned(), None));
    }
    for (who, way) in pulls {
        let errand = Errand {
            door,
            origin: &origin,
            way,
        };
        let pulled = Box::pin(errand.run(&image.reference())).await;
        let finding = told(&who, image, door, pulled);
        findings.push(match way {
            Some(way) => finding.at(&way.spot),
            None => finding,
        });
    }
}

/// What came of a pull.
struct Pulled {
    /// What larder said of the tag's answer.
    cache: String,
    /// Why it is an old answer, if it is one.
    warning: String,
    /// How many bytes of a blob came, if one did.
    blob: Option<usize>,
}

fn told(who: &str, image: &ImageName, door: &Door, pulled: Result<Pulled, String>) -> Finding {
    let address = shown(door);
    let pulled = match pulled {
        Ok(pulled) => pulled,
        Err(why) => {
            let message =
                format!("{image} could not be pulled through {address} as {who} does it: {why}");
            let remedy = "look into larder's log for this request; `larder inspect` on larder's machine asks the registry itself";
            return Finding::fault(Subject::Canary, message, remedy);
        }
    };
    let mut message = format!(
        "{image} was pulled through {address} as {who} does it ({})",
        pulled.cache
    );
    match pulled.blob {
        Some(bytes) => write!(message, ", with a blob of {bytes} bytes").unwrap_or_default(),
        None => message.push_str(", without a blob: it has none that is small"),
    }
    match pulled.warning.is_empty() {
        true => Finding::good(Subject::Canary, message),
        false => Finding::new(
            Severity::Warning,
            Subject::Canary,
            format!("{message}; {}", pulled.warning),
        )
        .remedy("`larder status --upstreams` says why the registry does not confirm it"),
    }
}

/// A pull of one client.
struct Errand<'a> {
    door: &'a Door,
    origin: &'a Origin,
    /// How the client asks; `None` for a name with larder in front.
    way: Option<&'a Way>,
}

#[derive(Default, Deserialize)]
struct Parts {
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

impl Errand<'_> {
    async fn run(&self, reference: &Reference) -> Result<Pulled, String> {
        let part = format!("manifests/{reference}");
        // All but podman ask what a tag points at, and then for that.
        let says_head = self
            .way
            .is_some_and(|way| way.naming == Naming::Parameter || way.client == Subject::Docker);
        if let (Reference::Tag(_), true) = (reference, says_head) {
            let head = self.ask(&Method::HEAD, &part, MAX_MANIFEST).await?;
            let digest: Option<Digest> = head.header("docker-content-digest").parse().ok();
            if let Some(digest) = digest {
                let part = format!("manifests/{digest}");
                let mut pulled = Box::pin(self.manifest(&part, Some(digest))).await?;
                pulled.cache = head.header("cache-status").to_owned();
                pulled.warning = head.header("warning").to_owned();
                return Ok(pulled);
            }
        }
        let expected = match reference {
            Reference::Digest(digest) => Some(*digest),
            Reference::Tag(_) => None,
        };
        Box::pin(self.manifest(&part, expected)).await
    }

    /// Pulls a manifest, the first image of it when it is an index, and the smallest blob.
    async fn manifest(&self, part: &str, expected: Option<Digest>) -> Result<Pulled, String> {
        let reply = self.ask(&Method::GET, part, MAX_MANIFEST).await?;
        let declared = reply.header("docker-content-digest").parse().ok();
        let mut reply = verified(reply, expected.or(declared))?;
        let pulled = Pulled {
            cache: reply.header("cache-status").to_owned(),
            warning: reply.header("warning").to_owned(),
            blob: None,
        };
        let view = view(&reply)?;
        if view.kind == ManifestKind::Index {
            let Some(child) = view.manifests.first().map(|child| child.digest) else {
                return Ok(pulled);
            };
            let part = format!("manifests/{child}");
            reply = verified(
                self.ask(&Method::GET, &part, MAX_MANIFEST).await?,
                Some(child),
            )?;
        }
        let parts: Parts = serde_json::from_slice(&reply.body).unwrap_or_default();
        let blobs = parts.config.into_iter().chain(parts.layers);
        let Some(smallest) = blobs.min_by_key(|blob| blob.size) else {
            return Ok(pulled);
        };
        if smallest.size > MAX_BLOB as u64 {
            return Ok(pulled);
        }
        let part = format!("blobs/{}", smallest.digest);
        let blob = self.ask(&Method::GET, &part, MAX_BLOB).await?;
        let blob = verified(blob, Some(smallest.digest))?;
        Ok(Pulled {
            blob: Some(blob.body.len()),
            ..pulled
        })
    }

    /// Asks as the client would, for something that has to be there and to come from larder.
    async fn ask(&self, method: &Method, part: &str, limit: usize) -> Result<Reply, String> {
        let Origin {
            upstream,
            repository,
        } = self.origin;
        let target = match self.way {
            Some(way) => way.target(self.origin, part).unwrap_or_default(),
            None => format!("/v2/{upstream}/{repository}/{part}"),
        };
        let mut asked = Asked::content(method, &target, limit);
        asked.accept = part.starts_with("manifests/").then_some(MANIFESTS);
        let reply = self.door.ask(asked).await;
        let reply = reply.map_err(|error| format!("{method} {target}: {error}"))?;
        if reply.status != StatusCode::OK {
            return Err(format!("{method} {target}: {reply}"));
        }
        if !reply.header("cache-status").starts_with("larder") {
            return Err(format!("{method} {target} was not answered by larder"));
        }
        Ok(reply)
    }
}

fn view(reply: &Reply) -> Result<ManifestView, String> {
    let media_type = MediaType::parse(reply.header("content-type"));
    ManifestView::parse(&reply.body, media_type.as_ref())
        .map_err(|error| format!("what came is no manifest: {error}"))
}

/// Makes sure that what came is what was asked for.
fn verified(reply: Reply, expected: Option<Digest>) -> Result<Reply, String> {
    if let Some(digest) = expected {
        Verifier::check(digest, &reply.body).map_err(|error| error.to_string())?;
    }
    Ok(reply)
}

/// Finds out which repository of which registry an image is of, as clients do it.
fn origin(image: &ImageName) -> Option<Origin> {
    let (upstream, repository) = match image.name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
            (first.parse().ok()?, rest.to_owned())
        }
        _ => (UpstreamName::docker_hub(), image.name.clone()),
    };
    let is_short = upstream.is_docker_hub() && !repository.contains('/');
    let repository = match is_short {
        true => format!("library/{repository}"),
        false => repository,
    };
    Some(Origin {
        upstream,
        repository: repository.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_of_docker_hub_unless_a_registry_is_named() {
        for (image, found) in [
            ("alpine:3.20", Some("docker.io/library/alpine")),
            ("org/app", Some("docker.io/org/app")),
            ("index.docker.io/alpine", Some("docker.io/library/alpine")),
            ("ghcr.io/org/app:1", Some("ghcr.io/org/app")),
            ("localhost:5000/app", Some("localhost:5000/app")),
            ("Alpine", None),
        ] {
            let image: ImageName = image.parse().unwrap();
            let found_here = origin(&image).map(|origin| origin.to_string());
            assert_eq!(found_here.as_deref(), found, "{image}");
        }
    }
}
