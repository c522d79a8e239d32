//! The whole contract, as tables: every state of what is known × every policy × every answer of the registry.

use proptest::prelude::*;

use super::*;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const FRESH_FOR: Duration = Duration::from_mins(10);

fn now() -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000)
}

fn before(ago: Duration) -> Timestamp {
    Timestamp::from_millis(now().as_millis() - u64::try_from(ago.as_millis()).unwrap())
}

fn known(confirmed: Timestamp, denial: Option<Denial>) -> Known {
    Known {
        confirmed,
        denial,
        seed: 7,
    }
}

fn policy(freshness: Freshness, limits: [StaleLimit; 4]) -> Policy {
    let [unreachable, rate_limit, not_found, denied] = limits;
    Policy {
        freshness,
        stale_on_unreachable: unreachable,
        stale_on_rate_limit: rate_limit,
        stale_on_not_found: not_found,
        stale_on_denied: denied,
        answer_within: Duration::from_millis(1_500),
    }
}

const UNLIMITED: StaleLimit = StaleLimit::Unlimited;
const NEVER: StaleLimit = StaleLimit::NEVER;
const DAY: StaleLimit = StaleLimit::For(Duration::from_hours(24));
const TWO_HOURS: StaleLimit = StaleLimit::For(Duration::from_hours(2));

/// What is planned, as a letter of the table.
fn letter(plan: Plan) -> char {
    match plan {
        Plan::Serve => 'S',
        Plan::ServeOffline => 'O',
        Plan::Check => 'C',
        Plan::Fetch => 'F',
        Plan::Lack => 'L',
    }
}

#[test]
fn what_is_done_for_a_request() {
    let periods = [
        Freshness::For(FRESH_FOR),
        Freshness::Always,
        Freshness::Immutable,
    ];
    let fresh = before(MINUTE * 8);
    let stale = before(MINUTE * 12);
    let future = Timestamp::from_millis(now().as_millis() + 1);
    // For each period: as usual and now, while online; as usual and now, while offline.
    for (state, name, table) in [
        (None, "unknown", ["FFLL", "FFLL", "FFLL"]),
        (Some(known(fresh, None)), "fresh", ["SCSO", "CCOO", "SCSO"]),
        (Some(known(stale, None)), "stale", ["CCOO", "CCOO", "SCSO"]),
        (
            Some(known(fresh, Some(Denial::NotFound))),
            "fresh, then not found",
            ["CCOO", "CCOO", "CCOO"],
        ),
        (
            Some(known(stale, Some(Denial::NotFound))),
            "stale, then not found",
            ["CCOO", "CCOO", "CCOO"],
        ),
        (
            Some(known(fresh, Some(Denial::Denied))),
            "fresh, then denied",
            ["CCOO", "CCOO", "CCOO"],
        ),
        (
            Some(known(stale, Some(Denial::Denied))),
            "stale, then denied",
            ["CCOO", "CCOO", "CCOO"],
        ),
        (
            Some(known(future, None)),
            "of the future",
            ["CCOO", "CCOO", "SCSO"],
        ),
    ] {
        for (freshness, expected) in periods.into_iter().zip(table) {
            let policy = policy(freshness, [UNLIMITED, UNLIMITED, NEVER, DAY]);
            let found: String = [
                (Demand::Usual, Reach::Online),
                (Demand::Now, Reach::Online),
                (Demand::Usual, Reach::Offline),
                (Demand::Now, Reach::Offline),
            ]
            .into_iter()
            .map(|(demand, reach)| letter(plan(state.as_ref(), &policy, demand, reach, now())))
            .collect();
            assert_eq!(found, expected, "{name}, {freshness:?}");
        }
    }
}

/// Why an old answer goes out, as a letter of the table; a dash when none does.
fn verdict(verdict: Verdict) -> char {
    match verdict {
        Verdict::Stale(StaleReason::Unreachable) => 'U',
        Verdict::Stale(StaleReason::Slow) => 'S',
        Verdict::Stale(StaleReason::RateLimited) => 'R',
        Verdict::Stale(StaleReason::NotFound) => 'N',
        Verdict::Stale(StaleReason::Denied) => 'D',
        Verdict::Fail => '-',
    }
}

