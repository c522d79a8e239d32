//! What a registry can list of a repository: its tags, and what refers to a manifest. Pages are asked for one after the
//! other; where the next one is, the registry says, and only as much of that is believed as selects a page of the same
//! list.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::LINK;
use http::{StatusCode, Uri};
use serde::Deserialize;

use super::answer::Answer;
use super::endpoint::Endpoint;
use super::error::UpstreamError;
use super::redirect;
use super::refusal;
use super::request::{AsWhom, Ask, Sought};
use super::resume::BlobTransfer;
use super::sifted::Sifted;
use crate::oci::{
    Digest, MediaType, Referrer, RepositoryName, Tag, UpstreamName, Verifier, next_page,
};

/// The most pages of tags. With a thousand tags a page, no repository comes near.
const MAX_PAGES: usize = 10_000;
/// The most pages of referrers, which are few.
const MAX_REFERRERS_PAGES: usize = 100;
/// The largest page of tags: ten times what a thousand of the longest need, since some registries do not do pages.
const MAX_PAGE_SIZE: usize = 8 << 20;
/// The most bytes of all pages of tags together, whatever is in them: eight times the most that their tags may have, since
/// some registries say more of a repository than its tags (GCR). Nobody is followed for ever.
const MAX_TAGS_PAGES_SIZE: usize = 8 * MAX_PAGE_SIZE;
/// The most bytes of referrers, all pages together: as much as an index may have.
pub const MAX_REFERRERS_SIZE: usize = 8 << 20;
/// The longest query of a next page. Registries put a tag there, or a token of some hundred bytes.
const MAX_QUERY: usize = 4 << 10;
/// The query of the first page. More than a thousand tags a page are an error at some registries.
const FIRST_PAGE: &str = "n=1000";
/// The query for one tag, whichever.
const ONE: &str = "n=1";
/// The list of tags, below the repository.
const TAGS: &str = "tags/list";

/// Some of the tags of a repository.
#[derive(Clone, Debug)]
pub struct TagsPage {
    /// The tags, as the registry orders them. What is no tag is left out.
    pub tags: Vec<Tag>,
    /// Where the next page begins, `None` on the last one.
    pub next: Option<Cursor>,
}

/// Where a list goes on. It belongs to the endpoint that gave the page before.
#[derive(Clone, Debug)]
pub struct Cursor {
    endpoint: Arc<Endpoint>,
    query: Arc<str>,
    /// How many pages come before.
    pages: usize,
    /// How many bytes these had.
    size: usize,
}

impl Cursor {
    /// Returns who has the next page.
    pub(super) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }
}

/// Asks one endpoint for a page of tags.
pub(super) async fn tags(
    endpoint: &Arc<Endpoint>,
    sought: Sought<'_>,
    after: Option<&Cursor>,
) -> Result<Option<TagsPage>, UpstreamError> {
    let repository = sought.repository;
    let (query, pages) = after.map_or((FIRST_PAGE, 1), |cursor| (&*cursor.query, cursor.pages + 1));
    let before = after.map_or(0, |cursor| cursor.size);
    let ask = Ask::list(repository, TAGS, query, "application/json").by(sought.as_whom);
    let answer = endpoint.request(&ask).await?;
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Ok(None),
        // Some registries list no tags, to nobody.
        status @ (StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED) => {
            return Err(UpstreamError::Refused {
                host: answer.host().clone(),
                status,
                message: None,
                login: None,
            });
        }
        status => {
            let fault = format!("answered {status} to a request for tags");
            return Err(UpstreamError::protocol(answer.host(), fault));
        }
    }
    let host = answer.host().clone();
    let next = Page::of(endpoint, repository, TAGS).next(&answer, query)?;
    if next.is_some() && pages >= MAX_PAGES {
        let fault = format!("has more than {MAX_PAGES} pages of tags");
        return Err(UpstreamError::protocol(&host, fault));
    }
    let body = answer.into_body().collect("tags", MAX_PAGE_SIZE).await?;
    let size = before + body.len();
    if size > MAX_TAGS_PAGES_SIZE {
        return Err(UpstreamError::TooLarge {
            host,
            what: "tags",
            limit_bytes: MAX_TAGS_PAGES_SIZE as u64,
        });
    }
    let tags = read_tags(&body, repository).map_err(|_| {
        UpstreamError::protocol(&host, "answered something else than a list of tags")
    })?;
    let next = next.map(|query| Cursor {
        endpoint: endpoint.clone(),
        query,
        pages,
        size,
    });
    Ok(Some(TagsPage { tags, next }))
}

