//! Connections: made within bounds of time, to admitted addresses only, and kept for the next request.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Uri};
use http_body_util::Full;
use hyper_rustls::{DefaultServerNameResolver, HttpsConnector};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioTimer;
use rustls::ClientConfig;
use tower_service::Service;

use super::endpoint_url::Site;
use super::error::Phase;
use super::resolve::{ResolveError, Resolver};
use super::settings::Limits;
use super::tls::EndpointTls;
use super::transport::{Exits, Road};
use super::trust::Reach;
use crate::runtime::Tasks;

/// Makes requests to addresses within one reach.
pub(super) type HttpClient = Client<Connector, Full<Bytes>>;
pub(super) type BoxError = Box<dyn Error + Send + Sync>;
pub(super) type BoxFuture<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;
type Lane = Bounded<HttpsConnector<Bounded<Road>>>;

/// What leads to one endpoint, and to wherever it sends us.
#[derive(Clone, Debug)]
pub(super) struct Ways {
    pub(super) resolver: Resolver,
    pub(super) exits: Exits,
    /// The endpoint itself.
    pub(super) site: Site,
    pub(super) tls: EndpointTls,
}

/// The clients of one endpoint. Each reach has its own connections, so that none is used for what it was not judged for.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    public: HttpClient,
    private: HttpClient,
    anywhere: HttpClient,
    exits: Exits,
}

impl Clients {
    /// How long a connection is kept without use: shorter than servers and middleboxes usually do (60 s and more).
    const IDLE: Duration = Duration::from_secs(50);
    /// How many unused connections are kept to one host: what one client pulls with at once.
    const MAX_IDLE: usize = 16;
    /// The most that is read from a connection at once, and the longest head of an answer. On loopback a read brings
    /// about 110 KB, whatever is offered; between 64 KiB and 1 MiB no difference was measured.
    const READ_BUFFER: usize = 256 << 10;
    /// HTTP/2 windows of one stream and of a connection: 40 MB/s a stream at 100 ms, and memory stays bounded.
    const WINDOWS: (u32, u32) = (4 << 20, 16 << 20);

    /// Makes clients that have no connection yet.
    pub(super) fn new(ways: &Ways, limits: &Limits, tasks: &Tasks) -> Self {
        let client = |reach| Self::client(Connector::new(ways, reach, limits), tasks);
        Self {
            public: client(Reach::Public),
            private: client(Reach::Private),
            anywhere: client(Reach::Anywhere),
            exits: ways.exits.clone(),
        }
    }

    /// Returns what to show to the proxy with a request, when there is one that sees requests. Others are shown it when
    /// the connection is made.
    pub(super) fn proxy_authorization(&self, target: &Uri) -> Option<HeaderValue> {
        let is_seen = target.scheme_str() == Some("http");
        let proxy = is_seen.then(|| self.exits.proxies.toward(target))?;
        proxy?.authorization
    }

    /// Returns the client for a reach.
    pub(super) fn reaching(&self, reach: Reach) -> &HttpClient {
        match reach {
            Reach::Public => &self.public,
            Reach::Private => &self.private,
            Reach::Anywhere => &self.anywhere,
        }
    }

    fn client(connector: Connector, tasks: &Tasks) -> HttpClient {
        let (stream_window, connection_window) = Self::WINDOWS;
        Client::builder(Executor(tasks.clone()))
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Self::IDLE)
            .pool_max_idle_per_host(Self::MAX_IDLE)
            .http1_max_buf_size(Self::READ_BUFFER)
            .http2_initial_stream_window_size(stream_window)
            .http2_initial_connection_window_size(connection_window)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .build(connector)
    }
}

#[cfg(test)]
impl Clients {
    /// Makes clients without proxies, for no endpoint in particular.
    pub(super) fn sample(limits: &Limits, tasks: &Tasks) -> Self {
        let tls = super::tls::client_config(Vec::new()).unwrap();
        let ways = Ways {
            resolver: Resolver::new(limits, tasks),
            exits: Exits {
                proxies: super::egress::Proxies::default(),
                tls: tls.clone(),
            },
            site: Site::of(&Uri::from_static("https://r.example")).unwrap(),
            tls: EndpointTls::usual(&tls),
        };
        Self::new(&ways, limits, tasks)
    }
}

/// Makes connections, with TLS where it is wanted.
#[derive(Clone)]
pub(super) struct Connector {
    site: Site,
    /// To the endpoint itself.
    own: Lane,
    /// To all others.
    others: Lane,
}

