//! With or without encryption: for endpoints that may be asked without, where they do not speak TLS.
//!
//! Whoever is on the way can bring that about, so it happens only where the operator says so, and never because of a
//! wrong certificate or of silence. It holds for a while; then TLS is tried again.

use std::error::Error;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustls::InvalidMessage;
use tokio::time::Instant;

use super::endpoint_url::{EndpointUrl, Site};
use super::error::{UpstreamError, find};
use super::settings::EndpointSettings;
use super::transport::ProxyFailed;
use super::trust::Hop;

/// What becomes of an endpoint that does not speak TLS.
#[derive(Debug)]
pub(super) struct Fallback {
    /// `None` when it is asked with TLS or not at all, or without from the beginning.
    allowed: Option<Allowed>,
    /// Until when it is asked without.
    until: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Allowed {
    encrypted: Site,
    plain: EndpointUrl,
}

impl Fallback {
    /// How long TLS is not tried again.
    const COUNTS: Duration = Duration::from_secs(600);

    /// Reads the settings of an endpoint.
    pub(super) fn of(settings: &EndpointSettings) -> Self {
        let is_allowed = settings.falls_back_to_http && settings.url.is_encrypted();
        let allowed = is_allowed.then(|| Allowed {
            encrypted: settings.url.site().clone(),
            plain: settings.url.unencrypted(),
        });
        Self {
            allowed,
            until: Mutex::default(),
        }
    }

    /// Returns who may be asked without encryption.
    pub(super) fn site(&self) -> Option<&Site> {
        self.allowed.as_ref().map(|allowed| allowed.plain.site())
    }

    /// Returns where it may be asked without encryption.
    pub(super) fn plain(&self) -> Option<&EndpointUrl> {
        self.allowed.as_ref().map(|allowed| &allowed.plain)
    }

    /// Returns where to ask without encryption, while that is so.
    pub(super) fn url(&self) -> Option<&EndpointUrl> {
        let allowed = self.allowed.as_ref()?;
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.filter(|until| Instant::now() < *until)?;
        Some(&allowed.plain)
    }

    /// Takes down why a place did not answer. Returns whether it is the endpoint and is to be asked again, without
    /// encryption.
    pub(super) fn takes_over(&self, hop: &Hop, error: &UpstreamError) -> bool {
        let Some(Allowed { encrypted, plain }) = &self.allowed else {
            return false;
        };
        let UpstreamError::Unreachable { host, source } = error else {
            return false;
        };
        // What failed may be the token service.
        let is_about_it = hop.site == *encrypted && host == encrypted.name();
        if !is_about_it || !speaks_no_tls(&**source) {
            return false;
        }
        let until = Instant::now() + Self::COUNTS;
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
        tracing::warn!(
            endpoint = %plain,
            "the registry does not speak TLS, so it is asked without for a while, logins included, as it may be"
        );
        true
    }
}

/// Decides whether a connection failed because there is no TLS: nobody listens, or something else than TLS came back.
fn speaks_no_tls(error: &(dyn Error + 'static)) -> bool {
    if find::<ProxyFailed>(error).is_some() {
        return false;
    }
    match find::<rustls::Error>(error) {
        Some(rustls::Error::InvalidMessage(message)) => matches!(
            message,
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion
        ),
        Some(_) => false,
        None => find::<io::Error>(error)
            .is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused),
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::Phase;
    use super::super::trust::Reach;
    use super::*;

    fn wrapped(error: rustls::Error) -> io::Error {
        io::Error::other(io::Error::new(io::ErrorKind::InvalidData, error))
    }

    fn hop(url: &str) -> Hop {
        let url: EndpointUrl = url.parse().unwrap();
        Hop {
            url: url.api(Default::default(), ""),
            site: url.site().clone(),
            reach: Reach::Anywhere,
        }
    }

    fn allowing(url: &str) -> Fallback {
        let mut settings = EndpointSettings::from(url.parse::<EndpointUrl>().unwrap());
        settings.falls_back_to_http = true;
        Fallback::of(&settings)
    }

    #[test]
    fn which_failures_mean_that_there_is_no_tls() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let plain = rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType);
        let wrong = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        assert!(speaks_no_tls(&refused()));
        assert!(speaks_no_tls(&wrapped(plain)));
        assert!(!speaks_no_tls(&wrapped(wrong)));
        assert!(!speaks_no_tls(&wrapped(rustls::Error::DecryptError)));
        for kind in [
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::UnexpectedEof,
            io::ErrorKind::TimedOut,
        ] {
            assert!(!speaks_no_tls(&io::Error::from(kind)), "{kind}");
        }
        // It is the proxy that refuses.
        let proxy = ProxyFailed::new("proxy.test:3128", refused());
        assert!(!speaks_no_tls(&proxy));
    }

    #[tokio::test(start_paused = true)]
    async fn what_took_over_holds_for_a_while() {
        let fallback = allowing("https://r.test");
        let error = |host: &str| {
            let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
            UpstreamError::unreachable(&host.into(), refused)
        };
        assert_eq!(fallback.url(), None);
        assert!(!fallback.takes_over(&hop("https://cdn.test"), &error("cdn.test")));
        assert!(!fallback.takes_over(&hop("https://r.test"), &error("auth.test")));
        assert!(!fallback.takes_over(&hop("http://r.test:443"), &error("r.test:443")));
        let late = UpstreamError::TimedOut {
            host: "r.test".into(),
            phase: Phase::Connect,
        };
        assert!(!fallback.takes_over(&hop("https://r.test"), &late));
        assert_eq!(fallback.url(), None);
        assert!(fallback.takes_over(&hop("https://r.test"), &error("r.test")));
        assert_eq!(fallback.url().unwrap().to_string(), "http://r.test");
        assert!(!fallback.takes_over(&hop("http://r.test"), &error("r.test")));
        tokio::time::advance(Fallback::COUNTS).await;
        assert_eq!(fallback.url(), None);
    }

    #[test]
    fn nothing_takes_over_unasked() {
        let settings = EndpointSettings::from("https://r.test".parse::<EndpointUrl>().unwrap());
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let error = UpstreamError::unreachable(&"r.test".into(), refused);
        assert!(!Fallback::of(&settings).takes_over(&hop("https://r.test"), &error));
        assert!(allowing("http://r.test").site().is_none());
    }
}
