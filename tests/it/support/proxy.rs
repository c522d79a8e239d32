//! A larder that runs in the test's process, with everything as it is in the program but the settings.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use larder::addressing::{self, Addressing, UpstreamRule};
use larder::cache::freshness::{self, Freshness, Keys, TagRule, UpstreamContract};
use larder::cache::{self, Audience, Cache, Parts, ShareRule, ShareRules};
use larder::runtime::{Clock, InstanceId, Live, Tasks, Timestamp};
use larder::server::metrics::Metrics;
use larder::server::{self, CatalogAudience, Proxies, ProxyProtocol, Server, Sockets, TlsSettings};
use larder::store::StoreError;
use larder::store::disk::{self, DiskStore};
use larder::store::faulty::{FaultyBlobs, FaultyRecords};
use larder::upstream::{
    self, CircuitLimits, CredentialSettings, CredentialSource, Egress, EndpointSettings,
    EndpointUrl, Limits, Mode, Schedule, Secret, SecretSource, Upstreams,
};
use prometheus_client::registry::Registry;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Client, FakeRegistry, PATIENCE, Reply, within};

/// Where the tests' time begins.
const BEGINNING_MILLIS: u64 = 1_790_000_000_000;

/// How long tags are believed unless a test says something else, give or take a tenth.
const USUAL_FRESHNESS: Duration = Duration::from_mins(10);

/// A running larder. It stops, not gracefully, when it is dropped.
pub struct TestProxy {
    address: SocketAddr,
    /// Where TLS is spoken beside it.
    beside: Option<SocketAddr>,
    clock: Clock,
    folder: Arc<TempDir>,
    builder: TestProxyBuilder,
    blobs: Arc<FaultyBlobs>,
    records: Arc<FaultyRecords>,
    counters: Arc<Registry>,
    /// Taken away before the tasks are drained: idle connections end with it.
    cache: Option<Arc<Cache>>,
    tasks: Tasks,
    stopping: CancellationToken,
    server: JoinHandle<usize>,
}

/// What a larder is started with.
#[derive(Clone)]
pub struct TestProxyBuilder {
    upstreams: Vec<Configured>,
    share: Vec<ShareRule>,
    egress: Egress,
    ca_file: Option<PathBuf>,
    default: Option<String>,
    keys: Keys,
    rules: Vec<UpstreamContract>,
    tls: Option<TlsSettings>,
    proxies: Proxies,
    refresh_from: Vec<IpNet>,
    catalog: CatalogAudience,
    min_free: u64,
    limits: Limits,
    clock: Clock,
    folder: Arc<TempDir>,
}

/// A registry that the larder knows.
#[derive(Clone)]
struct Configured {
    settings: upstream::Settings,
    aliases: Vec<String>,
    hosts: Vec<String>,
}

impl TestProxy {
    /// Configures a larder.
    pub fn builder() -> TestProxyBuilder {
        TestProxyBuilder {
            upstreams: Vec::new(),
            share: Vec::new(),
            egress: Egress::default(),
            ca_file: None,
            default: None,
            // What all tags of these tests have in common, whatever they look like.
            keys: Keys {
                freshness: Some(Freshness::For(USUAL_FRESHNESS)),
                ..Keys::default()
            },
            rules: Vec::new(),
            tls: None,
            proxies: Proxies::default(),
            refresh_from: Vec::new(),
            catalog: CatalogAudience::default(),
            min_free: 0,
            limits: impatient(),
            clock: Clock::set_to(Timestamp::from_millis(BEGINNING_MILLIS)),
            folder: Arc::new(tempfile::tempdir().unwrap()),
        }
    }

    /// Starts a larder for one registry, which is `up.test` and the default.
    pub async fn of(registry: &FakeRegistry) -> Self {
        Self::builder().upstream("up.test", registry).start().await
    }

    /// Returns a client of it.
    pub fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// Returns a client of the TLS that it speaks, who trusts this authority.
    pub fn tls_client(&self, ca_pem: &str) -> Client {
        Client::tls(self.beside.unwrap_or(self.address), ca_pem)
    }

