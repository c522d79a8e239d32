//! From a path and a query to what is asked. Pure; says nothing of methods, since a known path with a wrong method is
//! another error than an unknown path.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use thiserror::Error;

use crate::oci::{Digest, DigestError, Reference, reference::ReferenceError};

/// What a path asks for. Names are as the client wrote them, percent-decoded: addressing reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `/v2/`: whether this is a registry.
    ApiVersion,
    /// `/v2/<name>/manifests/<reference>`.
    Manifest {
        /// The name.
        name: String,
        /// The tag or digest.
        reference: Reference,
    },
    /// `/v2/<name>/blobs/<digest>`.
    Blob {
        /// The name.
        name: String,
        /// The digest.
        digest: Digest,
    },
    /// `/v2/<name>/tags/list`.
    Tags {
        /// The name.
        name: String,
    },
    /// `/v2/<name>/referrers/<digest>`.
    Referrers {
        /// The name.
        name: String,
        /// The subject.
        digest: Digest,
    },
    /// `/v2/<name>/blobs/uploads/`.
    StartUpload {
        /// The name.
        name: String,
    },
    /// `/v2/<name>/blobs/uploads/<id>`.
    Upload {
        /// The name.
        name: String,
        /// Which upload.
        id: String,
    },
    /// `/v2/_catalog`.
    Catalog,
    /// `/v2/_oci/ext/discover`: which extensions of the API there are.
    Extensions,
}

/// A route, and what else of the request says where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// What is asked for.
    pub route: Route,
    /// The path segment before `/v2/`.
    pub mount: Option<String>,
    /// The query parameter `ns`.
    pub namespace: Option<String>,
}

/// Why a path and query are not understood.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RouteError {
    /// Not a path of the registry API.
    #[error("there is nothing at this path: the registry API begins with /v2/")]
    Unknown,
    /// A segment decodes to something that no name has.
    #[error("the path has {0}, which no name has")]
    Segment(&'static str),
    /// A `%` that is not followed by two digits, or bytes that are not UTF-8.
    #[error("the {0} is not percent-encoded UTF-8")]
    Encoding(&'static str),
    /// What stands in the place of a digest is none.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// What stands in the place of a reference is neither tag nor digest.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// `ns` is there and does not say one thing.
    #[error("the query parameter ns {0}")]
    Namespace(&'static str),
}

impl Located {
    /// Reads the path and query of a request target.
    ///
    /// # Errors
    /// [`RouteError`] when it is no path of the API, or has in it what no name, tag or digest has.
    pub fn parse(path: &str, query: Option<&str>) -> Result<Self, RouteError> {
        let raw: Vec<&str> = path
            .strip_prefix('/')
            .ok_or(RouteError::Unknown)?
            .split('/')
            .collect();
        let (mount, rest) = match raw.as_slice() {
            ["v2", rest @ ..] => (None, rest),
            [mount, "v2", rest @ ..] if !mount.is_empty() => {
                (Some(segment(mount)?.into_owned()), rest)
            }
            _ => return Err(RouteError::Unknown),
        };
        // A final slash is common after uploads and harmless elsewhere.
        let rest = match rest {
            [before @ .., ""] => before,
            all => all,
        };
        let rest: Vec<Cow<str>> = rest
            .iter()
            .map(|raw| segment(raw))
            .collect::<Result<_, _>>()?;
        let rest: Vec<&str> = rest.iter().map(AsRef::as_ref).collect();
        Ok(Self {
            route: route(&rest)?,
            mount,
            namespace: namespace(query)?,
        })
    }
}

/// Reads the segments behind `/v2/` from the right, so that repositories may be called `blobs` or `tags`.
fn route(segments: &[&str]) -> Result<Route, RouteError> {
    let join = |name: &[&str]| name.join("/");
    Ok(match segments {
        [] => Route::ApiVersion,
        ["_catalog"] => Route::Catalog,
        ["_oci", "ext", "discover"] => Route::Extensions,
        [first, ..] if first.starts_with('_') => return Err(RouteError::Unknown),
        [name @ .., "blobs", "uploads"] if !name.is_empty() => {
            Route::StartUpload { name: join(name) }
        }
        [name @ .., "blobs", "uploads", id] if !name.is_empty() => Route::Upload {
            name: join(name),
            id: (*id).to_owned(),
        },
        [name @ .., "manifests", reference] if !name.is_empty() => Route::Manifest {
            name: join(name),
            reference: reference.parse()?,
        },
        [name @ .., "blobs", digest] if !name.is_empty() => Route::Blob {
            name: join(name),
            digest: digest.parse()?,
        },
        [name @ .., "tags", "list"] if !name.is_empty() => Route::Tags { name: join(name) },
        [name @ .., "referrers", digest] if !name.is_empty() => Route::Referrers {
            name: join(name),
            digest: digest.parse()?,
        },
        _ => return Err(RouteError::Unknown),
    })
}

/// Decodes one segment of a path.
fn segment(raw: &str) -> Result<Cow<'_, str>, RouteError> {
    let text = decode(raw, "path")?;
    match &*text {
        "" => Err(RouteError::Segment("an empty segment")),
        "." | ".." => Err(RouteError::Segment("a dot segment")),
        text if text.contains(['/', '\\']) => Err(RouteError::Segment("an encoded slash")),
        text if text.chars().any(char::is_control) => {
            Err(RouteError::Segment("a control character"))
        }
        _ => Ok(text),
    }
}

/// Reads `ns`; all other parameters are somebody else's.
fn namespace(query: Option<&str>) -> Result<Option<String>, RouteError> {
    let mut found: Option<String> = None;
    for pair in query.unwrap_or_default().split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if key != "ns" {
            continue;
        }
        let value = decode(value, "query parameter ns")?.into_owned();
        match &found {
            _ if value.is_empty() => return Err(RouteError::Namespace("is empty")),
            Some(other) if *other != value => {
                return Err(RouteError::Namespace("is there twice, with two values"));
            }
            _ => found = Some(value),
        }
    }
    Ok(found)
}

