//! Whether larder's clock agrees with that of this machine: tags age, and certificates end, by clocks.

use std::time::{Duration, UNIX_EPOCH};

use super::shown;
use crate::cli::doctor::ask::{Door, Reply};
use crate::cli::doctor::finding::{Finding, Subject};
use crate::runtime::Timestamp;

/// How much clocks may differ: more than an answer takes, and less than matters to tags and certificates.
const LENIENCY: Duration = Duration::from_secs(30);

/// Compares the time at which an answer was given with that at which it came.
pub(super) fn judge(door: &Door, reply: &Reply, now: Timestamp, findings: &mut Vec<Finding>) {
    let Some(there) = moment(reply.header("date")) else {
        return;
    };
    let address = shown(door);
    findings.push(match (now.since(there), there.since(now)) {
        (behind, ahead) if behind.max(ahead) <= LENIENCY => {
            let message = format!("the clocks of {address} and of this machine agree");
            Finding::good(Subject::Clock, message)
        }
        (behind, ahead) => {
            let (difference, way) = match behind > ahead {
                true => (behind, "behind"),
                false => (ahead, "before"),
            };
            let difference = humantime::format_duration(Duration::from_secs(difference.as_secs()));
            let message =
                format!("the clock of {address} is {difference} {way} that of this machine");
            let remedy = "have both set by NTP: `timedatectl` says whether it is on";
            Finding::warning(Subject::Clock, message, remedy)
        }
    });
}

/// Reads the moment of a `Date` header.
fn moment(date: &str) -> Option<Timestamp> {
    let since = httpdate::parse_http_date(date)
        .ok()?
        .duration_since(UNIX_EPOCH)
        .ok()?;
    Some(Timestamp::from_millis(
        u64::try_from(since.as_millis()).ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, StatusCode};

    use super::*;
    use crate::cli::doctor::address::{Address, Scheme};
    use crate::cli::doctor::finding::Severity;
    use crate::cli::doctor::way::{Place, Trust};

    #[test]
    fn half_a_minute_is_let_pass() {
        let place = Place {
            address: Address::new(Scheme::Http, "larder:5000"),
            trust: Trust::default(),
        };
        let door = Door::new(&place, Scheme::Http).unwrap();
        let there = 1_700_000_000;
        for (now, told) in [
            (there - 30, None),
            (there + 30, None),
            (there + 31, Some("31s behind")),
            (there - 3_600, Some("1h before")),
        ] {
            let mut headers = HeaderMap::new();
            let date = HeaderValue::from_static("Tue, 14 Nov 2023 22:13:20 GMT");
            headers.insert("date", date);
            let reply = Reply {
                status: StatusCode::OK,
                headers,
                body: Bytes::new(),
            };
            let mut findings = Vec::new();
            judge(
                &door,
                &reply,
                Timestamp::from_millis(now * 1_000),
                &mut findings,
            );
            let is_warned = findings[0].severity == Severity::Warning;
            assert_eq!(is_warned, told.is_some(), "{findings:?}");
            assert!(findings[0].message.contains(told.unwrap_or("agree")));
        }
    }
}
