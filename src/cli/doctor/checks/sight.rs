//! What larder takes us for: a client on its own machine sees more than others, private images among them.

use http::{Method, StatusCode};

use super::shown;
use crate::cli::doctor::ask::{Asked, Door};
use crate::cli::doctor::finding::{Finding, Subject};
use crate::server::error::RequestError;

/// The list of repositories, which others than this machine usually do not get.
const CATALOG: &str = "/v2/_catalog?n=1";

/// Finds out whether we count as a client on larder's own machine, as far as larder lets it be known.
pub(super) async fn look(door: &Door, findings: &mut Vec<Finding>) {
    let Ok(reply) = door.ask(Asked::short(&Method::GET, CATALOG)).await else {
        return;
    };
    let address = shown(door);
    let is_here = door.address().is_loopback();
    let is_withheld = reply.message() == Some(RequestError::CatalogWithheld.to_string());
    findings.push(match (reply.status, is_here) {
        (StatusCode::OK, true) => Finding::note(
            Subject::Sight,
            format!("clients of {address} count as larder's own machine: they get private images where logins are configured"),
        ),
        (StatusCode::OK, false) => Finding::note(
            Subject::Sight,
            format!(
                "{address} tells us which repositories it has: we count as larder's own machine, which gets private images, or \
                 catalog = \"everyone\" is set"
            ),
        )
        .remedy(
            "when this is another machine, let the proxy in front of larder say for whom it asks (X-Forwarded-For), and name \
             it in server.trusted_proxies",
        ),
        (StatusCode::FORBIDDEN, true) if is_withheld => Finding::note(
            Subject::Sight,
            format!("clients of {address} count as other machines: a proxy stands in front of larder, or it is in a container"),
        )
        .remedy("private images go to them only where share = \"everyone\" is set"),
        (StatusCode::FORBIDDEN, false) if is_withheld => Finding::good(
            Subject::Sight,
            format!("clients of {address} count as other machines, which get public images"),
        ),
        _ => return,
    });
}
