//! A token service (distribution-spec, "Token Authentication Specification") that docker-registry believes: it signs JSON
//! web tokens with a key whose certificate the registry has.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Uri;
use rcgen::{CertificateParams, KeyPair, SigningKey};
use serde_json::{Value, json};

use super::registry::{Door, ISSUER, PASSWORD, SERVICE, USER};

/// How long tokens last, and how far the clock of the registry may be behind.
const LIFETIME: u64 = 300;
const LEEWAY: u64 = 30;

/// How long a connection may be silent.
const PATIENCE: Duration = Duration::from_secs(30);

/// A token service on the loopback interface, which knows [`USER`].
#[derive(Debug)]
pub(crate) struct TokenService {
    port: u16,
    certificate: String,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

/// Who asked for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Visitor {
    /// Somebody without a login.
    Nobody,
    /// [`USER`], with the right password.
    User,
    /// Somebody with a wrong one.
    Stranger,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    key: KeyPair,
    /// The certificate of the key (DER).
    certificate: Vec<u8>,
    visitors: Mutex<Vec<Visitor>>,
    is_over: AtomicBool,
}

impl TokenService {
    /// Starts one with a key of its own.
    pub(crate) fn start() -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([]).unwrap();
        let certificate = certificate.self_signed(&key).unwrap();
        let shared = Arc::new(Shared {
            key,
            certificate: certificate.der().to_vec(),
            visitors: Mutex::default(),
            is_over: AtomicBool::new(false),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let for_connections = Arc::clone(&shared);
        let accepting = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if for_connections.is_over.load(Ordering::SeqCst) {
                    break;
                }
                let shared = Arc::clone(&for_connections);
                // Whoever goes away in between gets no answer.
                thread::spawn(move || drop(serve(&stream, &shared)));
            }
        });
        Self {
            port,
            certificate: certificate.pem(),
            shared,
            accepting: Some(accepting),
        }
    }

    /// Returns its host and port, as `token_hosts` names it.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns what a registry wants that believes it.
    pub(crate) fn door(&self) -> Door {
        Door::Token {
            realm: format!("http://{}/token", self.host()),
            certificate: self.certificate.clone(),
        }
    }

    /// Returns who has asked so far, in this order.
    pub(crate) fn visitors(&self) -> Vec<Visitor> {
        self.shared.with_visitors(|visitors| visitors.clone())
    }
}

impl Drop for TokenService {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts, so that it sees the end.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        if let Some(accepting) = self.accepting.take() {
            drop(accepting.join());
        }
    }
}

/// Answers the one request of a connection.
fn serve(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let mut authorization = None;
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("authorization")
        {
            authorization = Some(value.trim().to_owned());
        }
    }
    // Whoever only knocks has no request.
    let Some(target) = first
        .strip_prefix("GET ")
        .and_then(|rest| rest.strip_suffix(" HTTP/1.1"))
    else {
        return Ok(());
    };
    let (status, body) = shared.answer(&target.parse().unwrap(), authorization.as_deref());
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

impl Shared {
    /// Returns the status and the body for a request.
    fn answer(&self, target: &Uri, authorization: Option<&str>) -> (&'static str, String) {
        let login = format!("{USER}:{PASSWORD}");
        let right = format!("Basic {}", STANDARD.encode(login));
        let visitor = match authorization {
            None => Visitor::Nobody,
            Some(shown) if shown == right => Visitor::User,
            Some(_) => Visitor::Stranger,
        };
        self.with_visitors(|visitors| visitors.push(visitor));
        let asked = |name: &str| parameters(target.query().unwrap_or_default(), name);
        if target.path() != "/token" || asked("service") != [SERVICE] {
            return ("404 Not Found", "{}".to_owned());
        }
        let (user, access) = match visitor {
            Visitor::Nobody => ("", Vec::new()),
            Visitor::User => (USER, granted(&asked("scope"))),
            Visitor::Stranger => {
                let body = json!({ "details": "incorrect username or password" });
                return ("401 Unauthorized", body.to_string());
            }
        };
        let body = json!({ "token": self.token(user, &access), "expires_in": LIFETIME });
        ("200 OK", body.to_string())
    }

    /// Signs what a user may do (RFC 7515; docker-registry finds the key by its certificate).
    fn token(&self, user: &str, access: &[Value]) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = now.as_secs();
        let header = json!({
            "typ": "JWT", "alg": "ES256", "x5c": [STANDARD.encode(&self.certificate)],
        });
        let claims = json!({
            "iss": ISSUER, "sub": user, "aud": SERVICE, "access": access, "jti": "a token",
            "iat": now, "nbf": now - LEEWAY, "exp": now + LIFETIME + LEEWAY,
        });
        let [header, claims] =
            [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = two_numbers(&self.key.sign(signed.as_bytes()).unwrap());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn with_visitors<T>(&self, look: impl FnOnce(&mut Vec<Visitor>) -> T) -> T {
        look(&mut self.visitors.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Returns the values of a parameter of a query.
fn parameters(query: &str, name: &str) -> Vec<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let values = pairs.filter(|(key, _)| *key == name).map(|(_, value)| {
        let value = value.replace('+', " ");
        let decoded = percent_encoding::percent_decode_str(&value).decode_utf8();
        decoded.unwrap().into_owned()
    });
    values.collect()
}

/// Returns what [`USER`] gets of what is asked for: to pull.
fn granted(scopes: &[String]) -> Vec<Value> {
    let scopes = scopes.iter().flat_map(|scopes| scopes.split(' '));
    let access = scopes.filter_map(|scope| {
        let (name, actions) = scope.strip_prefix("repository:")?.rsplit_once(':')?;
        let pulls = actions.split(',').any(|action| action == "pull");
        pulls.then(|| json!({ "type": "repository", "name": name, "actions": ["pull"] }))
    });
    access.collect()
}

/// Turns an ECDSA signature as certificates have it (two numbers in DER, RFC 3279) into one as tokens have it (two numbers
/// of 32 bytes, RFC 7518 3.4).
fn two_numbers(der: &[u8]) -> Vec<u8> {
    // A sequence and its length; then twice: an integer, its length and its bytes. All lengths are below 128.
    let mut rest = &der[2..];
    let mut numbers = Vec::new();
    for _ in 0..2 {
        let (head, tail) = rest.split_at(2);
        let (number, tail) = tail.split_at(head[1].into());
        let number = number.strip_prefix(&[0]).unwrap_or(number);
        numbers.extend(vec![0; 32 - number.len()]);
        numbers.extend(number);
        rest = tail;
    }
    numbers
}
