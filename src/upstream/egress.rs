//! Which proxy leads to a place, if one does. The proxies are the operator's: they are gone to wherever they are.

use std::fmt;
use std::sync::Arc;

use http::uri::Scheme;
use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use thiserror::Error;

use super::endpoint_url::{Site, is_host};
use super::settings::Egress;

/// The proxies and what is reached without them.
#[derive(Clone, Debug, Default)]
pub(super) struct Proxies(Option<Arc<Matchers>>);

#[derive(Debug)]
struct Matchers {
    /// Knows the proxies, and the exceptions for all ports.
    all_ports: Matcher,
    /// The exceptions for one port each.
    one_port: Vec<(u16, Matcher)>,
}

/// The proxy on the way to a place.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Proxy {
    /// Where it is, without user and password.
    pub(super) url: Uri,
    /// What it wants to be shown. It is marked as sensitive.
    pub(super) authorization: Option<HeaderValue>,
}

/// What a proxy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Traffic {
    /// Registries and storage without encryption.
    Http,
    /// Those with encryption.
    Https,
}

/// Why a proxy cannot be used. It shows nothing of the text, which may hold a password.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum EgressError {
    /// The text is no URL of a host.
    #[error(
        "the proxy for {0} is no URL: write it as http://[user:password@]host[:port], with other characters than \
         letters and digits of the password escaped, as in %40 for @"
    )]
    Url(Traffic),
    /// It is spoken to in another way than HTTP.
    #[error("the proxy for {0} has to be one for HTTP, at http:// or https://")]
    Scheme(Traffic),
}

impl Egress {
    /// Tells whether the proxies can be used.
    ///
    /// # Errors
    /// [`EgressError`] with the first that cannot.
    pub fn check(&self) -> Result<(), EgressError> {
        Proxies::new(self).map(drop)
    }
}

impl Proxies {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`EgressError`] when a proxy cannot be used. Leaving it out would go around it.
    pub(super) fn new(egress: &Egress) -> Result<Self, EgressError> {
        let http = checked(&egress.http, Traffic::Http)?;
        let https = checked(&egress.https, Traffic::Https)?;
        if http.is_empty() && https.is_empty() {
            return Ok(Self::default());
        }
        let matcher = |except: &str| {
            let proxies = Matcher::builder().http(http).https(https);
            proxies.no(except).build()
        };
        let (mut all_ports, mut one_port) = (Vec::new(), Vec::new());
        let entries = egress.except.as_deref().unwrap_or_default();
        for entry in entries.split(|c: char| c == ',' || c.is_whitespace()) {
            let (host, port) = exception(entry);
            match port {
                None => all_ports.push(host),
                Some(port) => one_port.push((port, matcher(host))),
            }
        }
        Ok(Self(Some(Arc::new(Matchers {
            all_ports: matcher(&all_ports.join(",")),
            one_port,
        }))))
    }

    /// Returns the proxy on the way to a place. This machine itself is always reached directly.
    pub(super) fn toward(&self, target: &Uri) -> Option<Proxy> {
        let matchers = self.0.as_ref()?;
        let site = Site::of(target)?;
        if site.is_this_machine() {
            return None;
        }
        // As it is compared: in lower case, and without a dot at the end.
        let place: Uri = format!("{site:?}/").parse().ok()?;
        let found = matchers.all_ports.intercept(&place)?;
        let is_excepted = |(port, matcher): &(u16, Matcher)| {
            *port == site.port() && matcher.intercept(&place).is_none()
        };
        if matchers.one_port.iter().any(is_excepted) {
            return None;
        }
        Some(Proxy {
            url: found.uri().clone(),
            authorization: found.basic_auth().cloned(),
        })
    }
}

/// Returns the text of a proxy, empty for none, when it is one.
fn checked(text: &Option<Arc<str>>, traffic: Traffic) -> Result<&str, EgressError> {
    let text = text.as_deref().unwrap_or_default().trim();
    if text.is_empty() {
        return Ok(text);
    }
    let no_url = || EgressError::Url(traffic);
    let url: Uri = text.parse().map_err(|_| no_url())?;
    if let Some(scheme) = url.scheme()
        && *scheme != Scheme::HTTP
        && *scheme != Scheme::HTTPS
    {
        return Err(EgressError::Scheme(traffic));
    }
    // Here a '/' or '?' in a password shows, which would make another host of what is before it.
    let has_path = !matches!(url.path(), "" | "/") || url.query().is_some();
    let matcher = Matcher::builder().http(text).build();
    let place = Uri::from_static("http://r.example/");
    let proxy = matcher.intercept(&place).ok_or_else(no_url)?;
    let host = proxy.uri().host().unwrap_or_default();
    let authority = proxy.uri().authority().map_or("", |found| found.as_str());
    let names_port = authority.len() > host.len();
    let has_port = proxy.uri().port_u16().is_some_and(|port| port > 0);
    if has_path || !is_host(&host.to_ascii_lowercase()) || names_port != has_port {
        return Err(no_url());
    }
    Ok(text)
}

