//! Lists on their way out: tags, referrers and repositories, a page at a time.
//!
//! The cache answers with whole lists; which part of one goes out, and where the next part is, is found here.

use std::time::Duration;

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::CatalogAudience;
use super::error::{Kind, RequestError};
use super::handle::Context;
use super::query::{self, Paging};
use super::request_log::Subject;
use crate::addressing::{Caller, Grant, Origin, Place};
use crate::answer::CacheOutcome;
use crate::cache::Demand;
use crate::oci::{Digest, MediaType, Referrer, Tag};

/// The most tags in one answer, whatever the client says: a megabyte of them.
const TAGS_AT_MOST: usize = 10_000;
/// The most repositories in one answer. Each one is looked for among the records.
const REPOSITORIES_AT_MOST: usize = 1_000;
/// The most bytes of referrers in one answer: as much as clients take of a manifest (distribution-spec, "Listing
/// Referrers").
const REFERRERS_SIZE: usize = 4 << 20;
/// Says how many referrers come before a page. They have no order in which one could be said to be the last.
const SKIP: &str = "skip";

/// What is written as it is in addresses of next pages: what names and tags have, and digests but for the colon.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// What a request for a list says.
#[derive(Clone, Copy, Debug)]
pub struct Listing<'a> {
    /// The name of the repository, as the client wrote it.
    pub name: &'a str,
    /// What stands before `/v2/` in the path.
    pub mount: Option<&'a str>,
    /// The registry that the client named beside the name.
    pub namespace: Option<&'a str>,
    /// The whole query.
    pub query: &'a str,
    /// How fresh the list has to be.
    pub demand: Demand,
}

/// A page of a list, as HTTP tells it.
#[derive(Clone, Debug)]
pub struct Page {
    /// What the body is.
    pub media_type: &'static str,
    /// The page.
    pub body: Bytes,
    /// Where the next one is.
    pub next: Option<String>,
    /// By what the list was sifted.
    pub filter: Option<&'static str>,
    /// Where the list came from and how old it is, for lists of registries.
    pub source: Option<(CacheOutcome, Option<Duration>)>,
}

/// The type of lists that have no type of their own.
const JSON: &str = "application/json";

/// Answers with the tags of a repository.
///
/// # Errors
/// [`RequestError`] when there is no such list, it cannot be had, or the query makes no sense.
pub async fn tags(
    context: &Context,
    grant: &Grant<Origin>,
    listing: Listing<'_>,
    subject: &mut Subject,
) -> Result<Page, RequestError> {
    #[derive(Serialize)]
    struct Document<'a> {
        name: &'a str,
        tags: Vec<&'a str>,
    }

    let paging = Paging::parse(listing.query)?;
    let answer = context.cache.lists.tags(grant, listing.demand).await;
    let answer = answer.map_err(|error| failure("tags", grant, error))?;
    subject.outcome = Some(answer.outcome);
    let part = part(&answer.tags, &paging);
    let document = Document {
        name: listing.name,
        tags: part.tags.iter().map(Tag::as_str).collect(),
    };
    let next = part.next.map(|limit| {
        let last = part.tags.last().map_or("", Tag::as_str);
        let path = format!("{}/tags/list", listing.name);
        listing.address(&path, &paged(last, limit))
    });
    Ok(Page {
        media_type: JSON,
        body: json(&document),
        next,
        filter: None,
        source: Some((answer.outcome, answer.age)),
    })
}

/// Answers with what refers to a manifest.
///
/// # Errors
/// [`RequestError`] when that cannot be found out, or the query makes no sense.
pub async fn referrers(
    context: &Context,
    grant: &Grant<Origin>,
    digest: &Digest,
    listing: Listing<'_>,
    subject: &mut Subject,
) -> Result<Page, RequestError> {
    let wanted = query::artifact_types(listing.query)?;
    let skip = query::number(listing.query, SKIP)?.unwrap_or(0);
    let lists = &context.cache.lists;
    let answer = lists.referrers(grant, digest, listing.demand).await;
    let answer = answer.map_err(|error| failure("referrers", grant, error))?;
    subject.outcome = Some(answer.outcome);
    let is_wanted = |referrer: &&Referrer| {
        let kind = referrer.artifact_type.as_ref();
        wanted.is_empty() || kind.is_some_and(|kind| wanted.contains(kind))
    };
    let listed = answer.referrers.iter().filter(is_wanted).skip(skip);
    let index = Index::of(listed);
    let next = index.has_more.then(|| {
        let kinds = wanted.iter().map(|kind| ("artifactType", kind.to_string()));
        let skip = (SKIP, (skip + index.count).to_string());
        let path = format!("{}/referrers/{digest}", listing.name);
        listing.address(&path, &kinds.chain([skip]).collect::<Vec<_>>())
    });
    Ok(Page {
        media_type: MediaType::OCI_INDEX,
        body: index.finish(),
        next,
        filter: (!wanted.is_empty()).then_some("artifactType"),
        source: Some((answer.outcome, answer.age)),
    })
}

