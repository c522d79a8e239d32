//! The larder of this machine, or the one that takes commands at an address: what is wrong with its configuration, whom it
//! serves, its disk, and its registries.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytesize::ByteSize;

use super::address::{Address, Scheme};
use super::checks::{Expectation, Visit};
use super::finding::{Finding, Severity, Spot, Subject};
use super::standing;
use super::way::{Place, Trust, Verification};
use crate::admin::{self, Client, ClientError};
use crate::cli::check;
use crate::cli::operator::Meant;
use crate::config::{self, Flags, Settings, Surroundings};
use crate::server::{ProxyProtocol, TlsSettings};
use crate::store::space::{Space, SpaceFloor};

/// What is known of the larder that is meant.
#[derive(Debug, Default)]
pub(super) struct Own {
    /// Its configuration, when it is of this machine and without a fault.
    pub(super) settings: Option<Settings>,
    /// Whether anything at all was configured.
    pub(super) is_configured: bool,
    pub(super) findings: Vec<Finding>,
}

impl Own {
    /// Reads the configuration.
    pub(super) fn of_folder(flags: &Flags, surroundings: &Surroundings) -> Self {
        let mut own = Self::default();
        match config::load(flags, surroundings) {
            Ok(loaded) => {
                own.is_configured = loaded.file.is_some() || !loaded.overrides.is_empty();
                if own.is_configured {
                    own.configured(&loaded);
                }
                own.settings = Some(loaded.settings);
            }
            Err(faults) => {
                own.is_configured = true;
                let faults = faults.as_slice();
                if faults.iter().all(|fault| fault.message.contains(DENIED)) {
                    let message = "the configuration of larder, or a file that it names, cannot be read by this user";
                    let note = Finding::note(Subject::Configuration, message);
                    let remedy = "run this as root or as the user that larder runs as";
                    own.findings.push(note.remedy(remedy));
                    return own;
                }
                let first = faults.first().map_or_else(String::new, |fault| {
                    format!("{}: {}", fault.place, fault.message)
                });
                let more = match faults.len() {
                    0 | 1 => String::new(),
                    count => format!(" (and {} more)", count - 1),
                };
                let message =
                    format!("larder does not start with its configuration: {first}{more}");
                let remedy = "`larder check` shows every fault with its line";
                own.findings
                    .push(Finding::fault(Subject::Configuration, message, remedy));
            }
        }
        own
    }

    fn configured(&mut self, loaded: &config::Loaded) {
        let good = "the configuration of larder has no fault";
        let good = Finding::good(Subject::Configuration, good);
        let spot = loaded.file.as_deref().map(Spot::file);
        self.findings.push(match &spot {
            Some(spot) => good.at(spot),
            None => good,
        });
        let warnings = loaded.warnings.iter();
        self.findings.extend(warnings.map(|warning| {
            Finding::new(Severity::Warning, Subject::Configuration, warning)
                .remedy("`larder check` tells more")
        }));
        let sentences = check::exposure(&loaded.settings).into_iter();
        self.findings
            .extend(sentences.map(|sentence| Finding::note(Subject::Sight, sentence)));
    }

    /// Returns where it should answer on this machine, as far as somebody here can ask there.
    pub(super) fn visits(&mut self) -> Vec<Visit> {
        let Some(settings) = &self.settings else {
            return Vec::new();
        };
        let server = &settings.server;
        if server.proxies.protocol == ProxyProtocol::Required {
            let message = "only its proxies can connect to larder (proxy_protocol), so that it is not asked directly";
            self.findings.push(Finding::note(ABOUT, message));
            return Vec::new();
        }
        if server.addresses().any(|listen| listen.port() == 0) {
            let message = "larder chooses its port itself (listen has port 0), so that it is not known where it listens";
            self.findings.push(Finding::note(ABOUT, message));
            return Vec::new();
        }
        let plain = |listen| visit(listen, Scheme::Http, Trust::default());
        let encrypted = |tls: &TlsSettings, listen| {
            let trust = Trust {
                // It is asked under an address that its certificate need not name.
                verification: Verification::Skipped,
                authorities: vec![tls.cert_file.clone()],
                certificate: None,
            };
            visit(listen, Scheme::Https, trust)
        };
        let Some(tls) = &server.tls else {
            return vec![plain(server.listen)];
        };
        let (plain, encrypted) = match tls.listen {
            Some(listen) => (Some(plain(server.listen)), encrypted(tls, listen)),
            None => (None, encrypted(tls, server.listen)),
        };
        if tls.client_ca_file.is_some() {
            let message = format!(
                "clients have to show a certificate at {}, so that it is not asked without one",
                encrypted.place.address
            );
            self.findings.push(Finding::note(ABOUT, message));
            return plain.into_iter().collect();
        }
        plain.into_iter().chain([encrypted]).collect()
    }