    /// Returns `http://127.0.0.1:port`, for another larder that has it as a registry.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Opens a bare connection to it.
    pub async fn socket(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Asks it for a path, without more ado.
    pub async fn get(&self, path: &str) -> Reply {
        self.client().get(path).send().await
    }

    /// Asks it for the head of a path.
    pub async fn head(&self, path: &str) -> Reply {
        self.client().head(path).send().await
    }

    /// Returns the folder of the cache.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Returns the store of contents, which fails when told to.
    pub fn blobs(&self) -> &FaultyBlobs {
        &self.blobs
    }

    /// Returns what is counted, for when it has stopped as well.
    pub fn counters(&self) -> Arc<Registry> {
        self.counters.clone()
    }

    /// Returns what one line of the metrics counts, without the number: `upstream_resting{upstream="up.test"}`.
    pub fn counted(&self, line: &str) -> Option<u64> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.counters).unwrap();
        let number = text.lines().find_map(|found| found.strip_prefix(line))?;
        Some(number.trim().parse().unwrap())
    }

    /// Returns the cache, for what operators do with it.
    pub fn cache(&self) -> &Cache {
        self.cache.as_ref().unwrap()
    }

    /// Takes a registry offline, or online again.
    pub fn set_mode(&self, upstream: &str, mode: Mode) {
        let switch = self.cache().upstreams().switch(&upstream.parse().unwrap());
        switch.unwrap().set(mode, self.clock.now());
    }

    /// Returns the store of records, which fails when told to.
    pub fn records(&self) -> &FaultyRecords {
        &self.records
    }

    /// Lets time go by: for freshness, not for timers.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Returns what a crash at this moment leaves, to be started: a copy of the folder as it is.
    pub fn crashed(&self) -> TestProxyBuilder {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        copy(
            &self.folder.path().join("cache"),
            &folder.path().join("cache"),
        );
        TestProxyBuilder {
            folder,
            ..self.builder.clone()
        }
    }

    /// Stops gracefully, as SIGTERM does, and starts again on the same folder.
    pub async fn restart(self) -> Self {
        self.reconfigured(|builder| builder).await
    }

    /// Restarts with other settings.
    pub async fn reconfigured(
        self,
        change: impl FnOnce(TestProxyBuilder) -> TestProxyBuilder,
    ) -> Self {
        let builder = self.builder.clone();
        self.stop().await;
        change(builder).start().await
    }

    /// Begins to stop, as SIGTERM does: answers under way are given.
    pub fn begin_stop(&self) {
        self.stopping.cancel();
    }

    /// Stops the server, and returns how many connections were cut because they took too long.
    pub async fn stopped(mut self) -> usize {
        self.begin_stop();
        (&mut self.server).await.unwrap()
    }

    /// Stops gracefully, as SIGTERM does.
    pub async fn stop(mut self) {
        self.stopping.cancel();
        within("the server", &mut self.server).await.unwrap();
        self.cache = None;
        assert_eq!(
            self.tasks.drain(Duration::from_secs(10)).await,
            0,
            "tasks are left"
        );
    }
}

impl TestProxyBuilder {
    /// Adds a registry. The first one is the default upstream.
    pub fn upstream(self, name: &str, registry: &FakeRegistry) -> Self {
        self.upstream_at(name, registry.url())
    }

    /// Adds a registry by its address.
    pub fn upstream_at(mut self, name: &str, url: &str) -> Self {
        self.default.get_or_insert_with(|| name.to_owned());
        let endpoints = vec![url.parse::<EndpointUrl>().unwrap().into()];
        self.upstreams.push(Configured {
            settings: upstream::Settings::new(name.parse().unwrap(), endpoints),
            aliases: Vec::new(),
            hosts: Vec::new(),
        });
        self
    }

    /// Gives the last registry an alias.
    pub fn alias(mut self, alias: &str) -> Self {
        let last = self.upstreams.last_mut().unwrap();
        last.aliases.push(alias.to_owned());
        self
    }

    /// Gives the last registry a virtual host.
    pub fn host(mut self, host: &str) -> Self {
        let last = self.upstreams.last_mut().unwrap();
        last.hosts.push(host.to_owned());
        self
    }

    /// Changes the settings of the last registry: endpoints, logins and what else there is.
    pub fn with(mut self, change: impl FnOnce(&mut upstream::Settings)) -> Self {
        change(&mut self.upstreams.last_mut().unwrap().settings);
        self
    }

    /// Logs in at the last registry, for all repositories.
    pub fn login(self, username: &str, password: &str) -> Self {
        self.credential("**", password_of(username, password))
    }

