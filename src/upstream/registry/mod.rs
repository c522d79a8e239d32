//! One registry, and what it can be asked.

mod lists;

use std::sync::Arc;

use bytes::Bytes;
use http::Method;

use crate::oci::{Digest, MediaType, Reference, RepositoryName, UpstreamName, VariantClass};
use crate::telemetry::with_causes;
use crate::upstream::blob;
use crate::upstream::budget::{Budget, Permit, Work};
use crate::upstream::credentials::LoginIdentity;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::error::UpstreamError;
use crate::upstream::manifest;
use crate::upstream::openness::{self, Openness, Sample};
use crate::upstream::quota::{self, Quota};
use crate::upstream::request::{Ask, Sought};
use crate::upstream::resume::{BlobTransfer, Source};
use crate::upstream::settings::{EndpointScope, Limits};
use crate::upstream::standing::UpstreamStanding;
use crate::upstream::switch::{Mode, Switch};

/// One registry that we pull from.
#[derive(Debug)]
pub struct Upstream {
    name: UpstreamName,
    configured_name: Arc<str>,
    /// At least one, in the order in which they are asked.
    endpoints: Vec<Arc<Endpoint>>,
    budget: Budget,
    switch: Arc<Switch>,
}

/// A manifest as the registry sent it. Nothing is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedManifest {
    /// The body.
    pub bytes: Bytes,
    /// Its `Content-Type`.
    pub media_type: Option<MediaType>,
    /// The digest that the registry says it has: `Docker-Content-Digest`, else `ETag` when that is a digest.
    pub declared: Option<Digest>,
}

/// What became of a request for a manifest unless it is one that we have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// It came. It may be the one that we have: not every registry looks.
    Manifest(FetchedManifest),
    /// It is the one that we have.
    Unchanged,
}

/// What a HEAD request tells of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManifestHead {
    /// The registry has it, and says what it is.
    Described {
        /// Its digest, as the registry says.
        digest: Digest,
        /// Its `Content-Type`.
        media_type: Option<MediaType>,
        /// Its size in bytes.
        size: Option<u64>,
    },
    /// The registry does not do this: it refuses the method, or its answer names no digest, now or some minutes ago. A
    /// GET will tell.
    Unsupported,
}

/// What a registry tells of a blob that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobHead {
    /// Its size in bytes, when the registry says.
    pub size: Option<u64>,
}

/// Which bytes of a blob to transfer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransferRange {
    /// The first byte.
    pub start: u64,
    /// The byte after the last, `None` for the end of the blob.
    pub end: Option<u64>,
}

impl TransferRange {
    /// The whole blob.
    pub const WHOLE: Self = Self {
        start: 0,
        end: None,
    };
}

impl Upstream {
    /// Makes an upstream of its endpoints, at least one.
    pub(super) fn new(
        (name, configured_name): (UpstreamName, Arc<str>),
        endpoints: Vec<Arc<Endpoint>>,
        switch: Arc<Switch>,
        limits: &Limits,
    ) -> Self {
        Self {
            budget: Budget::new(name.clone(), limits),
            name,
            configured_name,
            endpoints,
            switch,
        }
    }

    /// Returns the name of the upstream.
    pub fn name(&self) -> &UpstreamName {
        &self.name
    }

    /// Returns it as it is configured: by its name, or by the pattern that its name fits.
    pub fn configured_name(&self) -> &Arc<str> {
        &self.configured_name
    }

    /// Returns whether it may be asked. While it may not, every question fails with [`UpstreamError::Offline`].
    pub fn mode(&self) -> Mode {
        self.switch.mode()
    }

    /// Returns the addresses of the endpoints, in order, for people to read.
    pub fn places(&self) -> Vec<String> {
        let places = self.endpoints.iter();
        places.map(|endpoint| endpoint.url().to_string()).collect()
    }

    /// Returns what is known of it. Nobody is asked.
    pub fn standing(&self) -> UpstreamStanding {
        let endpoints = self.endpoints.iter();
        UpstreamStanding {
            name: self.name.clone(),
            endpoints: endpoints.map(|endpoint| endpoint.standing()).collect(),
        }
    }

