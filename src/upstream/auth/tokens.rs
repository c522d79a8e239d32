//! Anonymous Bearer tokens: got where a registry says, once for all who need the same, and shown before they are asked for.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use http::{HeaderValue, Method, Uri};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::challenge::Challenge;
use crate::oci::RepositoryName;
use crate::runtime::Tasks;
use crate::upstream::endpoint_url::Site;
use crate::upstream::error::{Phase, UpstreamError};
use crate::upstream::redirect::{self, MAX_REDIRECTS};
use crate::upstream::request::base_headers;
use crate::upstream::trust::{Hop, Sender};
use crate::upstream::wire::{Step, Wire};

/// A token, with what is known of its life. It is never shown to people.
#[derive(Clone)]
pub(in crate::upstream) struct Token {
    authorization: HeaderValue,
    issued: Instant,
    lifetime: Duration,
}

/// A token to get: from where, and for whom. The address says what it allows.
///
/// Tokens of one site are never shown to another, even if both name the same service and scope.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::upstream) struct Errand {
    site: Site,
    realm: Hop,
}

/// The tokens of one endpoint, and of the hosts that it sends us to.
#[derive(Debug)]
pub(in crate::upstream) struct Tokens {
    wire: Arc<Wire>,
    tasks: Tasks,
    /// What was needed last time.
    remembered: Cache<(Site, RepositoryName), Errand>,
    fetches: Cache<Errand, Fetch>,
}

/// A token that is being fetched, or what became of that.
#[derive(Clone)]
struct Fetch(Shared<BoxFuture<'static, Outcome>>);

#[derive(Clone)]
struct Outcome {
    at: Instant,
    result: Result<Token, UpstreamError>,
}

impl Tokens {
    /// How many are kept. Each is a few kilobytes; the ones not used for longest go first.
    const MAX: u64 = 4096;
    /// The most that is read of an answer of a token service.
    const MAX_ANSWER: usize = 128 << 10;

    /// Starts with no token.
    pub(in crate::upstream) fn new(wire: Arc<Wire>, tasks: Tasks) -> Self {
        // The default policy may refuse new entries, and a fetch that is not kept is not shared.
        let fetches = Cache::builder()
            .max_capacity(Self::MAX)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self {
            wire,
            tasks,
            remembered: Cache::new(Self::MAX),
            fetches,
        }
    }

    /// Returns what was needed last time at a site for a repository.
    pub(in crate::upstream) fn remembered(
        &self,
        site: &Site,
        repository: &RepositoryName,
    ) -> Option<Errand> {
        self.remembered.get(&(site.clone(), repository.clone()))
    }

    /// Remembers what is needed at the site of an errand for a repository.
    pub(in crate::upstream) fn remember(&self, errand: &Errand, repository: &RepositoryName) {
        let key = (errand.site.clone(), repository.clone());
        self.remembered.insert(key, errand.clone());
    }

    /// Plans to get the token that a challenge wants.
    ///
    /// # Errors
    /// [`UpstreamError::Forbidden`] when the realm breaks the rules of trust.
    pub(in crate::upstream) fn errand(
        &self,
        sender: Sender<'_>,
        challenge: &Challenge,
        scopes: &[String],
    ) -> Result<Errand, UpstreamError> {
        let url = address(challenge, scopes).ok_or_else(|| {
            UpstreamError::protocol(sender.site.name(), "names a token service that is no URL")
        })?;
        Ok(Errand {
            site: sender.site.clone(),
            realm: self.wire.trust.admit(sender, url)?,
        })
    }

    /// Returns the token of an errand: the one that is there, or a new one. However many ask, one request is made; it
    /// goes on when they are gone.
    pub(in crate::upstream) async fn obtain(
        &self,
        errand: &Errand,
    ) -> Result<Token, UpstreamError> {
        let failure_counts = self.wire.limits.token_failure;
        let asked = Instant::now();
        loop {
            let fetch = self
                .fetches
                .entry_by_ref(errand)
                .or_insert_with_if(
                    || self.fetch(errand.clone()),
                    |fetch| fetch.is_over(failure_counts),
                )
                .into_value();
            let outcome = fetch.0.await;
            // It may have ended long ago, with nobody left to see it.
            if outcome.at >= asked || !outcome.is_over(failure_counts) {
                return outcome.result;
            }
        }
    }

    /// Drops a token that was refused, unless it was replaced already.
    pub(in crate::upstream) fn forget(&self, errand: &Errand, token: &Token) {
        if let Some(Fetch(fetch)) = self.fetches.get(errand)
            && let Some(Ok(kept)) = fetch.peek().map(|outcome| &outcome.result)
            && kept.authorization == token.authorization
        {
            self.fetches.invalidate(errand);
        }
    }

    fn fetch(&self, errand: Errand) -> Fetch {
        let wire = self.wire.clone();
        let host = errand.realm.site.name().clone();
        let late = UpstreamError::TimedOut {
            host: host.clone(),
            phase: Phase::Token,
        };
        let fetching = self.tasks.spawn("upstream token", async move {
            let fetching = timeout(wire.limits.token, fetch(&wire, errand.realm));
            Outcome::now(fetching.await.unwrap_or(Err(late)))
        });
        let outcome = fetching.map(move |done| match done {
            Ok(outcome) => outcome,
            Err(error) => Outcome::now(Err(UpstreamError::unreachable(&host, error))),
        });
        Fetch(outcome.boxed().shared())
    }
}

impl Fetch {
    /// Returns whether it takes a new one.
    fn is_over(&self, failure_counts: Duration) -> bool {
        let outcome = self.0.peek();
        outcome.is_some_and(|outcome| outcome.is_over(failure_counts))
    }
}

impl Outcome {
    fn now(result: Result<Token, UpstreamError>) -> Self {
        Self {
            at: Instant::now(),
            result,
        }
    }

    /// Returns whether the token is too old, or the failure was long enough ago.
    fn is_over(&self, failure_counts: Duration) -> bool {
        match &self.result {
            Ok(token) => token.is_spent(),
            Err(_) => self.at.elapsed() >= failure_counts,
        }
    }
}

impl fmt::Debug for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetch").finish_non_exhaustive()
    }
}

