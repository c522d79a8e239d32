//! What kind of registry a fake one is, settled before it starts.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use http::StatusCode;
use larder::runtime::Tasks;

use super::access::Access;
use super::bearer::Bearer;
use super::content::{Abilities, Content};
use super::fault::Fault;
use super::quota::Quota;
use super::request::Kind;
use super::script::Script;
use super::serve::{Connections, Speech, bind};
use super::tls::Certificates;
use super::token::Tokens;
use super::{FakeRegistry, State, run};

/// A registry that is not yet running.
#[derive(Debug, Default)]
pub struct Builder {
    access: Access,
    is_secure: bool,
    has_http2: bool,
    abilities: Abilities,
    habits: Script,
    quota: Quota,
    content: Arc<Mutex<Content>>,
}

impl Builder {
    /// Serves TLS, with a certificate of an authority of its own.
    pub fn tls(mut self) -> Self {
        self.is_secure = true;
        self
    }

    /// Serves HTTP/2: beside HTTP/1.1 with TLS, alone without (by prior knowledge).
    pub fn http2(mut self) -> Self {
        self.has_http2 = true;
        self
    }

    /// Demands tokens of its own.
    pub fn bearer(self) -> Self {
        self.bearer_with(Bearer::own())
    }

    /// Demands tokens.
    pub fn bearer_with(mut self, bearer: Bearer) -> Self {
        self.access.bearer = Some(bearer);
        self
    }

    /// Demands this user's password, or takes it where tokens are demanded too.
    pub fn basic(mut self, user: &str, password: &str) -> Self {
        self.access.is_basic = true;
        self.user(user, password)
    }

    /// Knows a user, who gets tokens for private repositories.
    pub fn user(self, name: &str, password: &str) -> Self {
        self.access.users.set_password(name, password);
        self
    }

    /// Lets an identity token stand for a user.
    pub fn identity(self, name: &str, token: &str) -> Self {
        self.access.users.accept_identity(name, token);
        self
    }

    /// Lets everybody in who has this password, whatever name they give.
    pub fn any_name(self, password: &str) -> Self {
        self.access.users.accept_any_name(password);
        self
    }

    /// Settles how tokens are handed out.
    pub fn tokens(self, settle: impl FnOnce(&Tokens)) -> Self {
        settle(&self.access.tokens);
        self
    }

    /// Issues tokens at this path.
    pub fn tokens_at(mut self, path: &'static str) -> Self {
        self.access.token_path = path;
        self
    }

    /// Answers with this status when a repository is not there, or not for the one who asks and has shown a login or a
    /// token, so that the two cannot be told from each other.
    pub fn hides_absence(mut self, status: u16) -> Self {
        self.access.absence = Some(StatusCode::from_u16(status).unwrap());
        self
    }

    /// Allows this many pulls within this many seconds.
    pub fn pull_limit(self, pulls: u64, seconds: u64) -> Self {
        self.quota.set(pulls, seconds);
        self
    }

    /// Does this always: it is what the registry is like, and no fault that is cleared away.
    pub fn habit(self, fault: Fault) -> Self {
        self.habits.inject(fault);
        self
    }

    /// Holds the same content as another registry.
    pub fn content_of(mut self, other: &FakeRegistry) -> Self {
        self.content = Arc::clone(&other.state.content);
        self
    }

    /// Looks at what clients accept: those that read no indexes get the linux/amd64 manifest by tag.
    pub fn negotiates(mut self) -> Self {
        self.abilities.negotiates = true;
        self
    }

    /// Has the referrers API.
    pub fn referrers(mut self) -> Self {
        self.abilities.has_referrers = true;
        self
    }

    /// Gives tags in pages of this size to those who do not say how many they want.
    pub fn tags_per_page(mut self, tags: usize) -> Self {
        self.abilities.tags_per_page = Some(tags);
        self
    }

    /// Keeps its blobs at another place, a content network or an object store, and redirects there with this status.
    pub fn blobs_at(self, storage: &FakeRegistry, status: u16) -> Self {
        let target = format!("{}/storage/{{digest}}?signature=x", storage.url());
        self.content_of(storage)
            .habit(Fault::on(Kind::BLOB).found().redirect(status, target))
    }

    /// Starts the registry on a free port.
    pub async fn start(mut self) -> FakeRegistry {
        let port = bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = port.local_addr().unwrap();
        let protocols: &[&str] = if self.has_http2 {
            &["h2", "http/1.1"]
        } else {
            &["http/1.1"]
        };
        let scheme = if self.is_secure { "https" } else { "http" };
        self.access.url = format!("{scheme}://{address}");
        let state = Arc::new(State {
            content: self.content,
            recorder: Arc::default(),
            habits: self.habits,
            script: Script::default(),
            quota: self.quota,
            access: self.access,
            speech: Speech {
                certificates: self.is_secure.then(|| Certificates::new(protocols)),
                has_http2: self.has_http2,
            },
            connections: Connections::default(),
            abilities: self.abilities,
        });
        let tasks = Tasks::new();
        run(&state, bind(address).unwrap(), tasks.clone());
        FakeRegistry {
            state,
            port,
            running: Mutex::new(Some(tasks)),
        }
    }
}
