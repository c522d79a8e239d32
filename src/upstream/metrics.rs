//! What is counted of registries. Upstreams are named as they are configured (a family by its pattern), logins by where they
//! come from: the labels are as many as the configuration has, whatever clients and registries send.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::credentials::LoginIdentity;
use super::error::UpstreamError;
use super::quota::Quota;

/// What is counted of all registries. Clones are the same counters.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    requests: Family<RequestLabels, Counter>,
    received_bytes: Family<UpstreamLabels, Counter>,
    resumed_transfers: Family<UpstreamLabels, Counter>,
    resting: Family<UpstreamLabels, Gauge>,
    offline: Family<UpstreamLabels, Gauge>,
    pull_limit: Family<LoginLabels, Gauge>,
    pulls_remaining: Family<LoginLabels, Gauge>,
    pull_window: Family<LoginLabels, Gauge>,
    suspended: Family<LoginLabels, Gauge>,
    /// The logins that something is told of.
    logins: Arc<Mutex<HashSet<LoginLabels>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    upstream: Arc<str>,
    kind: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UpstreamLabels {
    upstream: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LoginLabels {
    upstream: Arc<str>,
    login: String,
}

/// What a request to a registry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// A GET of a manifest, which registries count as a pull.
    Pull,
    /// A HEAD for a manifest.
    Head,
    /// A blob, or a HEAD for one.
    Blob,
    /// A page of a list.
    List,
    /// A token.
    Token,
    /// `GET /v2/`.
    Ping,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Pull => "manifest_get",
            Self::Head => "manifest_head",
            Self::Blob => "blob",
            Self::List => "list",
            Self::Token => "token",
            Self::Ping => "ping",
        }
    }
}

impl Metrics {
    /// Registers what is counted.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "upstream_requests",
            "Requests to registries, their token services and where they send us",
            metrics.requests.clone(),
        );
        registry.register(
            "upstream_received_bytes",
            "Bytes of bodies that registries, their token services and their storage sent; larder_sent_bytes_total minus this is what was saved",
            metrics.received_bytes.clone(),
        );
        registry.register(
            "upstream_resumed_transfers",
            "Transfers of blobs that broke and went on where they were",
            metrics.resumed_transfers.clone(),
        );
        registry.register(
            "upstream_resting",
            "Hosts of a registry that are left alone because they failed",
            metrics.resting.clone(),
        );
        registry.register(
            "upstream_offline",
            "Whether a registry is not asked because its operator says so (1), or may be (0)",
            metrics.offline.clone(),
        );
        registry.register(
            "upstream_pull_limit",
            "Pulls that a registry allows in a window, as it said last",
            metrics.pull_limit.clone(),
        );
        registry.register(
            "upstream_pulls_remaining",
            "Pulls that are left of the limit, as the registry said last",
            metrics.pulls_remaining.clone(),
        );
        registry.register(
            "upstream_pull_window_seconds",
            "The window of the limit of pulls",
            metrics.pull_window.clone(),
        );
        registry.register(
            "upstream_login_suspended",
            "Whether a login is left alone because it was refused (1), or in use (0)",
            metrics.suspended.clone(),
        );
        metrics
    }

    /// Stops telling whether an upstream is offline that is configured no more. What was counted of it stays, as counters
    /// have to.
    pub(super) fn forget(&self, upstream: &str) {
        let upstream = upstream.into();
        self.offline.remove(&UpstreamLabels { upstream });
    }

    /// Each change is complete by itself, so that what a panic left is sound.
    fn logins(&self) -> MutexGuard<'_, HashSet<LoginLabels>> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what is counted of one upstream, under its configured name.
    pub(super) fn of(&self, upstream: &str) -> UpstreamMetrics {
        let own = UpstreamLabels {
            upstream: upstream.into(),
        };
        UpstreamMetrics {
            all: self.clone(),
            received_bytes: self.received_bytes.get_or_create_owned(&own),
            resumed_transfers: self.resumed_transfers.get_or_create_owned(&own),
            upstream: own.upstream,
            is_retired: Arc::default(),
        }
    }
}

/// What is counted of one upstream.
#[derive(Clone, Debug)]
pub(super) struct UpstreamMetrics {
    all: Metrics,
    upstream: Arc<str>,
    received_bytes: Counter,
    resumed_transfers: Counter,
    /// Whether another configuration is in force. What is under way goes on, and tells nothing of how the upstream is.
    /// Read and changed while `Metrics::logins` is held.
    is_retired: Arc<AtomicBool>,
}

impl UpstreamMetrics {
    /// Stops telling how the upstream and its logins are: another one has taken its place, or none.
    pub(super) fn retire(&self) {
        let known = &mut *self.all.logins();
        self.is_retired.store(true, Ordering::Relaxed);
        self.all.resting.remove(&self.own());
        for labels in known.extract_if(|labels| labels.upstream == self.upstream) {
            for family in [
                &self.all.pull_limit,
                &self.all.pulls_remaining,
                &self.all.pull_window,
                &self.all.suspended,
            ] {
                family.remove(&labels);
            }
        }
    }

