//! The doors of larder: where it listens, what is spoken there, and which proxies are believed there. Files of certificates
//! are looked at.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::endpoints::{certificates, private_key};
use super::fault::{Faults, Place};
use super::file::{AdminKeys, ServerKeys, TlsKeys, UpstreamKeys};
use super::reader::Located;
use super::surroundings::Surroundings;
use crate::admin;
use crate::server::metrics::Metrics;
use crate::server::tls::Tls;
use crate::server::{Proxies, ProxyProtocol, TlsSettings};
use crate::telemetry::with_causes;

/// Where the registry API is served unless something else is written: nobody but this machine gets there.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5000);

/// What is at an address of the registry API, as faults say it.
const REGISTRY: &str = "the registry is served";
/// What is at the address of health and metrics, as faults say it.
const METRICS: &str = "health and metrics are served";

/// Where larder listens.
#[derive(Debug)]
pub(super) struct Doors {
    pub(super) listen: SocketAddr,
    pub(super) tls: Option<TlsSettings>,
    pub(super) metrics: Option<SocketAddr>,
    pub(super) admin: Option<admin::Settings>,
    pub(super) proxies: Proxies,
}

impl Doors {
    /// Takes what is written of doors, and says what does not agree.
    pub(super) fn take(
        keys: &mut ServerKeys,
        admin: AdminKeys,
        surroundings: &Surroundings,
        faults: &mut Faults,
    ) -> Self {
        let listen = keys.listen.as_ref();
        let listen = listen.map_or(DEFAULT_LISTEN, |listen| listen.value);
        let mut taken = vec![(listen, REGISTRY)];
        let tls = std::mem::take(&mut keys.tls);
        if let Some(beside) = &tls.listen {
            check_free(beside, &taken, faults);
            taken.push((beside.value, REGISTRY));
        }
        if let Some(metrics) = &keys.metrics_listen {
            check_free(metrics, &taken, faults);
            taken.push((metrics.value, METRICS));
        }
        if let Some(listen) = &admin.listen {
            check_free(listen, &taken, faults);
        }
        Self {
            listen,
            tls: tls_settings(tls, surroundings, faults),
            metrics: keys.metrics_listen.as_ref().map(|metrics| metrics.value),
            admin: commands(admin, surroundings, faults),
            proxies: proxies(keys, faults),
        }
    }

    /// Returns where the registry API is served.
    pub(super) fn registry(&self) -> impl Iterator<Item = SocketAddr> + Clone {
        let beside = self.tls.as_ref().and_then(|tls| tls.listen);
        std::iter::once(self.listen).chain(beside)
    }

    /// Says which endpoints are larder itself: a request would go round for ever.
    pub(super) fn check_endpoints(&self, written: &[UpstreamKeys], faults: &mut Faults) {
        let endpoints = written.iter().filter_map(|keys| keys.endpoints.as_ref());
        let urls = endpoints
            .flat_map(|list| &list.value)
            .filter_map(|keys| keys.url.as_ref());
        for url in urls {
            let host = url.value.host().trim_matches(['[', ']']);
            let ip: Option<IpAddr> = match host {
                "localhost" => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                host => host.parse().ok(),
            };
            let Some(ip) = ip else { continue };
            let is_own = |listen: &SocketAddr| {
                let is_here = listen.ip().is_unspecified() && ip.is_loopback();
                listen.port() != 0
                    && url.value.port() == listen.port()
                    && (ip == listen.ip() || is_here)
            };
            if let Some(listen) = self.registry().find(is_own) {
                let message = format!(
                    "'{}' is larder itself, which listens at {listen}",
                    url.value
                );
                faults.push(url.place.clone(), message);
            }
        }
    }
}