/// Asks one endpoint, as somebody without a login, for any tag of a repository. `None` when it shows none.
pub(super) async fn any_tag(
    endpoint: &Endpoint,
    repository: &RepositoryName,
) -> Result<Option<Tag>, UpstreamError> {
    let ask = Ask::list(repository, TAGS, ONE, "application/json").by(AsWhom::Anonymous);
    let answer = endpoint.request(&ask).await?;
    if answer.status() != StatusCode::OK {
        return Ok(None);
    }
    // Not every registry looks at how many are wanted.
    let body = answer.into_body().collect("tags", MAX_PAGE_SIZE).await?;
    let tags = read_tags(&body, repository).unwrap_or_default();
    Ok(tags.into_iter().next())
}

#[derive(Deserialize)]
struct TagsDocument {
    /// Null where a repository has none (Nexus).
    tags: Option<Sifted<Tag>>,
}

/// Reads a page of tags, without the nulls (Nexus) and digests (Artifactory) among them.
fn read_tags(body: &[u8], repository: &RepositoryName) -> Result<Vec<Tag>, serde_json::Error> {
    let document: TagsDocument = serde_json::from_slice(body)?;
    let Sifted { kept, passed } = document.tags.unwrap_or_default();
    if passed > 0 {
        tracing::debug!(
            repository.name = %repository,
            entries = passed,
            "passed over what is no tag"
        );
    }
    Ok(kept)
}

/// Asks one endpoint for all that refers to a manifest. `None` when it does not know, or does not have the question, now or
/// some minutes ago.
pub(super) async fn referrers(
    endpoint: &Endpoint,
    sought: Sought<'_>,
    digest: &Digest,
) -> Result<Option<Vec<Referrer>>, UpstreamError> {
    let habits = endpoint.habits();
    if habits.has_no_referrers() {
        return Ok(None);
    }
    let repository = sought.repository;
    let list = format!("referrers/{digest}");
    let (mut found, mut size) = (Vec::new(), 0);
    let mut query: Arc<str> = "".into();
    for _ in 0..MAX_REFERRERS_PAGES {
        let ask = Ask::list(repository, &list, &query, MediaType::OCI_INDEX).by(sought.as_whom);
        let mut answer = match endpoint.request(&ask).await {
            // What some say to a question that they do not have.
            Err(UpstreamError::Refused { status, .. }) if status == StatusCode::BAD_REQUEST => {
                habits.note_no_referrers();
                return Ok(None);
            }
            answer => answer?,
        };
        match answer.status() {
            StatusCode::OK => habits.note_referrers(),
            StatusCode::NOT_FOUND => {
                // With a code it is said of what was asked for: the repository, or the manifest. Whom we were sent to says
                // nothing of the endpoint.
                let is_own = answer.host() == endpoint.url().site().name();
                if is_own && !refusal::read(&mut answer).await.has_code {
                    habits.note_no_referrers();
                }
                return Ok(None);
            }
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
                habits.note_no_referrers();
                return Ok(None);
            }
            _ => return Ok(None),
        }
        let host = answer.host().clone();
        let next = Page::of(endpoint, repository, &list).next(&answer, &query)?;
        let left = MAX_REFERRERS_SIZE - size;
        let body = answer.into_body().collect("referrers", left).await?;
        size += body.len();
        found.extend(read_referrers(&body).ok_or_else(|| {
            UpstreamError::protocol(&host, "answered something else than a list of referrers")
        })?);
        match next {
            Some(next) => query = next,
            None => return Ok(Some(found)),
        }
    }
    let fault = format!("has more than {MAX_REFERRERS_PAGES} pages of referrers");
    Err(UpstreamError::protocol(endpoint.url().site().name(), fault))
}