    /// Returns the upstream as it is configured: its name, or its pattern.
    pub(super) fn configured_name(&self) -> &Arc<str> {
        &self.upstream
    }

    /// Returns how many bytes of bodies came.
    pub(super) fn received_bytes(&self) -> &Counter {
        &self.received_bytes
    }

    /// Counts a transfer that broke and went on.
    pub(super) fn resumed(&self) {
        self.resumed_transfers.inc();
    }

    /// Counts a request, by what came of it.
    pub(super) fn asked(&self, kind: Kind, came: Result<StatusCode, &UpstreamError>) {
        let labels = RequestLabels {
            upstream: self.upstream.clone(),
            kind: kind.name(),
            result: match came {
                Ok(status) => told(status),
                Err(UpstreamError::TimedOut { .. }) => "late",
                Err(_) => "unreachable",
            },
        };
        self.all.requests.get_or_create(&labels).inc();
    }

    /// Returns how many hosts of it rest.
    pub(super) fn resting(&self) -> Gauge {
        let _known = self.all.logins();
        if self.is_retired.load(Ordering::Relaxed) {
            return Gauge::default();
        }
        self.all.resting.get_or_create_owned(&self.own())
    }

    /// Returns whether it is offline.
    pub(super) fn offline(&self) -> Gauge {
        self.all.offline.get_or_create_owned(&self.own())
    }

    fn own(&self) -> UpstreamLabels {
        UpstreamLabels {
            upstream: self.upstream.clone(),
        }
    }

    /// Takes down what the registry lets a login pull.
    pub(super) fn quota(&self, login: Option<&LoginIdentity>, quota: Quota) {
        self.tell(login, |labels| {
            let set = |family: &Family<LoginLabels, Gauge>, value: u64| {
                family
                    .get_or_create(labels)
                    .set(i64::try_from(value).unwrap_or(i64::MAX));
            };
            set(&self.all.pull_limit, quota.limit);
            set(&self.all.pulls_remaining, quota.remaining);
            set(&self.all.pull_window, quota.window.as_secs());
        });
    }

    /// Takes down whether a login is left alone.
    pub(super) fn login_suspended(&self, login: &LoginIdentity, is_suspended: bool) {
        self.tell(Some(login), |labels| {
            let gauge = self.all.suspended.get_or_create_owned(labels);
            gauge.set(i64::from(is_suspended));
        });
    }

    /// Tells something of a login, unless it is of no interest any more.
    fn tell(&self, login: Option<&LoginIdentity>, tell: impl FnOnce(&LoginLabels)) {
        let labels = LoginLabels {
            upstream: self.upstream.clone(),
            login: login.map_or("anonymous", LoginIdentity::as_str).to_owned(),
        };
        let mut known = self.all.logins();
        if self.is_retired.load(Ordering::Relaxed) {
            return;
        }
        tell(&labels);
        known.insert(labels);
    }
}

/// Names what an answer says.
fn told(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200..=399 => "ok",
        401 | 403 => "refused",
        404 => "absent",
        429 => "limited",
        500..=599 => "failed",
        _ => "other",
    }
}

#[cfg(test)]
impl Metrics {
    /// Counts something of everything.
    pub(crate) fn sample(&self) {
        use std::time::Duration;

        let hub = self.of("docker.io");
        hub.asked(Kind::Pull, Ok(StatusCode::OK));
        hub.asked(Kind::Token, Ok(StatusCode::UNAUTHORIZED));
        let quota = Quota {
            limit: 100,
            remaining: 76,
            window: Duration::from_hours(6),
        };
        hub.quota(None, quota);
        hub.login_suspended(&LoginIdentity::new("user acme"), true);
        hub.resting().inc();
        hub.offline().set(1);
        hub.received_bytes().inc_by(7);
        hub.resumed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown() {
        let mut registry = Registry::with_prefix("larder");
        Metrics::register(&mut registry).sample();
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            r#"larder_upstream_requests_total{upstream="docker.io",kind="manifest_get",result="ok"} 1"#,
            r#"larder_upstream_requests_total{upstream="docker.io",kind="token",result="refused"} 1"#,
            r#"larder_upstream_pull_limit{upstream="docker.io",login="anonymous"} 100"#,
            r#"larder_upstream_pulls_remaining{upstream="docker.io",login="anonymous"} 76"#,
            r#"larder_upstream_pull_window_seconds{upstream="docker.io",login="anonymous"} 21600"#,
            r#"larder_upstream_login_suspended{upstream="docker.io",login="user acme"} 1"#,
            r#"larder_upstream_received_bytes_total{upstream="docker.io"} 7"#,
            r#"larder_upstream_resumed_transfers_total{upstream="docker.io"} 1"#,
            r#"larder_upstream_resting{upstream="docker.io"} 1"#,
            r#"larder_upstream_offline{upstream="docker.io"} 1"#,
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
