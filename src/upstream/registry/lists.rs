//! What a registry lists of a repository, and small things that are read whole.

use bytes::Bytes;

use super::{TransferRange, Upstream};
use crate::oci::{Digest, Reference, Referrer, RepositoryName, Tag, VariantClass};
use crate::upstream::budget::Work;
use crate::upstream::error::UpstreamError;
use crate::upstream::listing::{self, Cursor, TagsPage};
use crate::upstream::request::Sought;
use crate::upstream::settings::EndpointScope;

impl Upstream {
    /// Asks for the tags of a repository, a page at a time and in the order of the registry: the first page, or the one
    /// that another page says comes next. `None` when the registry says 404.
    ///
    /// # Errors
    /// [`UpstreamError`], of the last endpoint; of the one that gave the first page, for all others.
    pub async fn tags<'a>(
        &self,
        sought: impl Into<Sought<'a>>,
        after: Option<&Cursor>,
    ) -> Result<Option<TagsPage>, UpstreamError> {
        let sought = sought.into();
        let _permit = self.admit(Work::Question).await?;
        match after {
            None => {
                self.in_order(EndpointScope::Everything, |endpoint| {
                    listing::tags(endpoint, sought, None)
                })
                .await
            }
            Some(cursor) => {
                let endpoint = cursor.endpoint();
                let attempt = || listing::tags(endpoint, sought, Some(cursor));
                endpoint.limits().retry.run(attempt).await
            }
        }
    }

    /// Asks what refers to a manifest: signatures, lists of parts and the like. Where the registry does not have this
    /// question, the tag that clients use instead is asked for: at once where that was found out within the last minutes.
    /// What that tag leads to counts when it is an index of the OCI; anything else lists nothing.
    ///
    /// # Errors
    /// [`UpstreamError`], of the last endpoint.
    pub async fn referrers<'a>(
        &self,
        sought: impl Into<Sought<'a>>,
        digest: &Digest,
    ) -> Result<Vec<Referrer>, UpstreamError> {
        let sought = sought.into();
        {
            let _permit = self.admit(Work::Question).await?;
            let asked = self.in_order(EndpointScope::Everything, |endpoint| {
                listing::referrers(endpoint, sought, digest)
            });
            if let Some(referrers) = asked.await? {
                return Ok(referrers);
            }
        }
        let tag = Reference::Tag(Tag::of_referrers(digest));
        let found = self.get_manifest(sought, &tag, VariantClass::Index);
        Ok(found.await?.map_or_else(Vec::new, |manifest| {
            listing::tagged_referrers(&manifest.bytes)
        }))
    }

    /// Fetches a blob that has to fit into memory, such as the config of an image, and verifies it. `None` when the
    /// registry says 404.
    ///
    /// # Errors
    /// [`UpstreamError`] as from [`Upstream::get_blob`], and when the blob is larger than the limit or is not what its
    /// digest names.
    pub async fn small_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        limit: usize,
    ) -> Result<Option<Bytes>, UpstreamError> {
        let begun = self.get_blob(repository, digest, TransferRange::WHOLE, None);
        match begun.await? {
            Some(transfer) => listing::whole(&self.name, transfer, digest, limit)
                .await
                .map(Some),
            None => Ok(None),
        }
    }
}
