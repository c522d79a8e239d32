//! A task of ours finds out when a host is back, so that no client has to.
//!
//! It asks for as little as shows that the host answers, shows no login, and takes no room from clients. There is one for
//! each host that rests; it ends with the rest, with the endpoint, and when larder stops.

use std::sync::{Arc, Weak};

use http::{Method, Uri};
use tokio_util::sync::{CancellationToken, DropGuard};

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
            _guard: end.clone().drop_guard(),
            end,
        }
    }

    /// Starts a task that keeps a vigil for the host at a place.
    pub(in crate::upstream) fn start(&self, wire: Weak<Wire>, failed: &Hop, vigil: Vigil) {
        let Some(knock) = self.knock(failed) else {
            return;
        };
        let (end, stopping) = (self.end.clone(), self.tasks.stopping());
        drop(self.tasks.spawn("upstream probe", async move {
            tokio::select! {
                () = vigil.keep(wire, &knock) => {}
                () = end.cancelled() => {}
                () = stopping.cancelled() => {}
            }
        }));
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
    use super::*;
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
}