    /// Returns which login is for a repository, `None` when it is asked for anonymously. A client certificate is one. It stays the same when a password
    /// changes. Waits for a file or a helper only as long as nothing is known of it.
    pub async fn login(&self, repository: &RepositoryName) -> Option<LoginIdentity> {
        let mut names = Vec::new();
        for endpoint in &self.endpoints {
            if let Some(identity) = endpoint.login(repository).await {
                names.push(identity.as_str().to_owned());
            }
            if endpoint.shows_certificate() {
                names.push("client certificate".to_owned());
            }
        }
        (!names.is_empty()).then(|| LoginIdentity::new(&names.join(", ")))
    }

    /// Finds out whether somebody without a login may read a repository, by a HEAD for something in it, which costs no
    /// quota. The last endpoint alone is asked: a mirror before it may have content under whatever name. It is asked once:
    /// who waits for the answer wants something else, and that is tried again.
    ///
    /// # Errors
    /// [`UpstreamError`] when the registry could not be asked.
    pub async fn openness(
        &self,
        repository: &RepositoryName,
        sample: Sample<'_>,
    ) -> Result<Openness, UpstreamError> {
        let _permit = self.admit(Work::Question).await?;
        let last = self
            .endpoints
            .last()
            .expect("an upstream has at least one endpoint");
        openness::of(openness::ask(last, repository, sample).await)
    }

    /// Asks what the registry lets us pull, without spending any of it, and with which login. `None` when it does not say,
    /// as to accounts without limits. Only Docker Hub is known to have what is asked for here.
    ///
    /// # Errors
    /// [`UpstreamError`], of the last endpoint.
    pub async fn quota(&self) -> Result<Option<(Option<LoginIdentity>, Quota)>, UpstreamError> {
        let _permit = self.admit(Work::Question).await?;
        let repository = quota::SAMPLE.parse().expect("the sample is a repository");
        let tag = Reference::Tag("latest".parse().expect("'latest' is a tag"));
        let ask = Ask::manifest(Method::HEAD, &repository, &tag, VariantClass::Index);
        let last = self
            .endpoints
            .last()
            .expect("an upstream has at least one endpoint");
        let answer = last.request(&ask).await?;
        let quota = Quota::of(answer.headers());
        Ok(quota.map(|quota| (answer.payer().cloned(), quota)))
    }