/// Decodes a part of a path or a query.
pub(super) fn decode<'a>(raw: &'a str, what: &'static str) -> Result<Cow<'a, str>, RouteError> {
    if !raw.contains('%') {
        return Ok(raw.into());
    }
    let mut rest = raw.split('%');
    rest.next();
    let is_escaped =
        |after: &str| after.len() >= 2 && after.bytes().take(2).all(|b| b.is_ascii_hexdigit());
    if !rest.all(is_escaped) {
        return Err(RouteError::Encoding(what));
    }
    percent_decode_str(raw)
        .decode_utf8()
        .map_err(|_| RouteError::Encoding(what))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn parse(target: &str) -> Result<Located, RouteError> {
        let target = target.replace("HEX", HEX);
        match target.split_once('?') {
            Some((path, query)) => Located::parse(path, Some(query)),
            None => Located::parse(&target, None),
        }
    }

    fn route(target: &str) -> Route {
        parse(target)
            .unwrap_or_else(|error| panic!("{target}: {error}"))
            .route
    }

    /// Paths, and what they ask for: the kind, the name, and what is asked of it.
    const PATHS: &str = "
/v2                                          ping
/v2/                                         ping
/v2/?ns=quay.io                              ping
/us/v2/                                      ping
/v2/_catalog?n=10                            catalog
/v2/_oci/ext/discover                        extensions
/v2/a/manifests/b/manifests/c                manifest  a/manifests/b       c
/v2/a/manifests/manifests                    manifest  a                   manifests
/v2/tags/list/manifests/1                    manifest  tags/list           1
/v2/library/alpine/manifests/sha256%3AHEX    manifest  library/alpine      sha256:HEX
/v2/localhost%3A5000/app/manifests/1         manifest  localhost:5000/app  1
/v2/x/blobs/uploads/manifests/1              manifest  x/blobs/uploads     1
/v2/UPPER/manifests/1                        manifest  UPPER               1
/v2/a/blobs/sha256:HEX                       blob      a                   sha256:HEX
/v2/blobs/blobs/sha256:HEX                   blob      blobs               sha256:HEX
/v2/x/blobs/uploads/blobs/sha256:HEX         blob      x/blobs/uploads     sha256:HEX
/v2/a/blobs/uploads/                         start     a
/v2/a/blobs/uploads                          start     a
/v2/a/blobs/uploads/blobs/uploads/           start     a/blobs/uploads
/v2/a/blobs/uploads/1234                     upload    a                   1234
/v2/a/b/tags/list?n=1&last=x                 tags      a/b
/v2/a/referrers/sha256:HEX                   referrers a                   sha256:HEX
";

    fn words(route: Route) -> String {
        match route {
            Route::ApiVersion => "ping".into(),
            Route::Catalog => "catalog".into(),
            Route::Extensions => "extensions".into(),
            Route::Manifest { name, reference } => format!("manifest {name} {reference}"),
            Route::Blob { name, digest } => format!("blob {name} {digest}"),
            Route::StartUpload { name } => format!("start {name}"),
            Route::Upload { name, id } => format!("upload {name} {id}"),
            Route::Tags { name } => format!("tags {name}"),
            Route::Referrers { name, digest } => format!("referrers {name} {digest}"),
        }
    }

    #[test]
    fn paths_are_read_from_the_right() {
        for row in PATHS.lines().filter(|row| !row.is_empty()) {
            let row = row.replace("HEX", HEX);
            let (target, expected) = row.split_once(' ').unwrap();
            let expected: Vec<&str> = expected.split_whitespace().collect();
            assert_eq!(words(route(target)), expected.join(" "), "{target}");
        }
    }

    #[test]
    fn mounts_and_namespaces_are_kept() {
        let located = parse("/us/v2/library/alpine/manifests/3.20?x=1&ns=myreg.io%3A5000").unwrap();
        assert_eq!(located.mount.as_deref(), Some("us"));
        assert_eq!(located.namespace.as_deref(), Some("myreg.io:5000"));
        assert_eq!(
            parse("/v2/a/tags/list?ns=a.io&ns=a.io")
                .unwrap()
                .namespace
                .as_deref(),
            Some("a.io")
        );
        assert_eq!(
            parse("/v2/a/tags/list?origin=b&nsx=c").unwrap().namespace,
            None
        );
    }

    #[test]
    fn what_is_malformed_says_why() {
        for (target, message) in [
            ("/", "begins with /v2/"),
            ("/v1/_ping", "begins with /v2/"),
            ("/v3/", "begins with /v2/"),
            ("/a/b/v2/", "begins with /v2/"),
            ("/v2/alpine", "begins with /v2/"),
            ("/v2/manifests/1", "begins with /v2/"),
            ("/v2/_oci/ext/other", "begins with /v2/"),
            ("/v2/a/blobs/uploads/1/2", "begins with /v2/"),
            ("/v2/a%2fb/manifests/1", "an encoded slash"),
            ("/v2/a/../b/manifests/1", "a dot segment"),
            ("/v2/a/%2e%2e/b/manifests/1", "a dot segment"),
            ("/v2/./manifests/1", "a dot segment"),
            ("/v2/a//b/manifests/1", "an empty segment"),
            ("/v2//manifests/1", "an empty segment"),
            ("/v2/a%00/manifests/1", "a control character"),
            ("/v2/a%0d%0a/manifests/1", "a control character"),
            ("/v2/a%zz/manifests/1", "percent-encoded"),
            ("/v2/a%/manifests/1", "percent-encoded"),
            ("/v2/%ff/manifests/1", "percent-encoded"),
            ("/v2/a/manifests/-x", "a tag has"),
            (
                "/v2/a/manifests/sha256:beef",
                "64 hexadecimal digits, not 4",
            ),
            ("/v2/a/blobs/latest", "no colon"),
            ("/v2/a/blobs/blake3:HEX", "not supported"),
            ("/v2/a/referrers/x", "no colon"),
            ("/v2/a/tags/list?ns=", "is empty"),
            ("/v2/a/tags/list?ns", "is empty"),
            ("/v2/a/tags/list?ns=a.io&ns=b.io", "twice"),
            ("/v2/a/tags/list?ns=%f", "percent-encoded"),
        ] {
            let error = parse(target).unwrap_err().to_string();
            assert!(error.contains(message), "{target}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_name_leaves_its_place(path in "/v2/[a-z%./0-9A-F\\PC]{0,60}", query in proptest::option::of("\\PC{0,30}")) {
            let Ok(located) = Located::parse(&path, query.as_deref()) else { return Ok(()) };
            let name = match located.route {
                Route::ApiVersion | Route::Catalog | Route::Extensions => return Ok(()),
                Route::Manifest { name, .. } | Route::Blob { name, .. } | Route::Tags { name }
                | Route::Referrers { name, .. } | Route::StartUpload { name } | Route::Upload { name, .. } => name,
            };
            prop_assert!(name.split('/').all(|s| !s.is_empty() && s != "." && s != ".."));
            prop_assert!(!name.chars().any(char::is_control));
        }
    }
}