fn check_free(
    wanted: &Located<SocketAddr>,
    taken: &[(SocketAddr, &'static str)],
    faults: &mut Faults,
) {
    let is_taken = |(one, _): &&(SocketAddr, &'static str)| overlap(*one, wanted.value);
    if let Some((other, what)) = taken.iter().find(is_taken) {
        let message = format!("'{}' is taken: {what} at {other}", wanted.value);
        faults.push(wanted.place.clone(), message);
    }
}

/// Tells whether two sockets cannot be bound at the same time. Port 0 is another port each time.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    // `::` takes in IPv4 as well.
    let takes_in =
        |all: IpAddr, ip: IpAddr| all.is_unspecified() && (all.is_ipv6() || ip.is_ipv4());
    one.port() == other.port()
        && one.port() != 0
        && (one.ip() == other.ip()
            || takes_in(one.ip(), other.ip())
            || takes_in(other.ip(), one.ip()))
}

fn tls_settings(
    keys: TlsKeys,
    surroundings: &Surroundings,
    faults: &mut Faults,
) -> Option<TlsSettings> {
    let known = faults.count();
    let at = |file: Located<PathBuf>| Located {
        value: surroundings.working_folder.join(file.value),
        place: file.place,
    };
    let some_place = || -> Option<Place> {
        let listen = keys.listen.as_ref().map(|listen| &listen.place);
        let files = [&keys.cert_file, &keys.key_file, &keys.client_ca_file];
        let mut files = files.into_iter().flatten().map(|file| &file.place);
        keys.place.as_ref().or(listen).or(files.next()).cloned()
    };
    let place = some_place()?;
    let missing = match (&keys.cert_file, &keys.key_file) {
        (Some(_), Some(_)) => None,
        (None, Some(_)) => Some("cert_file is missing: a key is of use with its certificate"),
        (Some(_), None) => Some("key_file is missing: a certificate is of use with its key"),
        (None, None) => Some("cert_file and key_file are missing: TLS needs a certificate"),
    };
    if let Some(message) = missing {
        faults.push(place.clone(), message);
    }
    let listen = keys.listen.map(|listen| listen.value);
    let key_place = keys.key_file.as_ref().map(|file| file.place.clone());
    let cert_file = keys.cert_file.map(|file| certificates(at(file), faults));
    let key_file = keys.key_file.map(|file| private_key(at(file), faults));
    let client_ca_file = keys
        .client_ca_file
        .map(|file| certificates(at(file), faults));
    let settings = TlsSettings {
        listen,
        cert_file: cert_file?,
        key_file: key_file?,
        client_ca_file,
    };
    // What one file alone does not show: whether they belong together.
    if faults.count() == known
        && let Err(error) = Tls::open(settings.clone(), Metrics::default())
    {
        let message = format!(
            "TLS cannot be spoken with these files: {}",
            with_causes(&error)
        );
        let files = [&settings.cert_file, &settings.key_file].into_iter();
        let files = files.chain(&settings.client_ca_file).cloned().collect();
        faults.push_about(key_place.unwrap_or(place), files, message);
    }
    Some(settings)
}

/// Takes the door for commands, which needs its token.
fn commands(
    keys: AdminKeys,
    surroundings: &Surroundings,
    faults: &mut Faults,
) -> Option<admin::Settings> {
    let token_file = keys.token_file.map(|file| {
        let path = surroundings.working_folder.join(file.value);
        if let Err(error) = admin::token::read(&path) {
            let files = vec![path.clone()];
            faults.push_about(file.place.clone(), files, error.to_string());
        }
        (path, file.place)
    });
    match (keys.listen, token_file) {
        (Some(listen), Some((token_file, _))) => Some(admin::Settings {
            listen: listen.value,
            token_file,
        }),
        (Some(listen), None) => {
            let message =
                "token_file is missing: commands over TCP are for those who show its token";
            faults.push(listen.place, message);
            None
        }
        (None, Some((_, place))) => {
            faults.push(
                place,
                "listen is missing: a token is of use where commands are taken over TCP",
            );
            None
        }
        (None, None) => None,
    }
}

fn proxies(keys: &mut ServerKeys, faults: &mut Faults) -> Proxies {
    let trusted = keys.trusted_proxies.take().unwrap_or_default();
    let protocol = match keys.proxy_protocol.take() {
        Some(written) if written.value => {
            if trusted.is_empty() {
                let message = "this needs server.trusted_proxies: nobody else may say for whom a connection is";
                faults.push(written.place, message);
            }
            ProxyProtocol::Required
        }
        Some(_) | None => ProxyProtocol::Absent,
    };
    Proxies {
        trusted: trusted.into_iter().map(|network| network.value).collect(),
        protocol,
    }
}