    /// Puts an endpoint in front of those of the last registry.
    pub fn behind(self, endpoint: impl Into<EndpointSettings>) -> Self {
        let endpoint = endpoint.into();
        self.with(|settings| settings.endpoints.insert(0, endpoint))
    }

    /// Adds a login at the last registry, for some repositories.
    pub fn credential(self, repositories: &str, source: CredentialSource) -> Self {
        self.with(|settings| {
            settings.credentials.push(CredentialSettings {
                repositories: repositories.parse().unwrap(),
                source,
            });
        })
    }

    /// Gives what is private at the last registry to everyone.
    pub fn shares(mut self, repositories: &str) -> Self {
        self.share.push(ShareRule {
            upstreams: self.upstreams.last().unwrap().settings.pattern.clone(),
            repositories: repositories.parse().unwrap(),
            audience: Audience::Everyone,
        });
        self
    }

    /// Reaches registries through proxies.
    pub fn egress(mut self, egress: Egress) -> Self {
        self.egress = egress;
        self
    }

    /// Trusts these certificates at all registries.
    pub fn trusts(mut self, ca_pem: &str) -> Self {
        let file = self.folder.path().join("ca.pem");
        std::fs::write(&file, ca_pem).unwrap();
        self.ca_file = Some(file);
        self
    }

    /// Sets how long tags are believed.
    pub fn freshness(self, freshness: Freshness) -> Self {
        self.contract(|keys| keys.freshness = Some(freshness))
    }

    /// Changes what holds for all tags.
    pub fn contract(mut self, change: impl FnOnce(&mut Keys)) -> Self {
        change(&mut self.keys);
        self
    }

    /// Says nothing of freshness: what tags look like decides.
    pub fn usual_contract(self) -> Self {
        self.contract(|keys| *keys = Keys::default())
    }

    /// Says what holds for some tags of the last registry, as `repository:tag` patterns.
    pub fn tag_rule(mut self, images: &str, keys: Keys) -> Self {
        let upstreams = &self.upstreams.last().unwrap().settings.pattern;
        let rule = TagRule {
            images: images.parse().unwrap(),
            keys,
        };
        let known = self
            .rules
            .iter_mut()
            .find(|contract| contract.upstreams == *upstreams);
        match known {
            Some(contract) => contract.rules.push(rule),
            None => self.rules.push(UpstreamContract {
                upstreams: upstreams.clone(),
                rules: vec![rule],
                keys: Keys::default(),
            }),
        }
        self
    }

    /// Starts with the last registry offline.
    pub fn offline(self) -> Self {
        self.with(|settings| settings.mode = Mode::Offline)
    }

    /// Lets clients of these networks have the registry asked at once.
    pub fn refresh_from(mut self, network: &str) -> Self {
        self.refresh_from.push(network.parse().unwrap());
        self
    }

    /// Speaks TLS.
    pub fn tls(mut self, tls: TlsSettings) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Believes proxies of this network, which say for whom they ask.
    pub fn trusts_proxies(mut self, network: &str) -> Self {
        self.proxies.trusted.push(network.parse().unwrap());
        self
    }

    /// Takes connections from such proxies alone, with the PROXY protocol.
    pub fn proxy_protocol(mut self) -> Self {
        self.proxies.protocol = ProxyProtocol::Required;
        self
    }

    /// Shows everyone which repositories are here.
    pub fn public_catalog(mut self) -> Self {
        self.catalog = CatalogAudience::Everyone;
        self
    }

    /// Sets how much of the disk has to stay free, in bytes.
    pub fn min_free(mut self, bytes: u64) -> Self {
        self.min_free = bytes;
        self
    }

