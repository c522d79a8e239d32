//! What is asked for and answered over the operator's API, as JSON: its keys are a promise.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /v1/upstreams` | | [`Upstreams`] |
//! | `PUT /v1/upstreams/<name or pattern>` | [`ModeWanted`] | [`ModeChanged`] |
//! | `GET /v1/history?image=<image>` | | [`History`] |
//! | `POST /v1/refresh` | [`ImageWanted`] | [`Refreshed`] |
//! | `POST /v1/reload` | | [`Reloaded`] |
//!
//! What fails is a [`Failure`]. Answers get further keys within a version; none goes away or changes its meaning. `null`
//! stands for what is not there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::ErrorCode;
use crate::cache::sight::Visibility;
use crate::oci::{Digest, VariantClass};
use crate::runtime::Timestamp;
use crate::upstream::Mode;

/// A moment, written as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Moment(pub Timestamp);

impl From<Moment> for String {
    fn from(moment: Moment) -> Self {
        moment.0.to_string()
    }
}

impl TryFrom<String> for Moment {
    type Error = <Timestamp as std::str::FromStr>::Err;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

impl From<Timestamp> for Moment {
    fn from(moment: Timestamp) -> Self {
        Self(moment)
    }
}

/// Asks for something about one image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageWanted {
    /// The image, as behind larder's address in `docker pull`.
    pub image: String,
}

/// Asks for a mode of an upstream, until larder stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModeWanted {
    /// The mode.
    pub mode: Mode,
}

/// The mode of an upstream was set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeChanged {
    /// The name or pattern of the upstream.
    pub upstream: String,
    /// The mode before.
    pub before: Mode,
    /// The mode now.
    pub now: Mode,
}

/// Where a tag pointed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The registry.
    pub registry: String,
    /// The repository there.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// What is known for each class of clients that asked.
    pub variants: Vec<Variant>,
}

/// Where a tag pointed, for one class of clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// For clients that read indexes, or for those that read manifests alone.
    pub class: VariantClass,
    /// As anybody saw it, or as the login did that is configured.
    pub visibility: Visibility,
    /// Its moves, the newest first.
    pub moves: Vec<Move>,
}

/// A time during which a tag pointed at one manifest, as far as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// At which.
    pub digest: Digest,
    /// When the registry said so first.
    pub first_seen: Moment,
    /// When it said so last.
    pub last_seen: Moment,
    /// Whether it points there still, as far as is known.
    pub is_present: bool,
}

/// The registry was asked what a tag points at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refreshed {
    /// The registry.
    pub registry: String,
    /// The repository there.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// What it said for each class of clients that asked before; for those that read indexes when none has.
    pub variants: Vec<Answered>,
}

/// What a tag points at for one class of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// For which.
    pub class: VariantClass,
    /// What it pointed at as far as was known; `None` when nothing was.
    pub before: Option<Digest>,
    /// What it points at now.
    pub now: Digest,
    /// What became of it.
    pub change: Change,
}

/// What became of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It points where it did.
    Unchanged,
    /// It points elsewhere.
    Moved,
    /// It was not known.
    New,
}

/// The configuration was read again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// The file, `None` when there is none.
    pub file: Option<String>,
    /// What changed: keys of sections, as in `tags.freshness`, and upstreams, as in `upstream docker.io`.
    pub changed: Vec<String>,
    /// The keys whose new values hold only once larder starts again.
    pub needs_restart: Vec<String>,
    /// What is no fault and should be known, a sentence each.
    pub warnings: Vec<String>,
}

/// How the upstreams stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstreams {
    /// When this was so.
    pub at: Moment,
    /// All that are configured, in the order of the configuration.
    pub upstreams: Vec<Upstream>,
}

/// How one upstream stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// Its name or pattern, as it is configured.
    pub name: String,
    /// Whether it is asked.
    pub mode: Mode,
    /// Since when it is not.
    pub offline_since: Option<Moment>,
    /// The registry of that name, or those that fit the pattern and were asked for lately.
    pub registries: Vec<Registry>,
}

/// How one registry stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registry {
    /// Its name.
    pub name: String,
    /// That of the host of it that is worst, and of these the first.
    pub state: State,
    /// Since when; `None` when it was not asked yet.
    pub since: Option<Moment>,
    /// Old answers that went out since larder started, by reason.
    pub stale: BTreeMap<String, u64>,
    /// What people lack, the latest first.
    pub lacking: Vec<Lacking>,
    /// Where it is asked, in order.
    pub endpoints: Vec<Endpoint>,
}

/// How a host is, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It was not asked yet.
    Unasked,
    /// It answered last time.
    Answers,
    /// It failed last time.
    Fails,
    /// It failed so often that it is left alone.
    Rests,
}

/// One of the places where a registry is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its address.
    pub url: String,
    /// It, and those that it led to within the last hour, such as its token service and its storage.
    pub hosts: Vec<Host>,
    /// The limits that stop requests now.
    pub limits: Vec<ReachedLimit>,
    /// What it said last of pulls.
    pub quotas: Vec<Quota>,
    /// How its logins are.
    #[serde(default)]
    pub logins: Vec<Login>,
}

/// How a login is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// Where it comes from, as in `user acme`.
    pub login: String,
    /// How it is.
    pub state: LoginState,
}

/// How a login is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginState {
    /// Nobody needed it yet, or there is none where it comes from.
    Unknown,
    /// Nothing speaks against it.
    Usable,
    /// It was refused, and is left alone.
    Suspended,
    /// It cannot be read.
    Unreadable,
}

/// How one host stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Its name, with the port when that is not the usual one.
    pub host: String,
    /// How it is.
    pub state: State,
    /// Since when; `None` when it was not asked yet.
    pub since: Option<Moment>,
    /// How it failed last, however long ago.
    pub last_failure: Option<LastFailure>,
    /// When it is asked next, while it is left alone.
    pub next_probe: Option<Moment>,
}

/// How a host failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastFailure {
    /// What happened.
    pub message: String,
    /// When.
    pub at: Moment,
}

/// A limit that was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReachedLimit {
    /// Whose.
    pub host: String,
    /// For which login, `None` for those without one.
    pub login: Option<String>,
    /// Of what there were too many.
    pub limit: Limited,
    /// Until when it is not asked.
    pub until: Moment,
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limited {
    /// Pulls, which are GETs of manifests.
    Pulls,
    /// Requests of any kind.
    Requests,
}

/// What a registry said of pulls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// For which login, `None` for those without one.
    pub login: Option<String>,
    /// How many there are in one window.
    pub limit: u64,
    /// How many were left of them.
    pub remaining: u64,
    /// How long a window is.
    pub window_seconds: u64,
    /// When it said so.
    pub at: Moment,
}

/// Something that could not be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lacking {
    /// What.
    pub image: String,
    /// How many requests there were for it.
    pub requests: u64,
    /// When the first one was.
    pub first: Moment,
    /// When the last one was.
    pub last: Moment,
    /// Why it could not be had, the last time.
    pub reason: String,
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The error.
    pub error: FailureBody,
}

/// What is told of an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureBody {
    /// Its kind.
    pub code: ErrorCode,
    /// What happened, for people.
    pub message: String,
}
