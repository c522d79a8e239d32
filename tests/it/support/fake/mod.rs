//! An upstream registry that runs in the test's process.
//!
//! It serves the reading half of the distribution specification truthfully, writes down what it was asked, and does
//! what its script of faults says: see [`Fault`].

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use larder::oci::Digest;
use larder::runtime::Tasks;
use larder::upstream::{EndpointSettings, EndpointUrl};
use tokio::net::TcpSocket;

use super::PATIENCE;

mod access;
mod answer;
mod bearer;
mod builder;
mod content;
mod delivery;
mod effect;
mod fault;
mod gate;
mod log;
mod quota;
mod referrers;
mod registries;
mod request;
mod script;
mod serve;
mod tls;
mod token;
mod users;
mod wire;

pub use bearer::Bearer;
pub use builder::Builder;
pub use content::Repository;
pub use fault::Fault;
pub use gate::Gate;
pub use log::Log;
pub use quota::Quota;
pub use registries::ACR_TOKEN_USER;
pub use request::{Kind, Progress, Request, Shown};
pub use token::Tokens;
pub use users::{Logins, Users, basic};

use access::Access;
use answer::Answer;
use content::{Abilities, Content};
use log::Recorder;
use script::Script;
use serve::{Connections, Speech, accept, bind};

/// A registry on a loopback port. It stops when it is dropped.
pub struct FakeRegistry {
    state: Arc<State>,
    /// Never listens, and keeps the port while nothing else does.
    port: TcpSocket,
    /// What serves, unless it is stopped.
    running: Mutex<Option<Tasks>>,
}

/// What all connections share.
struct State {
    content: Arc<Mutex<Content>>,
    recorder: Arc<Recorder>,
    /// What it always does.
    habits: Script,
    script: Script,
    quota: Quota,
    access: Access,
    speech: Speech,
    connections: Connections,
    abilities: Abilities,
}

impl State {
    /// Answers a request as if nothing ever went wrong.
    fn answer(&self, request: &Request) -> Answer {
        let content = self.content.lock().unwrap();
        if let Some(refusal) = self.access.refuse(request, &content) {
            return refusal;
        }
        match request.kind {
            Kind::Token => self.access.tokens.answer(request, &content),
            Kind::Storage => content.serve_stored(request),
            Kind::Ping
            | Kind::ManifestHead
            | Kind::ManifestGet
            | Kind::BlobHead
            | Kind::BlobGet
            | Kind::Tags
            | Kind::Referrers
            | Kind::Other => content.answer(request, &self.abilities),
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("url", &self.access.url)
            .finish_non_exhaustive()
    }
}

/// Starting and stopping.
impl FakeRegistry {
    /// Starts an empty registry that speaks plain HTTP/1.1 and lets everybody in.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Begins to describe a registry.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Closes the listener and all connections, and returns when that is done. Connections are refused from then on.
    pub async fn stop(&self) {
        let Some(tasks) = self.running.lock().unwrap().take() else {
            return;
        };
        let left = tasks.drain(PATIENCE).await;
        assert_eq!(left, 0, "connections that do not close");
    }

    /// Listens again, on the same port and with the same content, faults and log.
    pub async fn restart(&self) {
        self.stop().await;
        let tasks = Tasks::new();
        run(&self.state, bind(self.address()).unwrap(), tasks.clone());
        *self.running.lock().unwrap() = Some(tasks);
    }
}

/// Where it is.
impl FakeRegistry {
    /// Returns `http://127.0.0.1:port`, or the same with `https`.
    pub fn url(&self) -> &str {
        &self.state.access.url
    }

    /// Returns it as an endpoint, to be asked for everything.
    pub fn endpoint(&self) -> EndpointSettings {
        self.url().parse::<EndpointUrl>().unwrap().into()
    }

    /// Returns the address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.port.local_addr().unwrap()
    }

    /// Returns `127.0.0.1:port`.
    pub fn host(&self) -> String {
        self.address().to_string()
    }

    /// Returns the certificate of the authority that a client of a TLS registry must trust.
    pub fn ca_pem(&self) -> &str {
        &self
            .state
            .speech
            .certificates
            .as_ref()
            .expect("the registry was built with TLS")
            .ca_pem
    }
}

/// What it holds, and what goes wrong.
impl FakeRegistry {
    /// Returns the handle of a repository, which comes to be with its first content.
    pub fn repository(&self, name: &str) -> Repository {
        Repository::new(&self.state, name)
    }

    /// Adds content that is in no repository, but served to those who are redirected to `/storage/<digest>`. The blobs
    /// of all repositories are served there too.
    pub fn store(&self, bytes: impl Into<Bytes>) -> Digest {
        self.state.content.lock().unwrap().store(bytes.into())
    }

    /// Adds a fault to the script, and returns the handle to open it, to lift it, and to see who has met it.
    pub fn inject(&self, fault: Fault) -> Gate {
        self.state.script.inject(fault)
    }

    /// Takes all faults away. Answers that are stalled stay so until their gate opens.
    pub fn clear_faults(&self) {
        self.state.script.clear();
    }

    /// Returns the tokens that the registry issues.
    pub fn tokens(&self) -> &Tokens {
        &self.state.access.tokens
    }

    /// Returns the users whom the registry knows.
    pub fn users(&self) -> &Users {
        &self.state.access.users
    }

    /// Returns how much may be pulled.
    pub fn quota(&self) -> &Quota {
        &self.state.quota
    }
}

/// What it was asked.
impl FakeRegistry {
    /// Returns the log as it is now.
    pub fn log(&self) -> Log {
        self.state.recorder.log()
    }

    /// Returns the requests, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.log().requests().to_vec()
    }

    /// Returns the requests, in order, as text.
    pub fn lines(&self) -> Vec<String> {
        self.log().lines()
    }

    /// Returns how many requests of this kind, or these kinds, came.
    pub fn count(&self, kinds: impl IntoIterator<Item = Kind>) -> usize {
        self.log().count(kinds)
    }

    /// Returns the requests that name this digest in their path.
    pub fn requests_for(&self, digest: &Digest) -> Vec<Request> {
        let log = self.log();
        log.requests_for(digest).into_iter().cloned().collect()
    }

    /// Returns how many bytes of a blob were handed out, over all requests.
    pub fn blob_bytes(&self, digest: &Digest) -> u64 {
        self.log().blob_bytes(digest)
    }

    /// Forgets the requests so far.
    pub fn clear_log(&self) {
        self.state.recorder.clear();
    }

    /// Waits until the log fulfils a condition, which looks at the log that it is given and not at the registry. Fails
    /// the test, with the log, when that takes too long.
    pub async fn wait_for(&self, condition: impl Fn(&Log) -> bool) {
        self.state.recorder.wait_for(condition).await;
    }

    /// Returns how many connections were accepted since the start.
    pub fn connections(&self) -> usize {
        self.state.connections.accepted()
    }

    /// Returns how many connections are open.
    pub fn open_connections(&self) -> usize {
        self.state.connections.open()
    }
}

impl Drop for FakeRegistry {
    fn drop(&mut self) {
        if let Some(tasks) = self.running.get_mut().unwrap() {
            tasks.stop();
        }
    }
}

impl fmt::Debug for FakeRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FakeRegistry").field(&self.url()).finish()
    }
}

fn run(state: &Arc<State>, socket: TcpSocket, tasks: Tasks) {
    let listener = socket.listen(1024).unwrap();
    let accepting = accept(Arc::clone(state), listener, tasks.clone());
    tasks.spawn("fake registry", accepting);
}