    /// Changes the limits towards registries.
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// Starts it.
    pub async fn start(self) -> TestProxy {
        let builder = self.clone();
        let tasks = Tasks::new();
        let instance = InstanceId::random();
        let mut counters = Registry::default();
        let store = self.store(&tasks).await;
        let blobs = Arc::new(FaultyBlobs::new(store.blobs.clone()));
        let records = Arc::new(FaultyRecords::new(store.cache_records.clone()));
        let parts = Parts {
            blobs: blobs.clone(),
            spools: store.spools.clone(),
            records: records.clone(),
            upstreams: self.registries(&tasks, &mut counters, instance),
            metrics: cache::Metrics::register(&mut counters),
            tasks: tasks.clone(),
            clock: self.clock.clone(),
        };
        let tags = freshness::Settings {
            keys: self.keys,
            upstreams: self.rules.clone(),
        };
        let cache = Arc::new(Cache::new(
            parts,
            cache::Settings {
                tags,
                share: ShareRules::new(self.share.clone()),
            },
        ));
        let server_settings = self.server();
        let metrics = Metrics::register(&mut counters);
        let parts = server::Parts {
            addressing: Live::new(self.addressing()),
            cache: cache.clone(),
            metrics,
            instance,
            connections: 1_000,
            sockets: Sockets::default(),
            tasks: tasks.clone(),
        };
        let server = Server::bind(server_settings, parts).unwrap();
        let addresses = server.local_addrs().unwrap();
        let stopping = CancellationToken::new();
        let server = tokio::spawn(server.run(stopping.clone(), Live::new(Duration::from_secs(10))));
        TestProxy {
            address: addresses[0],
            beside: addresses.get(1).copied(),
            clock: self.clock,
            folder: self.folder,
            builder,
            blobs,
            records,
            counters: Arc::new(counters),
            cache: Some(cache),
            tasks,
            stopping,
            server,
        }
    }

    /// Opens the folder. A program that another test starts has a copy of every open file until it runs, and so of the
    /// lock of a larder that stopped meanwhile: it is waited for.
    async fn store(&self, tasks: &Tasks) -> DiskStore {
        let settings = disk::Settings {
            path: self.folder.path().join("cache"),
            min_free: Some(self.min_free),
        };
        let began = std::time::Instant::now();
        loop {
            match DiskStore::open(&settings, tasks.clone(), self.clock.clone()).await {
                Err(StoreError::InUse { .. }) if began.elapsed() < PATIENCE => {
                    tokio::task::yield_now().await;
                }
                opened => return opened.unwrap(),
            }
        }
    }

    fn server(&self) -> server::Settings {
        server::Settings {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: self.tls.clone(),
            proxies: self.proxies.clone(),
            refresh_from: self.refresh_from.clone(),
            catalog: self.catalog,
        }
    }

    fn addressing(&self) -> Addressing {
        let upstreams = self.upstreams.iter().map(|registry| UpstreamRule {
            pattern: registry.settings.pattern.clone(),
            aliases: registry
                .aliases
                .iter()
                .map(|alias| alias.parse().unwrap())
                .collect(),
            hosts: registry
                .hosts
                .iter()
                .map(|host| host.parse().unwrap())
                .collect(),
        });
        let default = self.default.as_ref().map(|name| name.parse().unwrap());
        Addressing::new(&addressing::Settings {
            upstreams: upstreams.collect(),
            default,
        })
    }

    fn registries(
        &self,
        tasks: &Tasks,
        counters: &mut Registry,
        instance: InstanceId,
    ) -> Upstreams {
        let settings = self.upstreams.iter().map(|registry| {
            let mut settings = registry.settings.clone();
            for endpoint in &mut settings.endpoints {
                let own = endpoint.tls.ca_file.take();
                endpoint.tls.ca_file = own.or_else(|| self.ca_file.clone());
            }
            settings
        });
        let metrics = upstream::Metrics::register(counters);
        let parts = upstream::Parts {
            limits: self.limits.clone(),
            metrics,
            egress: self.egress.clone(),
            clock: self.clock.clone(),
            tasks: tasks.clone(),
            instance,
        };
        Upstreams::new(settings.collect(), parts).unwrap()
    }
}

impl Drop for TestProxy {
    fn drop(&mut self) {
        self.server.abort();
        self.tasks.stop();
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A user and a password that does not change.
pub fn password_of(username: &str, password: &str) -> CredentialSource {
    CredentialSource::Password {
        username: username.into(),
        password: SecretSource::Value(Secret::new(password)),
        next: None,
    }
}

/// Limits with which a test of failures does not wait for seconds.
fn impatient() -> Limits {
    let retry = Schedule::new(Duration::from_millis(10), Duration::from_millis(100));
    Limits {
        body_idle: Duration::from_secs(1),
        retry,
        circuit: CircuitLimits {
            failures: usize::MAX,
            ..CircuitLimits::default()
        },
        ..Limits::default()
    }
}