impl Connector {
    fn new(ways: &Ways, reach: Reach, limits: &Limits) -> Self {
        let resolver = ways.resolver.clone();
        let road = Bounded {
            service: Road::new(Guard { reach, resolver }, ways.exits.clone(), limits),
            at_most: limits.connect,
            phase: Phase::Connect,
        };
        let lane = |tls: &Arc<ClientConfig>| {
            let names = Arc::new(DefaultServerNameResolver::default());
            Bounded {
                service: HttpsConnector::new(road.clone(), tls.clone(), false, names),
                at_most: limits.connect + limits.tls,
                phase: Phase::Tls,
            }
        };
        Self {
            site: ways.site.clone(),
            own: lane(&ways.tls.own),
            others: lane(&ways.tls.others),
        }
    }
}

impl Service<Uri> for Connector {
    type Response = <Lane as Service<Uri>>::Response;
    type Error = BoxError;
    type Future = BoxFuture<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        std::task::ready!(self.own.poll_ready(context))?;
        self.others.poll_ready(context)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        if Site::of(&target).as_ref() == Some(&self.site) {
            self.own.call(target)
        } else {
            self.others.call(target)
        }
    }
}

/// Runs what hyper spawns among our tasks.
#[derive(Clone)]
struct Executor(Tasks);

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, future: F) {
        drop(self.0.spawn("upstream connection", future));
    }
}

/// A service that has to be done in time.
#[derive(Clone)]
pub(super) struct Bounded<S> {
    service: S,
    at_most: Duration,
    phase: Phase,
}

impl<S> Service<Uri> for Bounded<S>
where
    S: Service<Uri, Error: Into<BoxError>, Future: Send + 'static>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<S::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.service.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let (at_most, phase) = (self.at_most, self.phase);
        let connecting = self.service.call(target);
        Box::pin(async move {
            match tokio::time::timeout(at_most, connecting).await {
                Ok(done) => done.map_err(Into::into),
                Err(_) => Err(TimedOut(phase).into()),
            }
        })
    }
}

/// A phase of connecting was not done in time.
#[derive(Debug)]
pub(super) struct TimedOut(pub(super) Phase);

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "took too long {}", self.0)
    }
}

impl Error for TimedOut {}

/// Resolves names, and passes on the addresses within a reach only.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    reach: Reach,
    resolver: Resolver,
}

impl Guard {
    /// Returns which addresses are passed on.
    pub(super) fn reach(&self) -> Reach {
        self.reach
    }

    /// Passes on all addresses.
    pub(super) fn anywhere(&self) -> Self {
        Self {
            reach: Reach::Anywhere,
            resolver: self.resolver.clone(),
        }
    }
}

impl Service<Name> for Guard {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = BoxFuture<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let Self { reach, resolver } = self.clone();
        Box::pin(async move {
            let found = match resolver.resolve(name.as_str()).await {
                Ok(found) => found,
                Err(ResolveError::Late) => return Err(TimedOut(Phase::Connect).into()),
                Err(error @ ResolveError::Failed(_)) => return Err(error.into()),
            };
            let admitted: Vec<_> = found
                .iter()
                .copied()
                .filter(|address| reach.admits(address.ip()))
                .collect();
            if admitted.is_empty() && !found.is_empty() {
                return Err(OutOfReach.into());
            }
            Ok(admitted.into_iter())
        })
    }
}

/// A name has addresses, and none of them may be connected to.
#[derive(Debug)]
pub(super) struct OutOfReach;

impl fmt::Display for OutOfReach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name has private or special addresses only")
    }
}

impl Error for OutOfReach {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_resolve_within_their_reach_only() {
        for (name, reach, is_admitted) in [
            ("localhost", Reach::Public, false),
            ("localhost", Reach::Private, true),
            ("localhost", Reach::Anywhere, true),
            // What only looks like a name is one for the resolver of the system: 127.0.0.1.
            ("2130706433", Reach::Public, false),
            ("0x7f.1", Reach::Public, false),
        ] {
            let resolver = Resolver::new(&Limits::default(), &Tasks::new());
            let resolved = Guard { reach, resolver }.call(name.parse().unwrap()).await;
            match resolved {
                Ok(mut addresses) => assert!(is_admitted && addresses.next().is_some(), "{name}"),
                Err(error) => assert!(!is_admitted && error.is::<OutOfReach>(), "{name}: {error}"),
            }
        }
    }

    #[tokio::test]
    async fn a_name_that_is_late_is_a_connection_that_is_late() {
        let limits = Limits {
            connect: Duration::from_millis(1),
            ..Limits::default()
        };
        let (end, waits) = std::sync::mpsc::channel::<()>();
        let waits = std::sync::Mutex::new(waits);
        let source = move |_: &str| {
            waits.lock().unwrap().recv().ok();
            Ok(Vec::new())
        };
        let mut guard = Guard {
            reach: Reach::Anywhere,
            resolver: Resolver::asking(&limits, &Tasks::new(), source),
        };
        let late = guard.call("slow.test".parse().unwrap()).await.unwrap_err();
        assert!(late.is::<TimedOut>(), "{late}");
        drop(end);
    }
}
