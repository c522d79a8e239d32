//! A task of ours finds out when a host is back, so that no client has to.
//!
//! It asks for as little as shows that the host answers, shows no login, and takes no room from clients. There is one for
//! each host that rests; it ends with the rest, with the endpoint, and when larder stops. For a host that is not the
//! registry itself it ends after some minutes, too.

use std::sync::{Arc, Weak};
use std::time::Duration;

use http::{Method, Uri};
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::Instrument;

use super::circuit::Duty;
use super::host::Host;
use crate::runtime::Tasks;
use crate::upstream::error::UpstreamError;
use crate::upstream::scheme::Fallback;
use crate::upstream::settings::EndpointSettings;
use crate::upstream::trust::{Hop, Reach};
use crate::upstream::wire::Wire;

/// What is asked of a host to find out whether it is back.
#[derive(Clone, Debug)]
pub(in crate::upstream) struct Knock {
    pub(in crate::upstream) method: Method,
    pub(in crate::upstream) hop: Hop,
}

/// What the tasks of one endpoint are started with. They end when it is dropped.
#[derive(Debug)]
pub(in crate::upstream) struct Vigils {
    tasks: Tasks,
    /// Where the registry itself is pinged.
    own: Vec<Hop>,
    /// Places for tasks that ask others.
    others: Arc<Semaphore>,
    end: CancellationToken,
    _guard: DropGuard,
}

/// The duty to find out when a host is back. When it is dropped, the next request will find out.
#[derive(Debug)]
#[must_use = "nobody finds out otherwise, before the next request"]
pub(in crate::upstream) struct Vigil {
    host: Host,
    number: u64,
}

impl Vigils {
    /// How many hosts are asked beside the registry itself. A registry leads to a few; one that means harm may name any
    /// number of hosts that do not answer.
    const MAX_OTHERS: usize = 8;
    /// How long they are asked. The registry itself is asked until it is back; it may lead to others no more, and then
    /// they keep a place from those that it leads to.
    const OTHERS_FOR: Duration = Duration::from_mins(10);

    /// Prepares the tasks of an endpoint.
    pub(in crate::upstream) fn new(endpoint: &EndpointSettings, tasks: Tasks) -> Self {
        let fallback = Fallback::of(endpoint);
        let places = [Some(&endpoint.url), fallback.plain()];
        let own = places.into_iter().flatten().map(|url| Hop {
            url: url.api(endpoint.api_path, ""),
            site: url.site().clone(),
            reach: Reach::Anywhere,
        });
        let end = CancellationToken::new();
        Self {
            tasks,
            own: own.collect(),
            others: Arc::new(Semaphore::new(Self::MAX_OTHERS)),
            _guard: end.clone().drop_guard(),
            end,
        }
    }

    /// Starts a task that keeps a vigil for the host at a place, if there is room for one.
    pub(in crate::upstream) fn start(&self, wire: Weak<Wire>, failed: &Hop, vigil: Vigil) {
        let Some(knock) = self.knock(failed) else {
            return;
        };
        let place = if self.own.iter().any(|hop| hop.site == failed.site) {
            None
        } else {
            let Ok(place) = self.others.clone().try_acquire_owned() else {
                return;
            };
            Some(place)
        };
        let (end, stopping) = (self.end.clone(), self.tasks.stopping());
        // The request that failed last has nothing to do with what comes of it.
        let span = tracing::debug_span!(parent: None, "probe", host = %failed.site.name());
        let watching = async move {
            let patience = async {
                match &place {
                    Some(_) => tokio::time::sleep(Self::OTHERS_FOR).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = vigil.keep(wire, &knock) => {}
                () = patience => {}
                () = end.cancelled() => {}
                () = stopping.cancelled() => {}
            }
        };
        drop(
            self.tasks
                .spawn("upstream probe", watching.instrument(span)),
        );
    }

    /// Returns what to ask of the host at a place: the ping of the registry itself, and nothing in particular of others.
    fn knock(&self, failed: &Hop) -> Option<Knock> {
        if let Some(hop) = self.own.iter().find(|hop| hop.site == failed.site) {
            return Some(Knock {
                method: Method::GET,
                hop: hop.clone(),
            });
        }
        let url = Uri::builder()
            .scheme(failed.url.scheme()?.clone())
            .authority(failed.url.authority()?.clone())
            .path_and_query("/");
        Some(Knock {
            method: Method::HEAD,
            hop: Hop {
                url: url.build().ok()?,
                ..failed.clone()
            },
        })
    }
}

impl Vigil {
    /// Takes over a rest of a host.
    pub(super) fn new(host: Host, number: u64) -> Self {
        Self { host, number }
    }

