//! Moments and spans of time as people say them: the one place that rounds them.

use std::time::Duration;

use crate::admin::document::Moment;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Says how long ago something was: "3 minutes ago".
pub(super) fn ago(then: Moment, now: Moment) -> String {
    match now.0.since(then.0).as_secs() {
        0 => "just now".to_owned(),
        seconds => format!("{} ago", span(Duration::from_secs(seconds))),
    }
}

/// Says how long it is until something: "in 3 minutes".
pub(super) fn until(then: Moment, now: Moment) -> String {
    match then.0.since(now.0).as_secs() {
        0 => "now".to_owned(),
        seconds => format!("in {}", span(Duration::from_secs(seconds))),
    }
}

/// Says how long something is, in its largest unit.
fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    let (number, unit) = match seconds {
        0..MINUTE => (seconds, "second"),
        MINUTE..HOUR => (seconds / MINUTE, "minute"),
        HOUR..DAY => (seconds / HOUR, "hour"),
        DAY.. => (seconds / DAY, "day"),
    };
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {unit}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Timestamp;

    #[test]
    fn time_is_rounded_down_to_its_largest_unit() {
        let at = |seconds: u64| Moment(Timestamp::from_millis(seconds * 1_000));
        for (seconds, past, future) in [
            (0, "just now", "now"),
            (1, "1 second ago", "in 1 second"),
            (59, "59 seconds ago", "in 59 seconds"),
            (119, "1 minute ago", "in 1 minute"),
            (7_199, "1 hour ago", "in 1 hour"),
            (2 * DAY, "2 days ago", "in 2 days"),
        ] {
            assert_eq!(ago(at(5), at(5 + seconds)), past);
            assert_eq!(until(at(5 + seconds), at(5)), future);
        }
        // The clock was set back.
        assert_eq!(ago(at(9), at(5)), "just now");
    }
}
