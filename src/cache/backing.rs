//! What all parts of the cache work with.

use std::sync::Arc;
use std::time::Duration;

use super::Settings;
use super::error::CacheError;
use super::fill::FillKey;
use super::freshness::decision::Reach;
use super::freshness::{self, Policy, Subject};
use super::ledger::{Ledger, Wanted};
use super::metrics::Metrics;
use super::negative::NegativeMemory;
use super::sight::{Links, View};
use super::visibility::Visibilities;
use crate::addressing::{Caller, Grant, Origin};
use crate::answer::CacheOutcome;
use crate::oci::{Digest, ManifestView, UpstreamName};
use crate::runtime::{Clock, Live, Tasks};
use crate::store::spool::SpoolArea;
use crate::store::{BlobStore, RecordStore, StoreError};
use crate::upstream::{Mode, Sample, Upstream, Upstreams};

/// How many sizes are remembered that manifests told.
const SIZES: u64 = 50_000;
/// How long a registry is suspected that sent wrong content.
const SUSPICION: Duration = Duration::from_mins(10);
/// How many wrong contents are remembered.
const SUSPECTS: u64 = 1_000;

/// Where content and records are kept, and where they come from.
#[derive(Debug)]
pub struct Parts {
    /// Content.
    pub blobs: Arc<dyn BlobStore>,
    /// Content on its way in.
    pub spools: SpoolArea,
    /// Records that may be lost.
    pub records: Arc<dyn RecordStore>,
    /// The registries.
    pub upstreams: Upstreams,
    /// What is counted.
    pub metrics: Metrics,
    /// All tasks.
    pub tasks: Tasks,
    /// The time.
    pub clock: Clock,
}

/// The parts, and what is remembered across them.
#[derive(Debug)]
pub struct Backing {
    /// Content.
    pub blobs: Arc<dyn BlobStore>,
    /// Content on its way in.
    pub spools: SpoolArea,
    /// Records that may be lost.
    pub records: Arc<dyn RecordStore>,
    /// Which repository has what.
    pub links: Links,
    /// Who may look at which.
    pub visibilities: Visibilities,
    /// For how long what counts.
    pub contract: Live<freshness::Settings>,
    /// The registries.
    pub upstreams: Upstreams,
    /// What their troubles cost.
    pub ledger: Ledger,
    /// What registries do not have.
    pub negative: NegativeMemory,
    /// Sizes of content that the manifests of a repository told, in bytes. Where its registry announces no length they are
    /// believed, for that repository alone.
    sizes: moka::sync::Cache<(Origin, Digest), u64>,
    /// What is counted.
    pub metrics: Metrics,
    /// Where wrong content came from. The next fill of it is verified before its first byte goes out.
    pub suspects: moka::sync::Cache<FillKey, ()>,
    /// All tasks.
    pub tasks: Tasks,
    /// The time.
    pub clock: Clock,
}

impl Backing {
    /// Takes the parts, with nothing remembered.
    pub fn new(parts: Parts, settings: Settings) -> Self {
        Self {
            links: Links::new(parts.records.clone()),
            visibilities: Visibilities::new(
                parts.records.clone(),
                settings.share,
                &parts.tasks,
                &parts.clock,
            ),
            contract: Live::new(settings.tags),
            blobs: parts.blobs,
            spools: parts.spools,
            records: parts.records,
            upstreams: parts.upstreams,
            ledger: Ledger::default(),
            negative: NegativeMemory::default(),
            sizes: moka::sync::Cache::new(SIZES),
            metrics: parts.metrics,
            suspects: moka::sync::Cache::builder()
                .max_capacity(SUSPECTS)
                .time_to_live(SUSPICION)
                .build(),
            tasks: parts.tasks,
            clock: parts.clock,
        }
    }

    /// Returns the registry of this name.
    ///
    /// # Errors
    /// [`CacheError::NotConfigured`], which addressing has seen to.
    pub fn upstream(&self, name: &UpstreamName) -> Result<Arc<Upstream>, CacheError> {
        self.upstreams
            .get(name)
            .ok_or_else(|| CacheError::NotConfigured(name.clone()))
    }

    /// Returns the view that a caller has of a repository, who asks for this of it: where every answer begins.
    ///
    /// # Errors
    /// [`CacheError::Private`] when the caller may not look. Others when that cannot be found out.
    pub async fn view(
        &self,
        grant: &Grant<Origin>,
        sample: Sample<'_>,
    ) -> Result<View, CacheError> {
        let upstream = self.upstream(&grant.target().upstream)?;
        self.visibilities.view(&upstream, grant, sample).await
    }

    /// Answers a request for something of a repository, and takes down what became of it.
    ///
    /// # Errors
    /// Those of the work.
    pub async fn noted<T>(
        &self,
        origin: &Origin,
        wanted: Wanted<'_>,
        outcome: impl Fn(&T) -> CacheOutcome,
        work: impl Future<Output = Result<T, CacheError>>,
    ) -> Result<T, CacheError> {
        let answered = work.await;
        let came = answered.as_ref().map(outcome);
        if let Ok(CacheOutcome::Stale(reason)) = came
            && let Some(upstream) = self.upstreams.get(&origin.upstream)
        {
            self.metrics.stale(upstream.configured_name(), reason);
        }
        self.ledger.note(origin, wanted, came, self.clock.now());
        answered
    }

    /// Tells whether a caller may hear that a repository is here, of which something was seen with this identity, as keys
    /// name it. Nobody is asked.
    ///
    /// # Errors
    /// [`StoreError`] when what is known of it could not be read.
    pub async fn shows(
        &self,
        caller: &Caller,
        origin: &Origin,
        identity: &str,
    ) -> Result<bool, StoreError> {
        let upstream = self.upstreams.get(&origin.upstream);
        let upstream = upstream.as_deref();
        self.visibilities
            .shows(upstream, caller, origin, identity)
            .await
    }

    /// Returns what holds for something of a repository.
    pub fn policy(&self, view: &View, subject: Subject<'_>) -> Policy {
        self.contract
            .now()
            .policy(&view.origin, view.visibility(), subject)
    }

    /// Returns whether the registry of a repository may be asked.
    ///
    /// # Errors
    /// As [`Backing::upstream`].
    pub fn reach(&self, view: &View) -> Result<Reach, CacheError> {
        Ok(match self.upstream(&view.origin.upstream)?.mode() {
            Mode::Online => Reach::Online,
            Mode::Offline => Reach::Offline,
        })
    }

    /// Remembers the sizes that a manifest tells of what it lists.
    pub fn remember_sizes(&self, origin: &Origin, manifest: &ManifestView) {
        for descriptor in manifest.manifests.iter().chain(&manifest.blobs) {
            self.sizes
                .insert((origin.clone(), descriptor.digest), descriptor.size);
        }
    }

    /// Returns the size that a manifest of the repository told.
    pub fn told_size(&self, origin: &Origin, digest: &Digest) -> Option<u64> {
        self.sizes.get(&(origin.clone(), *digest))
    }
}