    /// Asks after each rest, until the host answers or somebody else has found out.
    async fn keep(&self, wire: Weak<Wire>, knock: &Knock) {
        loop {
            match self.host.duty(self.number) {
                Duty::Nothing => return,
                Duty::Wait(until) => {
                    tokio::time::sleep_until(until).await;
                    continue;
                }
                Duty::Ask => {}
            }
            let Some(wire) = wire.upgrade() else { return };
            match ask(wire, knock).await {
                Some(Ok(())) => self.host.recovers(self.number),
                Some(Err(failure @ UpstreamError::Unavailable { .. })) => {
                    self.host.troubled(self.number, failure);
                }
                Some(Err(failure)) => self.host.silent(self.number, failure),
                None => return,
            }
        }
    }
}

/// Holds on to the endpoint for this one question alone.
async fn ask(wire: Arc<Wire>, knock: &Knock) -> Option<Result<(), UpstreamError>> {
    Box::pin(wire.knock(knock)).await
}

impl Drop for Vigil {
    fn drop(&mut self) {
        self.host.released(self.number);
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::gauge::Gauge;

    use super::super::circuit::Admission;
    use super::*;
    use crate::runtime::Clock;
    use crate::upstream::CircuitLimits;
    use crate::upstream::endpoint_url::{EndpointUrl, Site};
    use crate::upstream::settings::ApiPath;

    fn hop(url: &str) -> Hop {
        let url: Uri = url.parse().unwrap();
        Hop {
            site: Site::of(&url).unwrap(),
            url,
            reach: Reach::Public,
        }
    }

    #[test]
    fn the_registry_is_pinged_and_others_are_asked_for_nothing() {
        let url: EndpointUrl = "https://r.example/below".parse().unwrap();
        let mut endpoint = EndpointSettings::from(url);
        endpoint.falls_back_to_http = true;
        for (api_path, failed, asked) in [
            (
                ApiPath::Versioned,
                "https://r.example/below/v2/a/manifests/1",
                "GET https://r.example/below/v2/ Anywhere",
            ),
            (
                ApiPath::AsWritten,
                "https://r.example/x",
                "GET https://r.example/below/ Anywhere",
            ),
            (
                ApiPath::Versioned,
                "http://r.example/below/v2/a",
                "GET http://r.example/below/v2/ Anywhere",
            ),
            (
                ApiPath::Versioned,
                "https://auth.example:444/token?service=x",
                "HEAD https://auth.example:444/ Public",
            ),
        ] {
            endpoint.api_path = api_path;
            let knock = Vigils::new(&endpoint, Tasks::new()).knock(&hop(failed));
            let Knock { method, hop } = knock.unwrap();
            assert_eq!(format!("{method} {} {:?}", hop.url, hop.reach), asked);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_registry_cannot_have_any_number_of_hosts_asked() {
        let url: EndpointUrl = "https://r.example".parse().unwrap();
        let tasks = Tasks::new();
        let vigils = Vigils::new(&url.into(), tasks.clone());
        let resting = Gauge::default();
        let limits = CircuitLimits {
            failures: 1,
            first_rest: Duration::from_hours(1),
            ..CircuitLimits::default()
        };
        let fails = |url: &str| {
            let hop = hop(url);
            let host = Host::new(hop.site.clone(), limits, resting.clone(), Clock::system());
            let failure = UpstreamError::unreachable(hop.site.name(), "gone");
            let number = host.failed(Admission::Usual, None, failure).unwrap();
            vigils.start(Weak::new(), &hop, Vigil::new(host.clone(), number));
            host
        };
        let hosts = (0..20).map(|number| fails(&format!("https://h{number}.example/")));
        let hosts: Vec<Host> = hosts.collect();
        let own = fails("https://r.example/v2/");
        assert_eq!(tasks.count(), Vigils::MAX_OTHERS + 1);
        assert!(own.standing().next_probe.is_some());
        let asked = hosts
            .iter()
            .map(|host| host.standing().next_probe.is_some());
        let asked: Vec<bool> = asked.collect();
        assert_eq!(asked[..Vigils::MAX_OTHERS], [true; Vigils::MAX_OTHERS]);
        assert!(!asked[Vigils::MAX_OTHERS], "the next request finds out");
        assert_eq!(resting.get(), 21);
        tokio::time::sleep(Vigils::OTHERS_FOR + Duration::from_secs(1)).await;
        assert_eq!(tasks.count(), 1, "the registry itself is asked on");
        let first = hosts.first().map(|host| host.standing().next_probe);
        assert_eq!(first, Some(None), "the next request finds out");
        for host in &hosts {
            host.uncount();
            host.uncount();
        }
        assert_eq!(resting.get(), 1);
        tasks.stop();
    }
}