/// Answers with the repositories that are here.
///
/// # Errors
/// [`RequestError`] when the client is not told, the records cannot be read, or the query makes no sense.
pub async fn catalog(
    context: &Context,
    caller: &Caller,
    listing: Listing<'_>,
) -> Result<Page, RequestError> {
    #[derive(Serialize)]
    struct Document<'a> {
        repositories: &'a [String],
    }

    match (context.settings.now().catalog, caller) {
        (CatalogAudience::Everyone, Caller::Anonymous(_))
        | (CatalogAudience::ThisMachine, Caller::Anonymous(Place::Loopback)) => {}
        (CatalogAudience::ThisMachine, Caller::Anonymous(Place::Elsewhere)) => {
            return Err(RequestError::CatalogWithheld);
        }
    }
    let Paging { limit, last } = Paging::parse(listing.query)?;
    let limit = limit.unwrap_or(usize::MAX).min(REPOSITORIES_AT_MOST);
    let lists = &context.cache.lists;
    let found = lists.catalog(caller, last.as_deref(), limit).await;
    let found = found.map_err(|error| RequestError::Cache {
        subject: "the list of repositories".to_owned(),
        kind: Kind::List,
        error,
    })?;
    let last = found.names.last().filter(|_| found.has_more);
    Ok(Page {
        media_type: JSON,
        body: json(&Document {
            repositories: &found.names,
        }),
        next: last.map(|last| listing.address("_catalog", &paged(last, limit))),
        filter: None,
        source: None,
    })
}

/// Answers that there are no extensions of the API.
pub fn extensions() -> Page {
    Page {
        media_type: JSON,
        body: Bytes::from_static(br#"{"extensions":[]}"#),
        next: None,
        filter: None,
        source: None,
    }
}

impl Listing<'_> {
    /// Returns where this client finds another page, relative to the host: by the way that it came.
    fn address(&self, path: &str, parameters: &[(&str, String)]) -> String {
        let mount = self
            .mount
            .map_or(String::new(), |mount| format!("/{mount}"));
        let path = utf8_percent_encode(&format!("{mount}/v2/{path}"), PLAIN).to_string();
        let namespace = self.namespace.map(|name| ("ns", name.to_owned()));
        let query: Vec<String> = parameters
            .iter()
            .cloned()
            .chain(namespace)
            .map(|(name, value)| format!("{name}={}", utf8_percent_encode(&value, PLAIN)))
            .collect();
        format!("{path}?{}", query.join("&"))
    }
}

/// Returns the parameters of a page behind an entry.
fn paged(last: &str, limit: usize) -> [(&'static str, String); 2] {
    [("last", last.to_owned()), ("n", limit.to_string())]
}

fn failure(what: &str, grant: &Grant<Origin>, error: crate::cache::CacheError) -> RequestError {
    RequestError::Cache {
        subject: format!("{what} of {}", grant.target()),
        kind: Kind::List,
        error,
    }
}

/// Some tags of a list.
#[derive(Debug, PartialEq, Eq)]
struct Part<'a> {
    tags: &'a [Tag],
    /// How many the next page has at most, if there is one.
    next: Option<usize>,
}

/// Returns the part of a list, which is in order, that is wanted.
fn part<'a>(tags: &'a [Tag], paging: &Paging) -> Part<'a> {
    let start = paging
        .last
        .as_deref()
        .map_or(0, |last| tags.partition_point(|tag| tag.as_str() <= last));
    let rest = &tags[start..];
    let limit = paging.limit.unwrap_or(usize::MAX).min(TAGS_AT_MOST);
    let length = limit.min(rest.len());
    // Who wants none is not told that there are some: there would be no end to it.
    let has_more = length > 0 && length < rest.len();
    Part {
        tags: &rest[..length],
        next: has_more.then_some(limit),
    }
}

