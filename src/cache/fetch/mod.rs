//! Fetching manifests: asked for once however many want them, verified, read, and kept.

mod ask;
mod kept;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;

use self::ask::{get, head, parse, take};
use self::kept::Kept;
pub use self::kept::Manifest;
use super::backing::Backing;
use super::error::CacheError;
use super::flight::SharedWork;
use super::negative::Absent;
use super::sight::View;
use crate::answer::ManifestHead;
use crate::oci::{Digest, MediaType, Reference, VariantClass};
use crate::store::{Opened, Piece, StoreError};
use crate::upstream::Fetched;

/// How long a manifest is kept in memory. The store hears of its use when it is read again, so that what everybody wants
/// does not look as if nobody had wanted it.
const IN_MEMORY_FOR: Duration = Duration::from_hours(24);
/// How many bytes of manifests are kept in memory.
const IN_MEMORY: u64 = 32 * 1024 * 1024;

/// The largest manifest, in bytes (distribution-spec asks for at least 4 MiB).
const LARGEST: u64 = 8 * 1024 * 1024;

/// What a request to a registry is shared by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Request {
    view: View,
    reference: Reference,
    class: VariantClass,
}

impl Request {
    /// Names what it asks for, for when that is not there.
    fn as_absent(&self) -> Absent {
        Absent::Manifest(self.view.clone(), self.reference.clone(), self.class)
    }
}

/// Brings manifests from registries and from the store.
#[derive(Debug)]
pub struct Fetcher {
    backing: Arc<Backing>,
    memory: moka::sync::Cache<Digest, Kept>,
    gets: SharedWork<Request, Result<Manifest, CacheError>>,
    heads: SharedWork<Request, Result<Option<ManifestHead>, CacheError>>,
}

impl Fetcher {
    /// Starts with nothing in memory.
    pub fn new(backing: Arc<Backing>) -> Self {
        let weight = |_: &Digest, kept: &Kept| u32::try_from(kept.bytes.len()).unwrap_or(u32::MAX);
        let memory = moka::sync::Cache::builder()
            .max_capacity(IN_MEMORY)
            .weigher(weight)
            .time_to_live(IN_MEMORY_FOR)
            .build();
        let (gets, heads) = (
            SharedWork::new(backing.tasks.clone()),
            SharedWork::new(backing.tasks.clone()),
        );
        Self {
            backing,
            memory,
            gets,
            heads,
        }
    }

    /// Returns whether the bytes of a manifest, or of something with its digest, are here.
    ///
    /// # Errors
    /// [`CacheError`] when the store could not be asked.
    pub async fn is_kept(&self, digest: &Digest) -> Result<bool, CacheError> {
        Ok(self.memory.contains_key(digest) || self.backing.blobs.size(digest).await?.is_some())
    }

    /// Returns a manifest that is here, whoever fetched it, for a repository whose registry answered for it with this
    /// type. Bytes that are not taken as a manifest are not there.
    ///
    /// # Errors
    /// [`CacheError`] when the store could not be read.
    pub async fn kept(
        &self,
        view: &View,
        digest: &Digest,
        claimed: Option<&MediaType>,
    ) -> Result<Option<Manifest>, CacheError> {
        if let Some(kept) = self.memory.get(digest) {
            return Ok(Some(kept.named(digest, claimed)));
        }
        let Some(bytes) = self.stored(digest).await? else {
            return Ok(None);
        };
        let parsed = match parse(&bytes, claimed) {
            Ok(parsed) if parsed.media_type.is_schema1() => return Ok(None),
            Ok(parsed) => parsed,
            Err(error) => {
                tracing::debug!(content.digest = %digest, %error, "what is kept is not taken as a manifest");
                return Ok(None);
            }
        };
        self.backing.remember_sizes(&view.origin, &parsed);
        let kept = Kept::new(bytes, &parsed);
        self.memory.insert(*digest, kept.clone());
        Ok(Some(kept.named(digest, claimed)))
    }

    /// Reads what is stored under a digest, unless it is larger than manifests are.
    async fn stored(&self, digest: &Digest) -> Result<Option<Bytes>, CacheError> {
        let Some(found) = self.backing.blobs.open(digest, None).await? else {
            return Ok(None);
        };
        let Opened::Range(_, mut reader) = found.opened else {
            return Ok(None);
        };
        if found.total > LARGEST {
            return Ok(None);
        }
        let mut whole = Vec::with_capacity(usize::try_from(found.total).unwrap_or_default());
        while let Some(piece) = reader.next().await {
            whole.extend_from_slice(&self.read(piece?).await?);
        }
        Ok(Some(Bytes::from(whole)))
    }

    async fn read(&self, piece: Piece) -> Result<Bytes, StoreError> {
        let slice = match piece {
            Piece::Bytes(bytes) => return Ok(bytes),
            Piece::File(slice) => slice,
        };
        let length = usize::try_from(slice.length).unwrap_or(usize::MAX);
        let job = self
            .backing
            .tasks
            .spawn_blocking(move || slice.read(0, length));
        let read = job.await.unwrap_or_else(|stopped| Err(stopped.into()));
        read.map_err(|error| StoreError::io("read", "a manifest", error))
    }

    /// Fetches a manifest from its registry and keeps it, once for all who want it now.
    ///
    /// # Errors
    /// [`CacheError`]: the registry does not have it, could not be asked, or sent something else.
    pub async fn get(
        &self,
        view: &View,
        reference: &Reference,
        class: VariantClass,
    ) -> Result<Manifest, CacheError> {
        let request = Request {
            view: view.clone(),
            reference: reference.clone(),
            class,
        };
        let (backing, memory, asked) = (self.backing.clone(), self.memory.clone(), request.clone());
        let work = move || get(backing, memory, asked);
        self.gets
            .run("get_manifest", &request, work)
            .await
            .ok_or(CacheError::Stopping)?
            .0
    }

    /// Fetches a manifest from its registry and keeps it, unless it is still the one with this digest: then `None`. The
    /// caller sees to it that this is done once for all.
    ///
    /// # Errors
    /// As [`Fetcher::get`].
    pub async fn renew(
        &self,
        view: &View,
        reference: &Reference,
        class: VariantClass,
        known: &Digest,
    ) -> Result<Option<Manifest>, CacheError> {
        let backing = &self.backing;
        let upstream = backing.upstream(&view.origin.upstream)?;
        let fetched = upstream
            .get_manifest_unless(view.sought(), reference, class, known)
            .await?;
        let fetched = match fetched {
            Some(Fetched::Unchanged) => return Ok(None),
            Some(Fetched::Manifest(fetched)) => Some(fetched),
            None => None,
        };
        let request = Request {
            view: view.clone(),
            reference: reference.clone(),
            class,
        };
        take(backing, &self.memory, request, fetched)
            .await
            .map(Some)
    }

    /// Asks a registry what a manifest is, once for all who want to know now. `None` when it does not answer such
    /// requests well enough, so that it has to be fetched.
    ///
    /// # Errors
    /// [`CacheError`]: the registry does not have it, or could not be asked.
    pub async fn head(
        &self,
        view: &View,
        reference: &Reference,
        class: VariantClass,
    ) -> Result<Option<ManifestHead>, CacheError> {
        let request = Request {
            view: view.clone(),
            reference: reference.clone(),
            class,
        };
        let (backing, asked) = (self.backing.clone(), request.clone());
        let work = move || head(backing, asked);
        self.heads
            .run("head_manifest", &request, work)
            .await
            .ok_or(CacheError::Stopping)?
            .0
    }
}
