//! Where a running larder takes its operator's commands over TCP: from those who show the token of a file. There is no TLS
//! here, so that a proxy that speaks it belongs before an address that other machines can reach.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::attempts::Attempts;
use super::connections;
use super::error::{ErrorCode, OperationError};
use super::operations::Operations;
use super::{routes, token};
use crate::runtime::Tasks;
use crate::telemetry::with_causes;
use crate::upstream::Secret;

/// What connections are for, as the log says it.
const WHAT: &str = "the operator's commands over TCP";

/// Where the operator's commands are taken over TCP, and of whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The file of the token that has to be shown.
    pub token_file: PathBuf,
}

/// A door for commands that listens.
#[derive(Debug)]
pub struct TcpDoor {
    listener: TcpListener,
    guard: Arc<Guard>,
    operations: Arc<Operations>,
    tasks: Tasks,
}

impl TcpDoor {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(
        settings: Settings,
        operations: Arc<Operations>,
        tasks: Tasks,
    ) -> io::Result<Self> {
        let guard = Guard {
            token_file: settings.token_file,
            attempts: Mutex::new(Attempts::new(Instant::now())),
            tasks: tasks.clone(),
        };
        Ok(Self {
            listener: TcpListener::bind(settings.listen).await?,
            guard: Arc::new(guard),
            operations,
            tasks,
        })
    }

    /// Returns the address that is listened on.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until the tasks are told to stop.
    pub async fn run(self) {
        let accept = || self.listener.accept();
        let serve = |(stream, peer): (TcpStream, SocketAddr)| {
            let (guard, operations) = (self.guard.clone(), self.operations.clone());
            let answer = move |request| {
                let (guard, operations) = (guard.clone(), operations.clone());
                async move { answer(&guard, &operations, peer.ip(), request).await }
            };
            connections::converse(WHAT, stream, answer)
        };
        connections::serve_all(WHAT, &self.tasks, accept, serve).await;
    }
}

async fn answer(
    guard: &Guard,
    operations: &Operations,
    client: IpAddr,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    match guard.admit(client, request.headers()).await {
        Ok(()) => routes::answer(operations, request).await,
        Err(refusal) => refusal.answer(),
    }
}

/// Lets those in who show the token.
#[derive(Debug)]
struct Guard {
    token_file: PathBuf,
    attempts: Mutex<Attempts>,
    tasks: Tasks,
}

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// No token was shown, or not the right one.
    NotTheToken,
    /// Too many were wrong.
    TooMany,
}

impl Guard {
    /// Finds out whether a request shows the token. A file that cannot be used lets nobody in.
    async fn admit(&self, client: IpAddr, headers: &HeaderMap) -> Result<(), Refusal> {
        // The same address over IPv4 and IPv6 is one.
        let client = client.to_canonical();
        if !self.attempts().may(client, Instant::now()) {
            return Err(turned_away(client));
        }
        let shown = bearer(headers);
        let token = match shown {
            Some(_) => self.token().await,
            None => None,
        };
        // Looked at again and counted under one lock: those who ask at the same time get no further guesses by it.
        let mut attempts = self.attempts();
        if !attempts.may(client, Instant::now()) {
            return Err(turned_away(client));
        }
        let refused = match (shown, token) {
            (None, _) => "a request for the operator's commands came without a token",
            (Some(shown), Some(token)) if token::is_same(shown, token.expose().as_bytes()) => {
                return Ok(());
            }
            (Some(_), Some(_)) => "a request for the operator's commands came with a wrong token",
            (Some(_), None) => "a request for the operator's commands came while there is no token",
        };
        attempts.count(client);
        drop(attempts);
        tracing::warn!(client.address = %client, "{refused}");
        Err(Refusal::NotTheToken)
    }

