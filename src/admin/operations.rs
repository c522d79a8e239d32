//! What the operator can have done. It is the same whoever carries the wish here: the socket of a running larder, or a
//! command that works on the cache folder itself.

use std::sync::Arc;

use super::document::{
    Answered, Change, History, ModeChanged, Move, Refreshed, Reloaded, Upstreams, Variant,
};
use super::error::{ErrorCode, OperationError};
use super::reload::Reloads;
use super::standing;
use crate::addressing::{
    Action, Addressing, Asked, Caller, Grant, ImageName, Origin, Place, Target,
};
use crate::answer::{CacheOutcome, StaleReason};
use crate::cache::Cache;
use crate::cache::CacheError;
use crate::cache::tag::TagHistory;
use crate::oci::{Accept, MediaType, Reference, Tag, UpstreamPattern, VariantClass};
use crate::runtime::{Clock, Live};
use crate::upstream::Mode;

/// Does what the operator wants.
#[derive(Debug)]
pub struct Operations {
    cache: Arc<Cache>,
    addressing: Live<Addressing>,
    clock: Clock,
    /// Where the configuration is read again; nowhere when no larder serves.
    reloads: Option<Reloads>,
}

impl Operations {
    /// Works on a cache.
    pub fn new(cache: Arc<Cache>, addressing: Live<Addressing>, clock: Clock) -> Self {
        Self {
            cache,
            addressing,
            clock,
            reloads: None,
        }
    }

    /// Has wishes to read the configuration again go this way.
    #[must_use]
    pub fn with_reloads(self, reloads: Reloads) -> Self {
        Self {
            reloads: Some(reloads),
            ..self
        }
    }

    /// Has the configuration read again.
    ///
    /// # Errors
    /// [`OperationError`] when it has faults, which leave everything as it was.
    pub async fn reload(&self) -> Result<Reloaded, OperationError> {
        let Some(reloads) = &self.reloads else {
            let why = "this larder cannot read its configuration again";
            return Err(OperationError::new(ErrorCode::Failed, why));
        };
        reloads.reload().await
    }

    /// Returns where a tag pointed. The registry is not asked.
    ///
    /// # Errors
    /// [`OperationError`] when the image is no tag of a configured registry, or the records cannot be read.
    pub async fn history(&self, image: &str) -> Result<History, OperationError> {
        let (origin, tag) = self.tag(image)?;
        let known = self.known(&origin, &tag).await?;
        Ok(History {
            registry: origin.upstream.to_string(),
            repository: origin.repository.to_string(),
            tag: tag.to_string(),
            variants: known.into_iter().map(variant).collect(),
        })
    }

    /// Has the registry asked now what a tag points at, for all classes of clients that have asked for it.
    ///
    /// # Errors
    /// [`OperationError`] when the image is no tag of a configured registry, or the registry did not answer.
    pub async fn refresh(&self, image: &str) -> Result<Refreshed, OperationError> {
        let (origin, tag) = self.tag(image)?;
        let before = self.known(&origin, &tag).await?;
        // Whoever may command larder is on its machine.
        let caller = Caller::Anonymous(Place::Loopback);
        let grant = Grant::new(caller, origin.clone(), Action::Pull);
        let mut classes: Vec<VariantClass> = before.iter().map(|known| known.class).collect();
        classes.sort();
        classes.dedup();
        if classes.is_empty() {
            classes.push(VariantClass::Index);
        }
        let mut variants = Vec::new();
        for class in classes {
            self.ask(&grant, &tag, class).await?;
            let after = self.known(&origin, &tag).await?;
            variants.extend(answered(class, &before, &after));
        }
        Ok(Refreshed {
            registry: origin.upstream.to_string(),
            repository: origin.repository.to_string(),
            tag: tag.to_string(),
            variants,
        })
    }

