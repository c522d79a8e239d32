//! Whether clients trust the certificate that is shown, and how long they will.

use std::time::Duration;

use rustls::{CertificateError, Error};

use super::{Visit, clients, placed, shown};
use crate::cli::doctor::ask::Door;
use crate::cli::doctor::finding::{Finding, Subject};
use crate::cli::doctor::way::Verification;
use crate::runtime::Timestamp;

/// How long before its end a certificate is warned of: time enough to get another one.
const SOON: Duration = Duration::from_secs(21 * 24 * 3_600);

/// Judges what was seen of a certificate.
pub(super) fn judge(visit: &Visit, door: &Door, now: Timestamp, findings: &mut Vec<Finding>) {
    let Some(seen) = door.seen() else {
        return;
    };
    let address = shown(door);
    let finding = match (&seen.fault, visit.place.trust.verification) {
        (None, _) => ends(&address, seen.ends, now),
        // It was said already that any is taken, whatever name it is for.
        (Some(_), Verification::Skipped) if seen.ends.is_some() => ends(&address, seen.ends, now),
        (Some(_), Verification::Skipped) => return,
        (Some(error), Verification::Done) => untrusted(visit, &address, error),
    };
    findings.push(placed(visit, finding));
}

fn ends(address: &str, ends: Option<u64>, now: Timestamp) -> Finding {
    let Some(ends) = ends else {
        return Finding::good(
            Subject::Certificate,
            format!("the certificate of {address} is trusted"),
        );
    };
    let end = Timestamp::from_millis(ends.saturating_mul(1_000));
    let left = end.since(now);
    let days = left.as_secs() / (24 * 3_600);
    let plural = if days == 1 { "" } else { "s" };
    let message =
        format!("the certificate of {address} is trusted for {days} more day{plural}, until {end}");
    match left > SOON {
        true => Finding::good(Subject::Certificate, message),
        false => {
            let remedy =
                "get a new one: larder takes it as soon as cert_file and key_file have changed";
            Finding::warning(Subject::Certificate, message, remedy)
        }
    }
}

fn untrusted(visit: &Visit, address: &str, error: &Error) -> Finding {
    let trusted: Vec<String> = visit
        .place
        .trust
        .authorities
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let (why, remedy) = match error {
        // An authority of the same name with another key is another authority.
        Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => {
            let why = match trusted.is_empty() {
                true => "no authority that this machine trusts vouches for it".to_owned(),
                false => format!(
                    "neither {} nor this machine's authorities vouch for it",
                    trusted.join(", ")
                ),
            };
            let remedy = "give the client the certificate of larder's authority: `larder client-config` with --ca-file does";
            (why, remedy.to_owned())
        }
        Error::InvalidCertificate(CertificateError::NotValidForNameContext {
            presented, ..
        }) => (
            format!("it is for {}", names(presented)),
            "use one of these names for larder, or get a certificate with this one".to_owned(),
        ),
        Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => (
            "its time is over".to_owned(),
            "get a new one: larder takes it as soon as cert_file and key_file have changed"
                .to_owned(),
        ),
        Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => (
            "its time has not begun".to_owned(),
            "look at the clock of this machine".to_owned(),
        ),
        other => (
            other.to_string(),
            "get a certificate that clients can use".to_owned(),
        ),
    };
    let message = format!(
        "the certificate of {address} is not trusted{}: {why}",
        clients(visit)
    );
    Finding::fault(Subject::Certificate, message, remedy)
}

/// Names those for whom a certificate is. The library writes them as it has them: `DnsName("larder.example")`.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| {
        let inner = name
            .split_once('(')
            .and_then(|(_, rest)| rest.strip_suffix(')'));
        inner.unwrap_or(name).trim_matches('"').to_owned()
    };
    let names: Vec<String> = presented.iter().map(bare).collect();
    match names.is_empty() {
        true => "no name at all".to_owned(),
        false => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::Severity;

    #[test]
    fn a_certificate_near_its_end_is_warned_of() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let day = 24 * 3_600;
        for (left, severity, told) in [
            (22 * day, Severity::Good, "22 more days, until 2023-12-06"),
            (21 * day, Severity::Warning, "21 more days"),
            (day, Severity::Warning, "1 more day,"),
            (5, Severity::Warning, "0 more days"),
        ] {
            let found = ends("https://larder", Some(1_700_000_000 + left), now);
            assert_eq!(found.severity, severity, "{found:?}");
            assert!(found.message.contains(told), "{found:?}");
        }
    }
}
