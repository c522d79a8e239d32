//! Whether somebody answers at an address, and whether that is larder.

use http::{Method, StatusCode};

use super::{ABOUT, Expectation, Visit, clients, placed, shown};
use crate::cli::doctor::address::Scheme;
use crate::cli::doctor::ask::{AskError, Asked, Door, Reply};
use crate::cli::doctor::finding::{Finding, Severity, Subject};
use crate::server::error::RequestError;
use crate::server::route::RouteError;

/// The path of the ping.
const PING: &str = "/v2/";

/// A path below `/v2/` at which no registry has anything. How larder says so nobody else does.
const NOWHERE: &str = "/v2/larder-doctor/who";

/// Finds somebody who answers. What is wrong with the certificate there is told elsewhere.
pub(super) async fn find(visit: &Visit, findings: &mut Vec<Finding>) -> Option<Door> {
    let schemes = match visit.place.address.scheme {
        Scheme::Either => &[Scheme::Https, Scheme::Http][..],
        Scheme::Https => &[Scheme::Https],
        Scheme::Http => &[Scheme::Http],
    };
    let mut last = None;
    for scheme in schemes {
        let door = match Door::new(&visit.place, *scheme) {
            Ok(door) => door,
            // It was said already that a file is not there.
            Err(_)
                if visit
                    .place
                    .trust
                    .authorities
                    .iter()
                    .any(|file| !file.exists()) =>
            {
                return None;
            }
            Err(error) => {
                let message = crate::telemetry::with_causes(&error).to_string();
                let remedy = "put certificates in PEM form there: `larder client-config` with --ca-file does";
                let fault = Finding::fault(Subject::Certificate, message, remedy);
                findings.push(placed(visit, fault));
                return None;
            }
        };
        match door.ask(Asked::short(&Method::GET, PING)).await {
            // It is the certificate that is to be judged.
            Ok(_) | Err(AskError::Untrusted) => return Some(door),
            Err(error) => last = Some((door, error)),
        }
    }
    if let Some((door, error)) = last {
        findings.push(placed(visit, silent(visit, &door, &error)));
    }
    None
}

/// Says that nobody answers.
fn silent(visit: &Visit, door: &Door, error: &AskError) -> Finding {
    let address = shown(door);
    let message = format!("{address} does not answer{}: {error}", clients(visit));
    let remedy = match error {
        AskError::Unencrypted => {
            format!("write http:// in place of https://, or give larder a certificate with [server.tls]: {address}")
        }
        AskError::Connect(_) | AskError::TimedOut(_) => {
            "start larder, and look where it listens with `larder check`; from another machine, listen has to be more than \
             127.0.0.1, and a firewall has to let it through"
                .to_owned()
        }
        AskError::NoCertificate => "give the client a certificate of one of the authorities in client_ca_file of larder"
            .to_owned(),
        AskError::Tls(_) => "look into larder's log, and into that of what stands before it".to_owned(),
        AskError::Untrusted | AskError::TooLong(_) | AskError::Broke(_) => {
            "look what listens there: it is no larder, or something between cuts it off".to_owned()
        }
    };
    Finding::fault(ABOUT, message, remedy)
}

/// Pings, and makes sure that it is larder who answers. `None` when it is not.
pub(super) async fn ping(visit: &Visit, door: &Door, findings: &mut Vec<Finding>) -> Option<Reply> {
    let address = shown(door);
    let answers = async {
        let ping = door.ask(Asked::short(&Method::GET, PING)).await?;
        let nowhere = door.ask(Asked::short(&Method::GET, NOWHERE)).await?;
        Ok::<_, AskError>((ping, nowhere))
    };
    let (ping, nowhere) = match Box::pin(answers).await {
        Ok(answers) => answers,
        // The certificate was told of.
        Err(AskError::Untrusted) => return None,
        Err(error) => {
            findings.push(placed(visit, silent(visit, door, &error)));
            return None;
        }
    };
    if ping.message() == Some(RequestError::Unencrypted.to_string()) {
        let message = format!("{address}: larder speaks TLS there{}", clients(visit));
        let remedy = "write https:// in place of http://";
        findings.push(placed(visit, Finding::fault(ABOUT, message, remedy)));
        return None;
    }
    let is_larder =
        ping.status == StatusCode::OK && nowhere.message() == Some(RouteError::Unknown.to_string());
    if is_larder {
        let message = format!("larder answers at {address}{}", clients(visit));
        findings.push(Finding::good(ABOUT, message));
        return Some(ping);
    }
    let severity = match visit.expectation {
        Expectation::Anything => Severity::Warning,
        Expectation::Larder => Severity::Fault,
    };
    let message = format!(
        "what answers at {address} is no larder{}: to {PING} it says {}",
        clients(visit),
        ping.status
    );
    let remedy = "where larder is meant, correct host and port, and look what listens there; another mirror is not looked at";
    findings.push(placed(
        visit,
        Finding::new(severity, ABOUT, message).remedy(remedy),
    ));
    None
}