impl Token {
    /// For this long a token may be refused because the clock of the registry is behind.
    const YOUNG: Duration = Duration::from_secs(3);
    /// Services that do not say mean this; and shorter lives are not worth their bookkeeping.
    const SHORTEST_LIFE: Duration = Duration::from_secs(60);
    /// Longer lives than a day are not believed.
    const LONGEST_LIFE: Duration = Duration::from_secs(86_400);

    /// Reads the answer of a token service.
    fn parse(body: &[u8], now: Instant) -> Result<Self, &'static str> {
        #[derive(Deserialize)]
        struct Document {
            #[serde(default)]
            token: Option<String>,
            #[serde(default)]
            access_token: Option<String>,
            #[serde(default)]
            expires_in: Value,
        }
        let document: Document =
            serde_json::from_slice(body).map_err(|_| "answered something else than a token")?;
        let token = [document.access_token, document.token]
            .into_iter()
            .flatten()
            .find(|token| !token.is_empty())
            .ok_or("answered without a token")?;
        let mut authorization = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| "answered a token that no header can hold")?;
        authorization.set_sensitive(true);
        let seconds = match &document.expires_in {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        let lifetime = seconds
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .unwrap_or(Self::SHORTEST_LIFE);
        Ok(Self {
            authorization,
            issued: now,
            lifetime: lifetime.clamp(Self::SHORTEST_LIFE, Self::LONGEST_LIFE),
        })
    }

    /// Returns the header that shows it.
    pub(in crate::upstream) fn authorization(&self) -> &HeaderValue {
        &self.authorization
    }

    /// Returns whether it is too old to be shown; a little early, since it has to travel.
    fn is_spent(&self) -> bool {
        let margin = (self.lifetime / 10).min(Duration::from_secs(10));
        self.issued.elapsed() >= self.lifetime - margin
    }

    /// Returns whether it may be refused because it is too new.
    pub(in crate::upstream) fn is_young(&self) -> bool {
        self.issued.elapsed() < Self::YOUNG
    }

    /// Returns whether more than half of its life is over.
    pub(in crate::upstream) fn is_old(&self) -> bool {
        self.issued.elapsed() > self.lifetime / 2
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Asks a token service.
async fn fetch(wire: &Wire, realm: Hop) -> Result<Token, UpstreamError> {
    let headers = base_headers("application/json");
    let mut hop = realm;
    for _ in 0..=MAX_REDIRECTS {
        let answer = wire.send(&hop, &Method::GET, &headers, None).await?;
        match wire.step(answer).await? {
            Step::Onward(next) => hop = next,
            Step::Arrived(answer) => {
                let answer = wire.judge(answer).await?;
                let (host, status) = (answer.host().clone(), answer.status());
                if !status.is_success() {
                    return Err(UpstreamError::Refused {
                        host,
                        status,
                        message: None,
                    });
                }
                let body = answer.into_body();
                let body = body.collect("a token", Tokens::MAX_ANSWER).await?;
                return Token::parse(&body, Instant::now())
                    .map_err(|fault| UpstreamError::protocol(&host, fault));
            }
        }
    }
    Err(Wire::too_many_redirects(&hop))
}

/// Characters that stand for themselves in a query.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Builds the address of a token: the realm with its own query, the service, and each scope apart.
fn address(challenge: &Challenge, scopes: &[String]) -> Option<Uri> {
    let service = challenge.service.iter().map(|service| ("service", service));
    let scopes = scopes.iter().map(|scope| ("scope", scope));
    let mut address = challenge.realm.split('#').next()?.to_string();
    for (name, value) in service.chain(scopes) {
        let separator = if address.contains('?') { '&' } else { '?' };
        let value = utf8_percent_encode(value, QUERY);
        address.push_str(&format!("{separator}{name}={value}"));
    }
    redirect::absolute(&address)
}

#[cfg(test)]
impl Token {
    /// Makes a token that was issued this moment.
    pub(in crate::upstream) fn sample(lifetime: Duration) -> Self {
        Self {
            authorization: HeaderValue::from_static("Bearer sample"),
            issued: Instant::now(),
            lifetime,
        }
    }

    /// Makes it older.
    pub(in crate::upstream) fn aged(self, by: Duration) -> Self {
        Self {
            issued: self
                .issued
                .checked_sub(by)
                .expect("the machine is up for longer"),
            ..self
        }
    }
}

#[cfg(test)]
impl Errand {
    /// Makes an errand to a place.
    pub(in crate::upstream) fn sample(path: &str) -> Self {
        let url: Uri = format!("https://auth.example/{path}")
            .parse()
            .expect("a URL");
        let site = Site::of(&url).expect("a site");
        Self {
            site: site.clone(),
            realm: Hop {
                url,
                site,
                reach: crate::upstream::trust::Reach::Public,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Clock;
    use crate::upstream::connect::Clients;
    use crate::upstream::resolve::Resolver;
    use crate::upstream::settings::Limits;
    use crate::upstream::tls::client_config;
    use crate::upstream::trust::{Reach, Trust};

    #[tokio::test(start_paused = true)]
    async fn answers_of_token_services() {
        let now = Instant::now();
        for (body, shown, seconds) in [
            (r#"{"token":"a"}"#, "Bearer a", 60),
            (
                r#"{"token":"a","access_token":"b","expires_in":300}"#,
                "Bearer b",
                300,
            ),
            (
                r#"{"token":"a","access_token":"","expires_in":"3600"}"#,
                "Bearer a",
                3600,
            ),
            (
                r#"{"access_token":"b","expires_in":299.9}"#,
                "Bearer b",
                299,
            ),
            (r#"{"token":"a","expires_in":1}"#, "Bearer a", 60),
            (
                r#"{"token":"a","expires_in":-1,"issued_at":"garbage"}"#,
                "Bearer a",
                60,
            ),
            (r#"{"token":"a","expires_in":1e99}"#, "Bearer a", 60),
            (r#"{"token":"a","expires_in":1e9}"#, "Bearer a", 86_400),
            (r#"{"token":"a","expires_in":null}"#, "Bearer a", 60),
        ] {
            let token = Token::parse(body.as_bytes(), now).unwrap();
            assert_eq!(token.authorization, shown, "{body}");
            assert_eq!(token.lifetime.as_secs(), seconds, "{body}");
            assert_eq!(format!("{token:?}"), "***");
            assert!(token.authorization.is_sensitive());
        }
        for body in [
            "",
            "<html>",
            "{}",
            r#"{"token":""}"#,
            r#"{"token":"a\nb"}"#,
            r#"{"token":1}"#,
            "[]",
        ] {
            assert!(Token::parse(body.as_bytes(), now).is_err(), "{body}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_left_before_it_ends() {
        let token = |body: &str| Token::parse(body.as_bytes(), Instant::now()).unwrap();
        let (short, long) = (
            token(r#"{"token":"a"}"#),
            token(r#"{"token":"a","expires_in":300}"#),
        );
        let ages = [
            (2, true, false, false, false),
            (31, false, true, false, false),
        ];
        let ages = ages.into_iter().chain([
            (54, false, true, true, false),
            (151, false, true, true, false),
        ]);
        let mut passed = 0;
        for (at, is_young, is_old, short_spent, long_spent) in
            ages.chain([(290, false, true, true, true)])
        {
            tokio::time::advance(Duration::from_secs(at - passed)).await;
            passed = at;
            assert_eq!(short.is_young(), is_young, "{at}");
            assert_eq!(short.is_old(), is_old, "{at}");
            assert_eq!(short.is_spent(), short_spent, "{at}");
            assert_eq!(long.is_spent(), long_spent, "{at}");
        }
    }

    #[tokio::test]
    async fn an_old_failure_that_nobody_saw_answers_nobody() {
        let (limits, tasks) = (Limits::default(), Tasks::new());
        let tls = client_config(Vec::new()).unwrap();
        let wire = Wire {
            clients: Clients::new(&Resolver::new(&limits, &tasks), &tls, &limits, &tasks),
            trust: Trust::new(Vec::new()),
            limits: limits.clone(),
            clock: Clock::system(),
        };
        let tokens = Tokens::new(Arc::new(wire), tasks);
        // Nobody listens there, which the new failure tells.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        let mut errand = Errand::sample("");
        errand.realm.url = url.parse().unwrap();
        errand.realm.reach = Reach::Anywhere;
        for (age, is_asked_again) in [
            (limits.token_failure / 2, false),
            (limits.token_failure, true),
        ] {
            let old = Outcome {
                at: Instant::now().checked_sub(age).unwrap(),
                result: Err(UpstreamError::protocol(&"old".into(), "failed")),
            };
            let unseen = std::future::ready(old).boxed().shared();
            tokens.fetches.insert(errand.clone(), Fetch(unseen));
            let error = tokens.obtain(&errand).await.unwrap_err();
            let is_new = matches!(error, UpstreamError::Unreachable { .. });
            assert_eq!(is_new, is_asked_again, "{error}");
        }
    }

    #[test]
    fn addresses_of_tokens() {
        for (realm, service, scopes, url) in [
            (
                "https://auth.docker.io/token",
                Some("registry.docker.io"),
                vec!["repository:library/alpine:pull"],
                Some(
                    "https://auth.docker.io/token?service=registry.docker.io&scope=repository%3Alibrary%2Falpine%3Apull",
                ),
            ),
            (
                "https://r.io/t?account=x#f",
                None,
                vec!["a", "b&c"],
                Some("https://r.io/t?account=x&scope=a&scope=b%26c"),
            ),
            ("https://r.io", None, vec![], Some("https://r.io/")),
            (
                "https://r.io",
                Some("s"),
                vec![],
                Some("https://r.io/?service=s"),
            ),
            ("token", None, vec![], None),
            ("/token", None, vec![], None),
            ("", Some("s"), vec![], None),
        ] {
            let challenge = Challenge {
                realm: realm.into(),
                service: service.map(String::from),
                scopes: vec![],
                complaint: None,
            };
            let scopes: Vec<String> = scopes.into_iter().map(String::from).collect();
            let found = address(&challenge, &scopes).map(|url| url.to_string());
            assert_eq!(found.as_deref(), url, "{realm}");
        }
    }
}