    /// Fetches a manifest of at most 8 MiB. `None` when the registry says 404.
    ///
    /// # Errors
    /// [`UpstreamError`], of the last endpoint.
    pub async fn get_manifest<'a>(
        &self,
        sought: impl Into<Sought<'a>>,
        reference: &Reference,
        class: VariantClass,
    ) -> Result<Option<FetchedManifest>, UpstreamError> {
        let sought = sought.into();
        let _permit = self.admit(Work::Question).await?;
        self.in_order(scope_of(reference), |endpoint| {
            manifest::fetch(endpoint, sought, reference, class)
        })
        .await
    }

    /// Fetches a manifest as [`Upstream::get_manifest`] does, unless it still has this digest.
    ///
    /// # Errors
    /// [`UpstreamError`], of the last endpoint.
    pub async fn get_manifest_unless<'a>(
        &self,
        sought: impl Into<Sought<'a>>,
        reference: &Reference,
        class: VariantClass,
        known: &Digest,
    ) -> Result<Option<Fetched>, UpstreamError> {
        let sought = sought.into();
        let _permit = self.admit(Work::Question).await?;
        self.in_order(scope_of(reference), |endpoint| {
            manifest::renew(endpoint, sought, reference, class, known)
        })
        .await
    }

    /// Asks for the digest of a manifest without its body. `None` when the registry says 404.
    ///
    /// # Errors
    /// [`UpstreamError`], of the last endpoint.
    pub async fn head_manifest<'a>(
        &self,
        sought: impl Into<Sought<'a>>,
        reference: &Reference,
        class: VariantClass,
    ) -> Result<Option<ManifestHead>, UpstreamError> {
        let sought = sought.into();
        let _permit = self.admit(Work::Question).await?;
        self.in_order(scope_of(reference), |endpoint| {
            manifest::head(endpoint, sought, reference, class)
        })
        .await
    }

    /// Asks whether the registry has a blob in a repository. `None` when it says 404.
    ///
    /// # Errors
    /// [`UpstreamError`], of the last endpoint.
    pub async fn head_blob<'a>(
        &self,
        sought: impl Into<Sought<'a>>,
        digest: &Digest,
    ) -> Result<Option<BlobHead>, UpstreamError> {
        let sought = sought.into();
        let _permit = self.admit(Work::Question).await?;
        self.in_order(EndpointScope::Digests, |endpoint| {
            blob::head(endpoint, sought, digest)
        })
        .await
    }

    /// Begins to transfer a blob. Returns when the registry has answered; `None` when it says 404.
    ///
    /// `known_total` is the size of the blob when the caller knows it: an answer with another size is an error.
    ///
    /// # Errors
    /// [`UpstreamError`], of the last endpoint.
    pub async fn get_blob<'a>(
        &self,
        sought: impl Into<Sought<'a>>,
        digest: &Digest,
        range: TransferRange,
        known_total: Option<u64>,
    ) -> Result<Option<BlobTransfer>, UpstreamError> {
        self.transfer(Work::Transfer, sought.into(), digest, range, known_total)
            .await
    }

    /// Begins to transfer a part of a blob of this size that lies ahead of another transfer: at once, or not at all.
    ///
    /// # Errors
    /// As [`Upstream::get_blob`]; [`UpstreamError::Overloaded`] when there is no room for it in the budget, and
    /// [`UpstreamError::Protocol`] when the registry is known to send whole blobs alone.
    pub async fn get_blob_ahead<'a>(
        &self,
        sought: impl Into<Sought<'a>>,
        digest: &Digest,
        range: TransferRange,
        total: u64,
    ) -> Result<Option<BlobTransfer>, UpstreamError> {
        self.transfer(Work::Ahead, sought.into(), digest, range, Some(total))
            .await
    }

    async fn transfer(
        &self,
        work: Work,
        sought: Sought<'_>,
        digest: &Digest,
        range: TransferRange,
        known_total: Option<u64>,
    ) -> Result<Option<BlobTransfer>, UpstreamError> {
        let permit = self.admit(work).await?;
        let TransferRange { start, end } = range;
        let ask = Ask::blob(Method::GET, sought.repository, digest)
            .by(sought.as_whom)
            .with_range(start, end);
        let opened = self
            .in_order(EndpointScope::Digests, async |endpoint| {
                if work == Work::Ahead && endpoint.habits().has_no_ranges() {
                    let host = endpoint.url().site().name();
                    return Err(UpstreamError::protocol(host, "sends no parts of blobs"));
                }
                let opening = blob::open(endpoint, &ask, start, known_total).await?;
                Ok(opening.map(|opening| (endpoint.clone(), opening)))
            })
            .await?;
        Ok(opened.map(|(endpoint, opening)| {
            let source = Source {
                endpoint,
                repository: sought.repository.clone(),
                as_whom: sought.as_whom,
                digest: *digest,
                _permit: permit,
            };
            BlobTransfer::new(source, opening, range)
        }))
    }

    /// Lets a request through when there is room for it, unless nothing is to be asked.
    async fn admit(&self, work: Work) -> Result<Permit, UpstreamError> {
        if self.mode() == Mode::Offline {
            let upstream = self.name.as_str().into();
            return Err(UpstreamError::Offline { upstream });
        }
        self.budget.admit(work).await
    }

    /// Asks the endpoints in order that answer what needs this scope. What is not found or not to be had at one is asked
    /// of the next; the last one decides, and it alone is tried again when it is in trouble.
    async fn in_order<'a, T, F>(
        &'a self,
        needed: EndpointScope,
        ask: impl Fn(&'a Arc<Endpoint>) -> F,
    ) -> Result<Option<T>, UpstreamError>
    where
        F: Future<Output = Result<Option<T>, UpstreamError>>,
    {
        let (last, earlier) = self
            .endpoints
            .split_last()
            .expect("an upstream has at least one endpoint");
        let covers = |endpoint: &&Arc<Endpoint>| endpoint.scope().covers(needed);
        for endpoint in earlier.iter().filter(covers) {
            match ask(endpoint).await {
                Ok(Some(found)) => return Ok(Some(found)),
                Ok(None) => {}
                Err(error) => tracing::debug!(
                    upstream.name = %self.name,
                    error = with_causes(&error),
                    "going on to the next endpoint"
                ),
            }
        }
        last.limits().retry.run(|| ask(last)).await
    }
}

/// Returns what an endpoint has to be for, to be asked for a manifest.
fn scope_of(reference: &Reference) -> EndpointScope {
    match reference {
        Reference::Tag(_) => EndpointScope::Everything,
        Reference::Digest(_) => EndpointScope::Digests,
    }
}