    /// Sets whether an upstream is asked, until larder stops. It is named as in the configuration.
    ///
    /// # Errors
    /// [`OperationError`] when nothing is configured under that name, or only a pattern that fits it.
    pub fn set_mode(&self, name: &str, mode: Mode) -> Result<ModeChanged, OperationError> {
        let invalid = |error| {
            OperationError::new(
                ErrorCode::InvalidRequest,
                format!("'{}' names no upstream: {error}", name.escape_debug()),
            )
        };
        let pattern: UpstreamPattern = name.parse().map_err(invalid)?;
        let switch = self.cache.upstreams().switch(&pattern);
        let switch = switch.ok_or_else(|| self.not_configured(&pattern))?;
        let before = switch.set(mode, self.clock.now());
        if before != mode {
            tracing::info!(
                upstream.name = %pattern, upstream.mode = mode.name(),
                "the operator says whether the registry is asked, until larder stops"
            );
        }
        Ok(ModeChanged {
            upstream: pattern.to_string(),
            before,
            now: mode,
        })
    }

    /// Returns how the upstreams stand. No registry is asked.
    pub fn upstreams(&self) -> Upstreams {
        standing::upstreams(&self.cache, self.clock.now())
    }

    /// Finds out which tag of which registry an image is.
    fn tag(&self, image: &str) -> Result<(Origin, Tag), OperationError> {
        let invalid = |error| {
            OperationError::new(
                ErrorCode::InvalidImage,
                format!("'{}' names no image: {error}", image.escape_debug()),
            )
        };
        let name: ImageName = image.parse().map_err(invalid)?;
        let tag = match name.reference() {
            Reference::Tag(tag) => tag,
            Reference::Digest(_) => {
                return Err(OperationError::new(
                    ErrorCode::NotATag,
                    format!(
                        "{name} is named by its digest, and what a digest names never changes: give a tag"
                    ),
                ));
            }
        };
        let asked = Asked {
            name: &name.name,
            ..Asked::default()
        };
        match self.addressing.now().resolve(asked)? {
            Target::Proxied(origin) => Ok((origin, tag)),
            Target::Hosted(repository) => Err(OperationError::new(
                ErrorCode::NoRepository,
                format!("{repository} would be hosted by larder itself, which hosts nothing yet"),
            )),
        }
    }

    async fn known(&self, origin: &Origin, tag: &Tag) -> Result<Vec<TagHistory>, OperationError> {
        let known = self.cache.manifests.history(origin, tag).await;
        known.map_err(|error| {
            let what = format!("could not read where {origin}:{tag} pointed");
            OperationError::of_cache(&error, &what)
        })
    }

    /// Asks the registry. That it could not say is a failure here, whatever goes out to clients meanwhile.
    async fn ask(
        &self,
        grant: &Grant<Origin>,
        tag: &Tag,
        class: VariantClass,
    ) -> Result<(), OperationError> {
        let accept = match class {
            VariantClass::Index => Accept::anything(),
            VariantClass::Manifest | VariantClass::Schema1 => {
                Accept::parse([MediaType::OCI_MANIFEST, MediaType::DOCKER_MANIFEST])
            }
        };
        let image = format!("{}:{tag}", grant.target());
        let asking = self.cache.manifests.refresh(grant, tag, &accept);
        let answer = Box::pin(asking).await.map_err(|error| {
            let what = if matches!(error, CacheError::ManifestUnknown(_)) {
                image.clone()
            } else {
                format!("{image} could not be asked for")
            };
            OperationError::of_cache(&error, &what)
        })?;
        match answer.outcome {
            CacheOutcome::Stale(reason) => Err(unconfirmed(&image, reason)),
            CacheOutcome::Offline => Err(OperationError::new(
                ErrorCode::Offline,
                format!("{image} was not asked for: larder is offline for its registry"),
            )),
            CacheOutcome::Hit
            | CacheOutcome::Miss
            | CacheOutcome::Joined
            | CacheOutcome::Revalidated
            | CacheOutcome::Negative
            | CacheOutcome::Passed(_) => Ok(()),
        }
    }

    fn not_configured(&self, wanted: &UpstreamPattern) -> OperationError {
        let addressing = self.addressing.now();
        let known = addressing.patterns();
        if let UpstreamPattern::Exactly(name) = wanted
            && let Some(pattern) = known.iter().find(|pattern| pattern.matches(name))
        {
            return OperationError::new(
                ErrorCode::ConfiguredByPattern,
                format!(
                    "{name} is configured by the pattern {pattern}, whose registries change together: name '{pattern}'"
                ),
            );
        }
        let wanted = wanted.to_string();
        let known: Vec<String> = known.iter().map(ToString::to_string).collect();
        OperationError::new(
            ErrorCode::NotConfigured,
            format!(
                "the registry {wanted} is not configured here: {}",
                nearest(&wanted, &known)
            ),
        )
    }
}