/// Splits an exception into what the matcher reads and its port. Not all agree on `*.` before a domain and on brackets
/// around an address: they are left out.
fn exception(entry: &str) -> (&str, Option<u16>) {
    let (host, port) = match entry.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (entry, None),
        },
        Some(_) | None => (entry, None),
    };
    let host = host.strip_prefix('[').unwrap_or(host);
    let host = host.strip_suffix([']', '.']).unwrap_or(host);
    match host.strip_prefix('*') {
        Some(domain) if domain.starts_with('.') => (domain, port),
        Some(_) | None => (host, port),
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.url)
    }
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(http: &str, https: &str, except: &str) -> Result<Proxies, EgressError> {
        Proxies::new(&Egress {
            http: Some(http.into()),
            https: Some(https.into()),
            except: Some(except.into()),
        })
    }

    fn toward(proxies: &Proxies, target: &str) -> Option<String> {
        let proxy = proxies.toward(&target.parse().unwrap())?;
        Some(proxy.url.to_string())
    }

    #[test]
    fn which_proxy_leads_where() {
        let except = "plain.test, *.wild.test,.dot.test one.test:8443 10.0.0.0/8,[fd00::1],[fd00::2]:5000,end.test.";
        let proxies = proxies("http://a.test", "b.test:3128", except).unwrap();
        for (target, through) in [
            ("http://r.io/x", Some("http://a.test/")),
            ("https://r.io/x", Some("http://b.test:3128/")),
            ("https://plain.test/", None),
            ("https://sub.Plain.test.:8443/", None),
            ("https://notplain.test/", Some("http://b.test:3128/")),
            ("https://x.wild.test/", None),
            ("https://x.dot.test/", None),
            ("https://one.test:8443/", None),
            ("https://one.test/", Some("http://b.test:3128/")),
            ("http://10.1.2.3:5000/", None),
            ("http://11.1.2.3:5000/", Some("http://a.test/")),
            ("http://[fd00::1]/", None),
            ("http://[fd00::2]:5000/", None),
            ("http://[fd00::2]/", Some("http://a.test/")),
            ("https://end.test/", None),
            ("http://localhost:5000/", None),
            ("http://127.1.2.3:5000/", None),
            ("http://[::1]:5000/", None),
        ] {
            assert_eq!(toward(&proxies, target).as_deref(), through, "{target}");
        }
        let everything = self::proxies("http://a.test", "", "*").unwrap();
        assert_eq!(toward(&everything, "http://r.io/"), None);
        let one = self::proxies("", "http://b.test", "").unwrap();
        assert_eq!(toward(&one, "http://r.io/"), None);
        let none = Proxies::new(&Egress::default()).unwrap();
        assert_eq!(toward(&none, "https://r.io/"), None);
    }

    #[test]
    fn user_and_password_are_apart_from_the_address() {
        let proxies = proxies("", "https://us%40er:pa%2Fss@p.test:8443/", "").unwrap();
        let found = proxies.toward(&"https://r.io".parse().unwrap()).unwrap();
        assert_eq!(found.url, "https://p.test:8443/");
        let authorization = found.authorization.clone().unwrap();
        assert_eq!(authorization, "Basic dXNAZXI6cGEvc3M=");
        assert!(authorization.is_sensitive());
        assert!(!format!("{found:?} {proxies:?}").contains("dXNAZ"));
    }

    #[test]
    fn a_proxy_that_cannot_be_is_a_fault_that_shows_no_password() {
        for (text, scheme_is_wrong) in [
            ("socks5://user:secret@p.test", true),
            ("ftp://p.test", true),
            ("http://", false),
            ("http://:3128", false),
            ("http://p.test:0", false),
            ("http://p.test:99999", false),
            ("http://p.test:", false),
            ("http://p..test", false),
            ("http://p.test/path", false),
            ("http://user:secret@word@p.test", false),
            ("http://user:12/secret@p.test", false),
            ("http://user:12?secret@p.test", false),
            ("http://user:secret#@p.test", false),
            ("user:se cret@p.test", false),
            ("/p.test", false),
        ] {
            for (http, https, traffic) in [(text, "", Traffic::Http), ("", text, Traffic::Https)] {
                let error = proxies(http, https, "").unwrap_err();
                let expected = match scheme_is_wrong {
                    true => EgressError::Scheme(traffic),
                    false => EgressError::Url(traffic),
                };
                assert_eq!(error, expected, "{text}");
                assert!(!error.to_string().contains("secret"), "{text}");
            }
        }
    }
}
