//! One request to a fake registry: what it asks for, and how far its answer went.

use std::fmt;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, Version, header};
use larder::oci::Digest;
use percent_encoding::percent_decode_str;

use super::token::Grant;

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `GET` or `HEAD /v2/`.
    Ping,
    /// The token endpoint: `/token`, where it is not elsewhere.
    Token,
    /// `HEAD` of a manifest.
    ManifestHead,
    /// `GET` of a manifest.
    ManifestGet,
    /// `HEAD` of a blob.
    BlobHead,
    /// `GET` of a blob.
    BlobGet,
    /// A page of `tags/list`.
    Tags,
    /// `referrers`, which not every registry has.
    Referrers,
    /// `/storage/<digest>`: where a redirect to a content network leads.
    Storage,
    /// Anything else, writes among them.
    Other,
}

impl Kind {
    /// Both ways to ask for a manifest.
    pub const MANIFEST: [Self; 2] = [Self::ManifestHead, Self::ManifestGet];
    /// Both ways to ask for a blob.
    pub const BLOB: [Self; 2] = [Self::BlobHead, Self::BlobGet];
}

/// A kind stands for the set of itself, so that one or several of them can be asked for.
impl IntoIterator for Kind {
    type Item = Self;
    type IntoIter = std::iter::Once<Self>;

    fn into_iter(self) -> Self::IntoIter {
        std::iter::once(self)
    }
}

/// How far the answer to a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// No headers yet.
    Asked,
    /// The body is on its way.
    Sending,
    /// Everything that was to be sent was handed out.
    Complete,
    /// It ended before: the client left, or a fault broke it off.
    Broken,
}

/// What a request shows of who sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Nothing.
    Nothing,
    /// A user's password, or an identity token that stands for it.
    Password {
        /// The user's name.
        user: String,
        /// Whether it is the right one.
        is_right: bool,
    },
    /// A token that was issued and is good.
    Token(Grant),
    /// Something else: a token that is not good, for one.
    Unknown,
}

/// A request as it came in, and what became of it.
#[derive(Clone, Debug)]
pub struct Request {
    /// What the request is about.
    pub kind: Kind,
    /// The method.
    pub method: Method,
    /// The path, decoded.
    pub path: String,
    /// The query, as it was written.
    pub query: String,
    /// The version of HTTP.
    pub version: Version,
    /// The headers, every line of them.
    pub headers: HeaderMap,
    /// The body of a request for a token.
    pub body: Bytes,
    /// Who sends it, as far as the registry knows.
    pub shown: Shown,
    /// The repository in the path.
    pub repository: Option<String>,
    /// The tag or digest in the path.
    pub reference: Option<String>,
    /// The number of the connection that it came on, counted from one.
    pub connection: usize,
    /// The status of the answer, once there is one.
    pub status: Option<StatusCode>,
    /// How many bytes of the body were handed out.
    pub sent: u64,
    /// How far the answer is.
    pub progress: Progress,
}

impl Request {
    /// Reads the head of a request. Tokens are issued at `token_path`.
    pub fn read(parts: &Parts, connection: usize, token_path: &str) -> Self {
        let path = percent_decode_str(parts.uri.path()).decode_utf8_lossy();
        let (kind, repository, reference) = if path == token_path {
            (Kind::Token, None, None)
        } else {
            read_path(&parts.method, &path)
        };
        Self {
            kind,
            method: parts.method.clone(),
            repository: repository.map(String::from),
            reference: reference.map(String::from),
            query: parts.uri.query().unwrap_or_default().into(),
            path: path.into_owned(),
            version: parts.version,
            headers: parts.headers.clone(),
            body: Bytes::new(),
            shown: Shown::Nothing,
            connection,
            status: None,
            sent: 0,
            progress: Progress::Asked,
        }
    }

    /// Returns a header, its lines joined with commas.
    pub fn header(&self, name: &str) -> Option<String> {
        let lines = self.headers.get_all(name).iter();
        let lines: Vec<_> = lines
            .map(|line| String::from_utf8_lossy(line.as_bytes()))
            .collect();
        (!lines.is_empty()).then(|| lines.join(", "))
    }

    /// Returns the `Range` header.
    pub fn range(&self) -> Option<String> {
        self.header(header::RANGE.as_str())
    }

    /// Returns the `Authorization` header.
    pub fn authorization(&self) -> Option<String> {
        self.header(header::AUTHORIZATION.as_str())
    }

    /// Returns the `Via` header: which proxies it came through.
    pub fn via(&self) -> Option<String> {
        self.header(header::VIA.as_str())
    }

    /// Returns the user whose name it came under: of a password, right or wrong, or of a token.
    pub fn user(&self) -> Option<&str> {
        match &self.shown {
            Shown::Password { user, .. } => Some(user),
            Shown::Token(grant) => grant.user(),
            Shown::Nothing | Shown::Unknown => None,
        }
    }

    /// Returns the values of a query parameter, decoded, in order.
    pub fn query(&self, name: &str) -> Vec<String> {
        values(&self.query, name)
    }

    /// Returns the values of a field of the form in its body, decoded, in order.
    pub fn form(&self, name: &str) -> Vec<String> {
        values(&String::from_utf8_lossy(&self.body), name)
    }

    /// Returns the digest in the path.
    pub fn digest(&self) -> Option<Digest> {
        self.reference.as_ref()?.parse().ok()
    }
}

/// Prints as `GET library/alpine/blobs/sha256:0123… bytes=0-9`: the path without `/v2/`, the query, the range.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self
            .path
            .strip_prefix("/v2/")
            .filter(|path| !path.is_empty());
        write!(f, "{} {}", self.method, path.unwrap_or(&self.path))?;
        if !self.query.is_empty() {
            write!(f, "?{}", self.query)?;
        }
        self.range().map_or(Ok(()), |range| write!(f, " {range}"))
    }
}

/// Returns the values of a name in a query or a form, decoded, in order.
fn values(pairs: &str, name: &str) -> Vec<String> {
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    let pairs = pairs.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| decode(value))
        .collect()
}

/// Finds kind, repository and reference of a path.
fn read_path<'a>(method: &Method, path: &'a str) -> (Kind, Option<&'a str>, Option<&'a str>) {
    let is_head = method == Method::HEAD;
    if !is_head && method != Method::GET {
        return (Kind::Other, None, None);
    }
    if let Some(digest) = path.strip_prefix("/storage/") {
        return (Kind::Storage, None, Some(digest));
    }
    let Some(rest) = path.strip_prefix("/v2/") else {
        return (Kind::Other, None, None);
    };
    if rest.is_empty() {
        return (Kind::Ping, None, None);
    }
    if let Some(repository) = rest.strip_suffix("/tags/list") {
        return (Kind::Tags, Some(repository), None);
    }
    for (part, get, head) in [
        ("/manifests/", Kind::ManifestGet, Kind::ManifestHead),
        ("/blobs/", Kind::BlobGet, Kind::BlobHead),
        ("/referrers/", Kind::Referrers, Kind::Referrers),
    ] {
        if let Some((repository, reference)) = rest.rsplit_once(part) {
            let kind = if is_head { head } else { get };
            return (kind, Some(repository), Some(reference));
        }
    }
    (Kind::Other, None, None)
}