/// Reads what the tag for referrers leads to. Only an index of the OCI lists them: a list of another kind, or an image that
/// somebody tagged so, says nothing of what refers to a manifest.
pub(super) fn tagged_referrers(manifest: &[u8]) -> Vec<Referrer> {
    let is_other = serde_json::from_slice(manifest).is_ok_and(|Kind { media_type }| {
        media_type.is_some_and(|media_type| media_type != MediaType::OCI_INDEX)
    });
    if is_other {
        return Vec::new();
    }
    read_referrers(manifest).unwrap_or_default()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    /// Some leave it out.
    media_type: Option<String>,
}

#[derive(Deserialize)]
struct ReferrersDocument {
    manifests: Option<Sifted<Referrer>>,
}

/// Reads an index of referrers, without the entries that make no sense. `None` when it is no index.
fn read_referrers(body: &[u8]) -> Option<Vec<Referrer>> {
    let document: ReferrersDocument = serde_json::from_slice(body).ok()?;
    Some(document.manifests?.kept)
}

/// A list that a page is of.
struct Page<'a> {
    endpoint: &'a Endpoint,
    /// What every address of the list ends with.
    path: String,
}

impl<'a> Page<'a> {
    fn of(endpoint: &'a Endpoint, repository: &RepositoryName, list: &str) -> Self {
        let path = format!("/{repository}/{list}");
        Self { endpoint, path }
    }

    /// Returns the query of the page behind an answer, which was asked for with this query.
    ///
    /// Only the query is taken of what the registry says, and only where the rest leads to the same list: whoever
    /// answers cannot send us elsewhere, nor from one repository to another.
    fn next(&self, answer: &Answer, query: &str) -> Result<Option<Arc<str>>, UpstreamError> {
        let values = answer.headers().get_all(LINK);
        let Some(target) = next_page(values.iter().filter_map(|value| value.to_str().ok())) else {
            return Ok(None);
        };
        let fault = |fault: &str| Err(UpstreamError::protocol(answer.host(), fault));
        let Some(url) = redirect::resolve(answer.url(), target.as_bytes()) else {
            return fault("names a next page that is no address");
        };
        if !self.has(&url, answer.url()) {
            return fault("names a next page that is not of the same list");
        }
        match url.query() {
            None | Some("") => fault("names a next page that is the first one"),
            Some(next) if next == query => fault("names the same page as the next one again"),
            Some(next) if next.len() > MAX_QUERY => {
                fault("names a next page at too long an address")
            }
            Some(next) => Ok(Some(next.into())),
        }
    }

    /// Tells whether an address is of this list, at the endpoint or where its answer came from.
    fn has(&self, url: &Uri, answered: &Uri) -> bool {
        let own = self.endpoint.url();
        let own = format!("{}:{}", own.host(), own.port());
        let is_here = host(url) == host(answered) || host(url) == Some(own);
        is_here && (url.path() == answered.path() || url.path().ends_with(&self.path))
    }
}

/// Returns the host and port of an address. The scheme makes no difference: behind some gateways it is said wrongly.
fn host(url: &Uri) -> Option<String> {
    let port = url.port_u16().unwrap_or(443);
    Some(format!("{}:{port}", url.host()?.to_ascii_lowercase()))
}

/// Reads a whole blob that should be small, and verifies it.
pub(super) async fn whole(
    upstream: &UpstreamName,
    mut transfer: BlobTransfer,
    digest: &Digest,
    limit: usize,
) -> Result<Bytes, UpstreamError> {
    let host: Arc<str> = upstream.as_str().into();
    let mut bytes = BytesMut::new();
    let too_large = || UpstreamError::TooLarge {
        host: host.clone(),
        what: "a blob",
        limit_bytes: limit as u64,
    };
    if transfer.total().is_some_and(|total| total > limit as u64) {
        return Err(too_large());
    }
    while let Some(piece) = transfer.next().await? {
        if bytes.len() + piece.len() > limit {
            return Err(too_large());
        }
        bytes.extend_from_slice(&piece);
    }
    let bytes = bytes.freeze();
    match Verifier::check(*digest, &bytes) {
        Ok(_) => Ok(bytes),
        Err(mismatch) => {
            let fault = format!("sent something else than was asked for: {mismatch}");
            Err(UpstreamError::protocol(&host, fault))
        }
    }
}