/// An index of referrers in the making.
struct Index {
    text: Vec<u8>,
    count: usize,
    has_more: bool,
}

impl Index {
    /// Takes as many referrers as one answer may have, one at least.
    fn of<'a>(referrers: impl Iterator<Item = &'a Referrer>) -> Self {
        let head = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","manifests":["#,
            MediaType::OCI_INDEX
        );
        let mut index = Self {
            text: head.into_bytes(),
            count: 0,
            has_more: false,
        };
        for referrer in referrers {
            let entry = referrer.descriptor();
            if index.count > 0 && index.text.len() + entry.len() + END.len() >= REFERRERS_SIZE {
                index.has_more = true;
                break;
            }
            if index.count > 0 {
                index.text.push(b',');
            }
            index.text.extend_from_slice(entry.as_bytes());
            index.count += 1;
        }
        index
    }

    fn finish(mut self) -> Bytes {
        self.text.extend_from_slice(END);
        self.text.into()
    }
}

/// Ends an index.
const END: &[u8] = b"]}";

fn json(document: &impl Serialize) -> Bytes {
    serde_json::to_vec(document)
        .expect("lists of texts and parsed JSON can be written as JSON")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(texts: &[&str]) -> Vec<Tag> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn which_tags_go_out() {
        let all = some(&["a", "b", "d", "e"]);
        for (limit, last, found, next) in [
            (None, None, vec!["a", "b", "d", "e"], None),
            (Some(2), None, vec!["a", "b"], Some(2)),
            (Some(4), None, vec!["a", "b", "d", "e"], None),
            (Some(2), Some("b"), vec!["d", "e"], None),
            (Some(1), Some("b"), vec!["d"], Some(1)),
            // One that is not there any more.
            (Some(1), Some("c"), vec!["d"], Some(1)),
            (None, Some("c"), vec!["d", "e"], None),
            (None, Some("e"), vec![], None),
            (None, Some("zzz"), vec![], None),
            (None, Some("A"), vec!["a", "b", "d", "e"], None),
            (Some(0), None, vec![], None),
            (Some(usize::MAX), Some("a"), vec!["b", "d", "e"], None),
        ] {
            let last = last.map(str::to_owned);
            let paging = Paging { limit, last };
            let tags = &some(&found)[..];
            assert_eq!(part(&all, &paging), Part { tags, next }, "{paging:?}");
        }
    }

    #[test]
    fn nobody_gets_more_than_a_page() {
        let all: Vec<Tag> = (0..TAGS_AT_MOST + 1)
            .map(|number| format!("{number:08}").parse().unwrap())
            .collect();
        for limit in [None, Some(usize::MAX), Some(TAGS_AT_MOST)] {
            let paging = Paging { limit, last: None };
            let found = part(&all, &paging);
            assert_eq!(
                (found.tags.len(), found.next),
                (TAGS_AT_MOST, Some(TAGS_AT_MOST))
            );
        }
    }

    #[test]
    fn the_next_page_is_on_the_way_that_the_client_came() {
        let listing = |mount, namespace| Listing {
            name: "localhost:5000/app",
            mount,
            namespace,
            query: "",
            demand: Demand::Usual,
        };
        for (mount, namespace, expected) in [
            (None, None, "/v2/localhost%3A5000/app/tags/list?last=a&n=2"),
            (
                Some("hub"),
                None,
                "/hub/v2/localhost%3A5000/app/tags/list?last=a&n=2",
            ),
            (
                None,
                Some("r.io:5000"),
                "/v2/localhost%3A5000/app/tags/list?last=a&n=2&ns=r.io%3A5000",
            ),
            (
                Some("h>\r\u{7f}ü"),
                None,
                "/h%3E%0D%7F%C3%BC/v2/localhost%3A5000/app/tags/list?last=a&n=2",
            ),
        ] {
            let listing = listing(mount, namespace);
            let found = listing.address("localhost:5000/app/tags/list", &paged("a", 2));
            assert_eq!(found, expected);
        }
    }
}
