//! Which of the things that are said holds for what.

use super::*;

const HOUR: Duration = Duration::from_hours(1);

fn fresh(period: Duration) -> Keys {
    Keys {
        freshness: Some(Freshness::For(period)),
        ..Keys::default()
    }
}

fn origin(upstream: &str, repository: &str) -> Origin {
    Origin {
        upstream: upstream.parse().unwrap(),
        repository: repository.parse().unwrap(),
    }
}

fn settings() -> Settings {
    let rule = |images: &str, keys| TagRule {
        images: images.parse().unwrap(),
        keys,
    };
    let contract = |upstreams: &str, rules, keys| UpstreamContract {
        upstreams: upstreams.parse().unwrap(),
        rules,
        keys,
    };
    let releases = Keys {
        freshness: Some(Freshness::Immutable),
        stale_on_denied: Some(StaleLimit::Unlimited),
        ..Keys::default()
    };
    let patient = Keys {
        answer_within: Some(Duration::from_secs(5)),
        ..fresh(HOUR)
    };
    Settings {
        keys: Keys {
            stale_on_not_found: Some(StaleLimit::For(HOUR)),
            ..fresh(HOUR * 2)
        },
        upstreams: vec![
            contract("*.family.example", Vec::new(), fresh(HOUR * 7)),
            contract(
                "r.example",
                vec![
                    rule("releases/*:v*", releases),
                    rule("releases/*:v1", fresh(HOUR * 9)),
                    rule("**:sha256-*", fresh(HOUR * 5)),
                    rule("other/**", fresh(HOUR * 6)),
                ],
                patient,
            ),
            contract("own.family.example", Vec::new(), Keys::default()),
        ],
    }
}

#[test]
fn the_first_rule_that_fits_counts_then_the_upstream_then_all() {
    let settings = settings();
    for (upstream, repository, tag, freshness, seconds) in [
        ("r.example", "releases/app", "v1", Freshness::Immutable, 5.0),
        (
            "r.example",
            "releases/x/app",
            "v1",
            Freshness::For(HOUR),
            5.0,
        ),
        ("r.example", "releases/app", "1", Freshness::For(HOUR), 5.0),
        (
            "r.example",
            "other/x/app",
            "1",
            Freshness::For(HOUR * 6),
            5.0,
        ),
        ("r.example", "app", "latest", Freshness::For(HOUR), 5.0),
        (
            "a.family.example",
            "app",
            "1",
            Freshness::For(HOUR * 7),
            1.5,
        ),
        // A name in full stands before the pattern that it fits, and this one says nothing.
        (
            "own.family.example",
            "app",
            "1",
            Freshness::For(HOUR * 2),
            1.5,
        ),
        (
            "docker.io",
            "library/app",
            "1",
            Freshness::For(HOUR * 2),
            1.5,
        ),
    ] {
        let (origin, tag) = (origin(upstream, repository), tag.parse().unwrap());
        let policy = settings.policy(&origin, Visibility::Public, Subject::Tag(&tag));
        assert_eq!(policy.freshness, freshness, "{origin:?} {tag}");
        let within = Duration::from_secs_f64(seconds);
        assert_eq!(policy.answer_within, within, "{origin:?} {tag}");
        assert_eq!(policy.stale_on_not_found, StaleLimit::For(HOUR));
    }
}

#[test]
fn lists_have_the_rules_of_what_they_list() {
    let settings = settings();
    let digest = Digest::Sha256([7; 32]);
    for (repository, subject, freshness) in [
        ("app", Subject::Tags, HOUR),
        // A rule for some tags says nothing of their list.
        ("releases/app", Subject::Tags, HOUR),
        ("other/app", Subject::Tags, HOUR * 6),
        ("app", Subject::Referrers(&digest), HOUR * 5),
        ("other/app", Subject::Referrers(&digest), HOUR * 5),
    ] {
        let origin = origin("r.example", repository);
        let policy = settings.policy(&origin, Visibility::Public, subject);
        let expected = Freshness::For(freshness);
        assert_eq!(policy.freshness, expected, "{repository} {subject:?}");
    }
}

#[test]
fn lists_are_never_immutable() {
    let settings = Settings {
        keys: Keys {
            freshness: Some(Freshness::Immutable),
            ..Keys::default()
        },
        upstreams: Vec::new(),
    };
    let (digest, tag) = (Digest::Sha256([7; 32]), "latest".parse().unwrap());
    for (subject, freshness) in [
        (Subject::Tag(&tag), Freshness::Immutable),
        (Subject::Tags, Freshness::For(Duration::from_mins(10))),
        (
            Subject::Referrers(&digest),
            Freshness::For(Duration::from_mins(1)),
        ),
    ] {
        let policy = settings.policy(&origin("r.io", "app"), Visibility::Public, subject);
        assert_eq!(policy.freshness, freshness, "{subject:?}");
    }
}

#[test]
fn what_holds_when_nothing_is_said() {
    let tag = "1".parse().unwrap();
    for (visibility, freshness, denied) in [
        (
            Visibility::Public,
            Duration::from_mins(10),
            StaleLimit::For(HOUR * 24),
        ),
        (
            Visibility::Private,
            Duration::from_secs(5),
            StaleLimit::NEVER,
        ),
    ] {
        let policy =
            Settings::default().policy(&origin("r.io", "app"), visibility, Subject::Tag(&tag));
        let expected = Policy {
            freshness: Freshness::For(freshness),
            stale_on_unreachable: StaleLimit::Unlimited,
            stale_on_rate_limit: StaleLimit::Unlimited,
            stale_on_not_found: StaleLimit::NEVER,
            stale_on_denied: denied,
            answer_within: Duration::from_millis(1_500),
        };
        assert_eq!(policy, expected);
    }
}