/// How many names are told to somebody who wrote another.
const NEAREST: usize = 3;

/// Names what may have been meant: what differs in a third of its letters at most, else what there is.
fn nearest(wanted: &str, known: &[String]) -> String {
    let mut near: Vec<(usize, &str)> = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(wanted, known), known.as_str()))
        .filter(|(distance, _)| *distance <= wanted.chars().count() / 3)
        .collect();
    near.sort_unstable();
    let names: Vec<&str> = near.iter().map(|(_, name)| *name).take(NEAREST).collect();
    if !names.is_empty() {
        return format!("did you mean {}?", names.join(", or "));
    }
    match known {
        [] => "no registry is".to_owned(),
        known if known.len() <= NEAREST => format!("there is {}", known.join(", ")),
        known => {
            let rest = known.len() - NEAREST;
            format!("there are {} and {rest} more", known[..NEAREST].join(", "))
        }
    }
}

/// Says that a registry did not confirm what is known of a tag.
fn unconfirmed(image: &str, reason: StaleReason) -> OperationError {
    let (code, why) = match reason {
        StaleReason::Unreachable => (
            ErrorCode::Unavailable,
            "its registry cannot be reached or is in trouble",
        ),
        StaleReason::RateLimited => (
            ErrorCode::RateLimited,
            "its registry allows no more requests",
        ),
        StaleReason::Denied => (ErrorCode::NoRepository, "its registry refuses us"),
        StaleReason::NotFound => (
            ErrorCode::NoTag,
            "its registry says that there is no such tag",
        ),
        StaleReason::Slow => (
            ErrorCode::Unavailable,
            "its registry takes too long to answer; it is still being asked",
        ),
    };
    OperationError::new(
        code,
        format!(
            "{image} was not confirmed: {why}; clients get what the tag pointed at before, and the log has the cause"
        ),
    )
}

fn variant(known: TagHistory) -> Variant {
    let TagHistory {
        class,
        visibility,
        moves,
        is_present,
    } = known;
    let newest_first = moves.iter().rev().enumerate();
    let moves = newest_first.map(|(index, seen)| Move {
        digest: seen.digest,
        first_seen: seen.first_seen.into(),
        last_seen: seen.last_seen.into(),
        is_present: is_present && index == 0,
    });
    Variant {
        class,
        visibility,
        moves: moves.collect(),
    }
}