    /// Reads the token, which may be another than before. `None` when there is none.
    async fn token(&self) -> Option<Secret> {
        let path = self.token_file.clone();
        let read = self.tasks.spawn_blocking(move || token::read(&path));
        match read.await {
            Ok(Ok(token)) => Some(token),
            Ok(Err(error)) => {
                tracing::warn!(
                    error = with_causes(&error),
                    "commands over TCP are refused: the file of admin.token_file cannot be used"
                );
                None
            }
            Err(error) => {
                tracing::error!(%error, "reading the token did not end");
                None
            }
        }
    }

    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        // Each change is whole, whatever panics.
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says in the log that an address has to wait. At debug: those who guess would fill it.
fn turned_away(client: IpAddr) -> Refusal {
    tracing::debug!(client.address = %client, "turned away: too many wrong tokens");
    Refusal::TooMany
}

impl Refusal {
    fn answer(self) -> Response<Full<Bytes>> {
        let (code, message, header, value) = match self {
            Self::NotTheToken => (
                ErrorCode::Unauthorized,
                "show the token of admin.token_file, as in 'Authorization: Bearer TOKEN'",
                WWW_AUTHENTICATE,
                "Bearer",
            ),
            Self::TooMany => (
                ErrorCode::TooManyAttempts,
                "too many requests came without the right token: ask again in a second",
                RETRY_AFTER,
                "1",
            ),
        };
        let mut response = routes::failed(OperationError::new(code, message));
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(header, value);
        response
    }
}

/// Returns the token that a request shows. Several are none: it would not be clear which counts.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut shown = headers.get_all(AUTHORIZATION).iter();
    let (Some(only), None) = (shown.next(), shown.next()) else {
        return None;
    };
    let (scheme, token) = only.as_bytes().split_at_checked("bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const TOKEN: &str = "0123456789abcdef";
    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn guard(token_file: PathBuf) -> Guard {
        Guard {
            token_file,
            attempts: Mutex::new(Attempts::new(Instant::now())),
            tasks: Tasks::new(),
        }
    }

    fn showing(texts: &[&str]) -> HeaderMap {
        let value = |text: &&str| (AUTHORIZATION, HeaderValue::from_str(text).unwrap());
        texts.iter().map(value).collect()
    }

    #[test]
    fn a_token_is_shown_once_as_a_bearer() {
        for (texts, shown) in [
            (&["Bearer a"][..], Some("a")),
            (&["bearer  a "], Some("a")),
            (&["Bearer "], Some("")),
            (&["Bearer"], None),
            (&["Basic a"], None),
            (&["Bearera"], None),
            (&["Bearer a", "Bearer a"], None),
            (&[], None),
        ] {
            let headers = showing(texts);
            assert_eq!(bearer(&headers), shown.map(str::as_bytes), "{texts:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_token_of_this_moment_opens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let guard = guard(path.clone());
        let admit = async |text: &str| guard.admit(CLIENT, &showing(&[text])).await;
        let right = format!("Bearer {TOKEN}");
        assert_eq!(admit(&right).await, Err(Refusal::NotTheToken));
        fs::write(&path, TOKEN).unwrap();
        assert_eq!(admit(&right).await, Ok(()));
        assert_eq!(
            admit("Bearer 0123456789abcdeF").await,
            Err(Refusal::NotTheToken)
        );
        assert_eq!(admit("Bearer ").await, Err(Refusal::NotTheToken));
        fs::write(&path, "fedcba9876543210").unwrap();
        assert_eq!(admit(&right).await, Err(Refusal::NotTheToken));
        assert_eq!(admit("Bearer fedcba9876543210").await, Ok(()));
        // What was a token is none when the new one is too short to be one.
        fs::write(&path, "short").unwrap();
        assert_eq!(admit("Bearer short").await, Err(Refusal::NotTheToken));
    }

    #[tokio::test(start_paused = true)]
    async fn who_guesses_is_turned_away_for_a_second_even_with_the_right_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, TOKEN).unwrap();
        let guard = guard(path);
        let right = showing(&[&format!("Bearer {TOKEN}")]);
        for headers in [showing(&["Bearer wrong"]), HeaderMap::new()]
            .iter()
            .cycle()
            .take(5)
        {
            assert_eq!(
                guard.admit(CLIENT, headers).await,
                Err(Refusal::NotTheToken)
            );
        }
        assert_eq!(guard.admit(CLIENT, &right).await, Err(Refusal::TooMany));
        let mapped = IpAddr::from(std::net::Ipv4Addr::LOCALHOST.to_ipv6_mapped());
        assert_eq!(guard.admit(mapped, &right).await, Err(Refusal::TooMany));
        assert_eq!(
            guard.admit(IpAddr::from([192, 0, 2, 1]), &right).await,
            Ok(())
        );
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        assert_eq!(guard.admit(CLIENT, &right).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn guesses_at_the_same_time_are_counted_as_others_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, TOKEN).unwrap();
        let guard = guard(path);
        let wrong = showing(&["Bearer wrong"]);
        let guesses = (0..20).map(|_| guard.admit(CLIENT, &wrong));
        let guessed = futures_util::future::join_all(guesses).await;
        let counted = guessed
            .iter()
            .filter(|refused| **refused == Err(Refusal::NotTheToken));
        assert_eq!(counted.count(), 5);
    }

    #[test]
    fn refusals_say_what_to_show_and_when() {
        let refused = Refusal::NotTheToken.answer();
        assert_eq!(refused.status(), 401);
        assert_eq!(refused.headers()[WWW_AUTHENTICATE], "Bearer");
        let refused = Refusal::TooMany.answer();
        assert_eq!(refused.status(), 429);
        assert_eq!(refused.headers()[RETRY_AFTER], "1");
    }
}