    /// Looks at the disk of the cache.
    pub(super) fn look_at_disk(&mut self) {
        let Some(settings) = &self.settings else {
            return;
        };
        let folder = &settings.store.path;
        let Ok(space) = Space::of(folder) else {
            return;
        };
        let floor = settings
            .store
            .min_free
            .unwrap_or(SpaceFloor::usual(space.total));
        let finding = room(space.free, floor);
        self.findings.push(finding.at(&Spot::file(folder)));
    }

    /// Asks the larder that runs how its registries stand.
    pub(super) async fn look_at_upstreams(&mut self, meant: &Meant, surroundings: &Surroundings) {
        let connected = match (meant, &self.settings) {
            (Meant::Remote { url, token_file }, _) => {
                let file = surroundings.working_folder.join(token_file);
                match admin::token::read(&file) {
                    Ok(token) => Client::connect_over_tcp(url, &token).await.map(Some),
                    Err(error) => {
                        let message = error.to_string();
                        let remedy = "--admin-token-file has to name the file that admin.token_file of that larder names";
                        self.findings
                            .push(Finding::fault(Subject::Upstream, message, remedy));
                        return;
                    }
                }
            }
            (Meant::Folder(_), Some(settings)) => Client::connect(&settings.store.socket()).await,
            (Meant::Folder(_), None) => return,
        };
        let told = match connected {
            Ok(Some(client)) => client.upstreams().await,
            Ok(None) => {
                let message = "no larder runs with the cache folder that is configured here";
                let note = Finding::note(Subject::Upstream, message);
                let remedy = "start it, or give --cache-path, or --admin-url for another machine";
                self.findings.push(note.remedy(remedy));
                return;
            }
            Err(error) => Err(error),
        };
        match told {
            Ok(upstreams) => self.findings.extend(standing::judge(&upstreams)),
            Err(error) => self.findings.push(unheard(&error)),
        }
    }
}

const ABOUT: Subject = Subject::Address;

/// How the operating system says that a file may not be read.
const DENIED: &str = "Permission denied";

/// Says why the larder that runs could not be asked.
fn unheard(error: &ClientError) -> Finding {
    let message = format!(
        "larder could not be asked for its registries, their limits and troubles: {}",
        crate::telemetry::with_causes(error)
    );
    let is_denied = matches!(error, ClientError::Connect { source, .. }
        if source.kind() == std::io::ErrorKind::PermissionDenied);
    match is_denied {
        true => Finding::note(Subject::Upstream, message)
            .remedy("run this as root or as the user that larder runs as"),
        false => Finding::warning(
            Subject::Upstream,
            message,
            "look whether `larder status --upstreams` works with the same flags",
        ),
    }
}

/// Says whether there is room for more.
fn room(free: u64, floor: u64) -> Finding {
    let size = |bytes| ByteSize::b(bytes).display().iec().to_string();
    let message = format!(
        "{} are free where the cache is, and {} have to stay free",
        size(free),
        size(floor)
    );
    if free > floor {
        return Finding::good(Subject::Disk, message);
    }
    let message = format!(
        "{message}: what was used least lately goes, and what does not fit then is not kept"
    );
    Finding::fault(Subject::Disk, message, MAKE_ROOM)
}

const MAKE_ROOM: &str = "make room, put cache.path on a larger disk, or lower cache.min_free";

fn visit(listen: SocketAddr, scheme: Scheme, trust: Trust) -> Visit {
    // What stands for all addresses of a machine is reached under its own.
    let ip = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    let authority = SocketAddr::new(ip, listen.port()).to_string();
    Visit {
        place: Place {
            address: Address::new(scheme, &authority),
            trust,
        },
        ways: Vec::new(),
        expectation: Expectation::Larder,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_without_room_is_told() {
        let gib = ByteSize::gib(1).as_u64();
        for (free, severity) in [
            (10 * gib, Severity::Fault),
            (9 * gib, Severity::Fault),
            (11 * gib, Severity::Good),
        ] {
            let found = room(free, 10 * gib);
            assert_eq!(found.severity, severity, "{found:?}");
        }
    }
}