#[test]
fn what_goes_out_when_the_registry_does_not_confirm() {
    let policies = [
        ("public", [UNLIMITED, UNLIMITED, NEVER, DAY]),
        ("private", [UNLIMITED, UNLIMITED, NEVER, NEVER]),
        ("strict", [NEVER; 4]),
        ("lenient", [UNLIMITED; 4]),
        ("two hours", [TWO_HOURS; 4]),
    ];
    let failures = [
        Failure::Unreachable,
        Failure::Slow,
        Failure::RateLimited,
        Failure::Said(Denial::NotFound),
        Failure::Said(Denial::Denied),
    ];
    // For each policy: asked though fresh, stale for an hour, stale for thirty hours.
    for (denial, table) in [
        (
            None,
            [
                ["USR-D", "USR-D", "USR--"],
                ["USR--", "USR--", "USR--"],
                ["-----", "-----", "-----"],
                ["USRND", "USRND", "USRND"],
                ["USRND", "USRND", "-----"],
            ],
        ),
        (
            Some(Denial::NotFound),
            [
                ["----D", "----D", "-----"],
                ["-----", "-----", "-----"],
                ["-----", "-----", "-----"],
                ["USRND", "USRND", "USRND"],
                ["USRND", "USRND", "-----"],
            ],
        ),
        (
            Some(Denial::Denied),
            [
                ["USR-D", "USR-D", "-----"],
                ["-----", "-----", "-----"],
                ["-----", "-----", "-----"],
                ["USRND", "USRND", "USRND"],
                ["USRND", "USRND", "-----"],
            ],
        ),
    ] {
        for ((name, limits), row) in policies.into_iter().zip(table) {
            let ages = [Duration::ZERO, FRESH_FOR + HOUR, FRESH_FOR + HOUR * 30];
            for (age, expected) in ages.into_iter().zip(row) {
                let known = known(before(age), denial);
                let policy = policy(Freshness::For(FRESH_FOR), limits);
                let found: String = failures
                    .into_iter()
                    .map(|failure| verdict(after(&known, failure, &policy, now())))
                    .collect();
                assert_eq!(found, expected, "{name}, {denial:?}, confirmed {age:?} ago");
            }
        }
    }
}

#[test]
fn a_limit_begins_where_the_freshness_ends() {
    let two_hours = [TWO_HOURS; 4];
    // Up to a tenth of the period lies between the earliest and the latest end.
    for (freshness, age, goes_out) in [
        (Freshness::For(HOUR * 10), HOUR * 10, true),
        (Freshness::For(HOUR * 10), HOUR * 13, false),
        (Freshness::Always, HOUR, true),
        (Freshness::Always, HOUR * 2, false),
        (Freshness::Immutable, HOUR * 1_000, true),
    ] {
        let policy = policy(freshness, two_hours);
        let known = known(before(age), None);
        let found = after(&known, Failure::Unreachable, &policy, now());
        assert_eq!(found != Verdict::Fail, goes_out, "{freshness:?} {age:?}");
    }
}

#[test]
fn what_was_confirmed_together_is_not_asked_for_together() {
    let policy = policy(Freshness::For(FRESH_FOR), [NEVER; 4]);
    let due = |seed: u64, minutes: u32| {
        let known = Known {
            seed,
            ..known(before(MINUTE * minutes), None)
        };
        plan(Some(&known), &policy, Demand::Usual, Reach::Online, now()) == Plan::Check
    };
    assert_eq!((0..1_000).filter(|seed| due(*seed, 8)).count(), 0);
    assert_eq!((0..1_000).filter(|seed| due(*seed, 12)).count(), 1_000);
    let at_ten = (0..1_000).filter(|seed| due(*seed, 10)).count();
    assert!((300..700).contains(&at_ten), "{at_ten} of 1000");
}

proptest! {
    #[test]
    fn a_period_differs_by_a_tenth_at_most(millis in 0_u64..u64::MAX / 2, seed: u64, at: u64) {
        let period = Duration::from_millis(millis);
        let known = Known { confirmed: Timestamp::from_millis(at), denial: None, seed };
        let spread = spread(period, &known);
        let exact = u128::from(millis);
        prop_assert!(spread.as_millis() >= exact * 9 / 10);
        prop_assert!(spread.as_millis() <= exact * 11 / 10);
        prop_assert_eq!(spread, super::spread(period, &known));
    }
}