/// Compares what was known of a tag with what is known now, in the view that the registry answered for last.
fn answered(class: VariantClass, before: &[TagHistory], after: &[TagHistory]) -> Option<Answered> {
    let of_class = |known: &&TagHistory| known.class == class && known.is_present;
    let now = after
        .iter()
        .filter(of_class)
        .max_by_key(|known| known.moves.last().map(|seen| seen.last_seen))?;
    let same = |known: &&TagHistory| known.visibility == now.visibility;
    let before = before.iter().filter(of_class).find(same);
    let before = before.and_then(|known| Some(known.moves.last()?.digest));
    let now = now.moves.last()?.digest;
    let change = match before {
        None => Change::New,
        Some(before) if before == now => Change::Unchanged,
        Some(_) => Change::Moved,
    };
    Some(Answered {
        class,
        before,
        now,
        change,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::addressing::{Settings, UpstreamRule};
    use crate::cache::{self, Parts};
    use crate::runtime::{InstanceId, Tasks};
    use crate::store::memory::{MemoryBlobs, MemoryRecords};
    use crate::store::{SpaceFloor, spool::SpoolArea};
    use crate::upstream::{self, Egress, Limits, Metrics};

    /// Operations on nothing, for a registry and a pattern that are configured.
    pub(in crate::admin) fn operations(tasks: &Tasks) -> Operations {
        let patterns = ["r.io", "quay.io", "ghcr.io", "*.ecr.example.com"];
        let patterns = patterns.map(|pattern| pattern.parse::<UpstreamPattern>().unwrap());
        let clock = Clock::system();
        let parts = upstream::Parts {
            limits: Limits::default(),
            metrics: Metrics::register(&mut Registry::default()),
            egress: Egress::default(),
            clock: clock.clone(),
            tasks: tasks.clone(),
            instance: InstanceId::random(),
        };
        let settings = patterns
            .iter()
            .map(|pattern| upstream::Settings::new(pattern.clone(), Vec::new()));
        let upstreams = upstream::Upstreams::new(settings.collect(), parts).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let floor = SpaceFloor::new(0);
        let spools = SpoolArea::open(folder.path(), floor, tasks.clone(), clock.clone()).unwrap();
        let parts = Parts {
            blobs: Arc::new(MemoryBlobs::new(tasks.clone())),
            spools,
            records: Arc::new(MemoryRecords::default()),
            upstreams,
            metrics: cache::Metrics::default(),
            tasks: tasks.clone(),
            clock: clock.clone(),
        };
        let cache = Cache::new(parts, cache::Settings::default());
        let upstreams = patterns.into_iter().map(|pattern| UpstreamRule {
            pattern,
            aliases: Vec::new(),
            hosts: Vec::new(),
        });
        let addressing = Addressing::new(&Settings {
            upstreams: upstreams.collect(),
            default: None,
        });
        Operations::new(Arc::new(cache), Live::new(addressing), clock)
    }

    #[tokio::test]
    async fn images_that_are_no_tags_are_told_apart() {
        let operations = operations(&Tasks::new());
        let digest = format!("r.io/app@sha256:{}", "d".repeat(64));
        for (image, code, told) in [
            ("r.io/app:", ErrorCode::InvalidImage, "names no image"),
            ("r.io/App:1", ErrorCode::InvalidImage, ""),
            (&digest, ErrorCode::NotATag, "never changes"),
            ("other.io/app:1", ErrorCode::NotConfigured, "other.io"),
            ("app:1", ErrorCode::NotConfigured, "default_upstream"),
            ("local/app:1", ErrorCode::NoRepository, "hosts nothing"),
        ] {
            let refused = operations.history(image).await.unwrap_err();
            assert_eq!(refused.code, code, "{image}: {refused}");
            assert!(refused.message.contains(told), "{image}: {refused}");
        }
        let nothing = operations.history("r.io/app").await.unwrap();
        assert_eq!(
            (nothing.tag.as_str(), nothing.variants.len()),
            ("latest", 0)
        );
    }

    #[tokio::test]
    async fn a_mode_is_that_of_an_entry_of_the_configuration() {
        let operations = operations(&Tasks::new());
        let set = |name, mode| operations.set_mode(name, mode);
        let changed = set("R.IO", Mode::Offline).unwrap();
        assert_eq!(
            (changed.upstream.as_str(), changed.before),
            ("r.io", Mode::Online)
        );
        assert_eq!(set("r.io", Mode::Online).unwrap().before, Mode::Offline);
        let pattern = set("*.ecr.example.com", Mode::Offline).unwrap();
        assert_eq!(pattern.now, Mode::Offline);
        for (name, code, told) in [
            (
                "1.ecr.example.com",
                ErrorCode::ConfiguredByPattern,
                "'*.ecr.example.com'",
            ),
            ("qvay.io", ErrorCode::NotConfigured, "did you mean quay.io?"),
            (
                "registry.example",
                ErrorCode::NotConfigured,
                "not configured here: there ",
            ),
            ("*", ErrorCode::InvalidRequest, "names no upstream"),
            ("r.io/app", ErrorCode::InvalidRequest, "names no upstream"),
        ] {
            let refused = set(name, Mode::Offline).unwrap_err();
            assert_eq!(refused.code, code, "{name}: {refused}");
            assert!(refused.message.contains(told), "{name}: {refused}");
        }
    }

    #[tokio::test]
    async fn an_image_is_not_asked_for_at_a_registry_that_is_offline() {
        let operations = operations(&Tasks::new());
        operations.set_mode("r.io", Mode::Offline).unwrap();
        let refused = operations.refresh("r.io/app:1").await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Offline, "{refused}");
    }
}
