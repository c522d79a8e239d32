//! The table of the registry API: what each route is called, which methods it takes, and what it answers with. Requests are
//! counted and refused by it, and the README is written from it.

use http::{Method, StatusCode};

use super::error::RequestError;
use super::route::Route;

/// What is said of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteEntry {
    /// Its path, with `<…>` where names, tags and digests stand.
    pub path: &'static str,
    /// What the log and the metrics call it.
    pub label: &'static str,
    /// Which methods it takes.
    pub methods: Methods,
    /// What it answers with.
    pub answer: &'static str,
    /// The statuses that are no failures of what all routes have in common.
    pub statuses: &'static [StatusCode],
}

/// Which methods a route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Methods {
    /// Those that read.
    Read,
    /// None.
    None,
}

/// All routes.
pub const TABLE: [RouteEntry; 9] = [
    API_VERSION,
    MANIFEST,
    BLOB,
    TAGS,
    REFERRERS,
    CATALOG,
    EXTENSIONS,
    START_UPLOAD,
    UPLOAD,
];

const API_VERSION: RouteEntry = RouteEntry {
    path: "/v2/",
    label: "ping",
    methods: Methods::Read,
    answer: "that this is a registry: `{}`",
    statuses: &[StatusCode::OK],
};

const MANIFEST: RouteEntry = RouteEntry {
    path: "/v2/<name>/manifests/<reference>",
    label: "manifest",
    methods: Methods::Read,
    answer: "the manifest that a tag or digest leads to; 304 when `If-None-Match` names its digest",
    statuses: &[StatusCode::OK, StatusCode::NOT_MODIFIED],
};

const BLOB: RouteEntry = RouteEntry {
    path: "/v2/<name>/blobs/<digest>",
    label: "blob",
    methods: Methods::Read,
    answer: "the blob, or the one `Range` of it that is asked for; 304 when `If-None-Match` names its digest, 412 when \
             `If-Match` does not, 416 when the blob ends before the range",
    statuses: &[
        StatusCode::OK,
        StatusCode::PARTIAL_CONTENT,
        StatusCode::NOT_MODIFIED,
        StatusCode::PRECONDITION_FAILED,
        StatusCode::RANGE_NOT_SATISFIABLE,
    ],
};

const TAGS: RouteEntry = RouteEntry {
    path: "/v2/<name>/tags/list",
    label: "tags",
    methods: Methods::Read,
    answer: "the tags of the repository, sorted, in pages by `n` and `last`",
    statuses: &[StatusCode::OK],
};

const REFERRERS: RouteEntry = RouteEntry {
    path: "/v2/<name>/referrers/<digest>",
    label: "referrers",
    methods: Methods::Read,
    answer: "what refers to the manifest, as an index, in pages; those alone that have an `artifactType` that is asked for",
    statuses: &[StatusCode::OK],
};

const CATALOG: RouteEntry = RouteEntry {
    path: "/v2/_catalog",
    label: "catalog",
    methods: Methods::Read,
    answer: "the repositories that were pulled through larder, in pages by `n` and `last`; 403 for who is not told",
    statuses: &[StatusCode::OK, StatusCode::FORBIDDEN],
};

const EXTENSIONS: RouteEntry = RouteEntry {
    path: "/v2/_oci/ext/discover",
    label: "extensions",
    methods: Methods::Read,
    answer: "that there are no extensions of the API: `{\"extensions\":[]}`",
    statuses: &[StatusCode::OK],
};

const START_UPLOAD: RouteEntry = RouteEntry {
    path: "/v2/<name>/blobs/uploads/",
    label: "upload",
    methods: Methods::None,
    answer: "that nothing can be pushed",
    statuses: &[StatusCode::METHOD_NOT_ALLOWED],
};

const UPLOAD: RouteEntry = RouteEntry {
    path: "/v2/<name>/blobs/uploads/<id>",
    ..START_UPLOAD
};

impl Route {
    /// Returns what is said of this route.
    pub fn entry(&self) -> &'static RouteEntry {
        match self {
            Self::ApiVersion => &API_VERSION,
            Self::Manifest { .. } => &MANIFEST,
            Self::Blob { .. } => &BLOB,
            Self::Tags { .. } => &TAGS,
            Self::Referrers { .. } => &REFERRERS,
            Self::Catalog => &CATALOG,
            Self::Extensions => &EXTENSIONS,
            Self::StartUpload { .. } => &START_UPLOAD,
            Self::Upload { .. } => &UPLOAD,
        }
    }
}

impl RouteEntry {
    /// Returns the refusal of a method that the route does not take: for a reason if there is more to say, and with where the
    /// name in the path leads.
    ///
    /// # Errors
    /// [`RequestError::Method`].
    pub fn check(
        &self,
        method: &Method,
        reason: &'static str,
        target: Option<&str>,
    ) -> Result<(), RequestError> {
        match (self.methods, method) {
            (Methods::Read, &Method::GET | &Method::HEAD) => Ok(()),
            (Methods::Read | Methods::None, _) => Err(self.refusal(method, reason, target)),
        }
    }

    /// Says that the route does not take a method.
    pub fn refusal(
        &self,
        method: &Method,
        reason: &'static str,
        target: Option<&str>,
    ) -> RequestError {
        RequestError::Method {
            method: method.clone(),
            allow: self.methods.allowed(),
            reason,
            target: target.map(ToOwned::to_owned),
        }
    }
}

impl Methods {
    /// Returns the methods, as the header `Allow` has them.
    pub fn allowed(self) -> &'static str {
        match self {
            Self::Read => "GET, HEAD",
            Self::None => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::route::Located;

    #[test]
    fn every_path_leads_to_its_entry() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for entry in TABLE {
            let path = entry.path.replace("<name>", "a/b").replace("<id>", "1");
            let path = path.replace("<digest>", &digest);
            for reference in ["3.20", &digest] {
                let path = path.replace("<reference>", reference);
                let located = Located::parse(&path, None).unwrap();
                assert_eq!(located.route.entry(), &entry, "{path}");
            }
        }
    }

    #[test]
    fn other_methods_are_refused_with_those_that_there_are() {
        for (entry, method, allowed) in [
            (TAGS, Method::GET, None),
            (TAGS, Method::HEAD, None),
            (TAGS, Method::PUT, Some("GET, HEAD")),
            (UPLOAD, Method::GET, Some("")),
            (UPLOAD, Method::PATCH, Some("")),
        ] {
            let refused = entry.check(&method, "", None);
            let found = match &refused {
                Err(RequestError::Method { allow, .. }) => Some(*allow),
                _ => None,
            };
            assert_eq!(found, allowed, "{method} {}", entry.path);
        }
    }
}
