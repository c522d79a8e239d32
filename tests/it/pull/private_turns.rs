//! Whether a repository is public: what it costs to know, and what happens when it changes.

use std::time::Duration;

use http::Method;

use super::private::{elsewhere, has_login, larder, registry, status};
use crate::support::fake::{Log, Shown};
use crate::support::{FakeRegistry, Fault, Image, Kind, TestProxy, noise, within};

const DAY: Duration = Duration::from_hours(24);
const SECOND: Duration = Duration::from_secs(1);
/// For so long those who were refused are refused without asking again.
const REFUSAL_COUNTS: Duration = Duration::from_mins(10);

/// Counts the HEADs that came with a token that anybody gets.
fn probes(log: &Log) -> usize {
    let is_probe = |shown: &Shown| matches!(shown, Shown::Token(grant) if grant.user().is_none());
    let probes = log
        .requests()
        .iter()
        .filter(|request| request.method == Method::HEAD && is_probe(&request.shown));
    probes.count()
}

/// Asks, for a client on another machine, until that has this status: asking the registry goes on behind answers.
async fn becomes(proxy: &TestProxy, path: &str, expected: u16) {
    let asking = async { while status(proxy, path).await != expected {} };
    within("another status", asking).await;
}

#[tokio::test]
async fn a_repository_is_asked_about_once_a_day() {
    let registry = registry().await;
    let image = Image::with_layers([noise(1, 1000)]).push_as(&registry.repository("app"), "1");
    let manifest = format!("/v2/app/manifests/{}", image.digest);
    let paths = [&manifest, &format!("/v2/app/blobs/{}", image.layers[0])];
    let mut proxy = larder(&registry).await;
    let cold = (0..20).map(|index| status(&proxy, paths[index % 2]));
    let cold = futures_util::future::join_all(cold).await;
    assert!(cold.iter().all(|status| *status == 200), "{cold:?}");
    assert_eq!(probes(&registry.log()), 1);
    proxy.advance(DAY - SECOND);
    proxy = proxy.restart().await;
    registry.clear_log();
    for path in paths {
        assert_eq!(status(&proxy, path).await, 200);
    }
    assert_eq!(registry.lines(), Vec::<String>::new());
    // Nobody waits for the question of the next day.
    proxy.advance(SECOND);
    let gate = registry.inject(Fault::everywhere().stall_before_headers());
    for _ in 0..3 {
        for path in paths {
            let reply = elsewhere(&proxy, Method::GET, path).await;
            assert_eq!(reply.header("cache-status"), Some("larder; hit"));
        }
    }
    gate.open();
    registry.wait_for(|log| probes(log) == 1).await;
    for path in paths {
        assert_eq!(status(&proxy, path).await, 200);
    }
    assert_eq!(probes(&registry.log()), 1, "{:#?}", registry.lines());
    assert_eq!(registry.count([Kind::ManifestGet, Kind::BlobGet]), 0);
}

#[tokio::test]
async fn a_repository_that_turns_private_is_no_longer_served_to_others() {
    let registry = registry().await;
    let repository = registry.repository("app");
    let image = Image::with_layers([noise(1, 1000)]).push_as(&repository, "1");
    let paths = [
        format!("/v2/app/manifests/{}", image.digest),
        format!("/v2/app/blobs/{}", image.layers[0]),
        "/v2/app/manifests/1".to_owned(),
    ];
    let proxy = larder(&registry).await;
    for path in &paths {
        assert_eq!(status(&proxy, path).await, 200);
    }
    repository.make_private();
    assert_eq!(status(&proxy, &paths[0]).await, 200);
    proxy.advance(DAY);
    becomes(&proxy, &paths[0], 403).await;
    for path in &paths {
        assert_eq!(status(&proxy, path).await, 403, "{path}");
    }
    // Here it is still had, for a question and no transfer; the login has not seen the tag yet.
    registry.clear_log();
    for path in &paths[..2] {
        assert_eq!(proxy.get(path).await.status, 200, "{path}");
    }
    assert_eq!(registry.count([Kind::ManifestGet, Kind::BlobGet]), 0);
    assert_eq!(proxy.get(&paths[2]).await.status, 200);
}

#[tokio::test]
async fn a_repository_that_turns_public_is_served_to_others() {
    let registry = registry().await;
    let repository = registry.repository("app");
    let image = Image::with_layers([noise(1, 1000)]).push_as(&repository, "1");
    repository.make_private();
    let path = format!("/v2/app/manifests/{}", image.digest);
    let proxy = larder(&registry).await;
    assert_eq!(proxy.get(&path).await.status, 200);
    assert_eq!(status(&proxy, &path).await, 403);
    repository.make_public();
    proxy.advance(REFUSAL_COUNTS - SECOND);
    assert_eq!(status(&proxy, &path).await, 403);
    proxy.advance(SECOND);
    assert_eq!(status(&proxy, &path).await, 200);
    assert_eq!(proxy.get(&path).await.status, 200);
    assert_eq!(registry.count(Kind::ManifestGet), 1);
}

#[tokio::test]
async fn a_private_repository_is_asked_about_again_for_those_who_were_refused_alone() {
    let registry = registry().await;
    let repository = registry.repository("app");
    let image = Image::with_layers([noise(1, 1000)]).push_as(&repository, "1");
    repository.make_private();
    let path = format!("/v2/app/manifests/{}", image.digest);
    let proxy = larder(&registry).await;
    assert_eq!(proxy.get(&path).await.status, 200);
    proxy.advance(DAY - SECOND * 2);
    for is_asked in [true, false] {
        registry.clear_log();
        assert_eq!(proxy.get(&path).await.status, 200);
        assert_eq!(registry.lines(), Vec::<String>::new());
        assert_eq!(status(&proxy, &path).await, 403);
        assert_eq!(probes(&registry.log()) > 0, is_asked);
        proxy.advance(SECOND);
    }
}

#[tokio::test]
async fn what_is_pushed_after_it_was_asked_for_is_served_within_minutes() {
    // As Docker Hub and GHCR do, for what does not exist.
    let registry = FakeRegistry::builder().bearer().basic("acme", "secret");
    let registry = registry.hides_absence(401).start().await;
    let proxy = larder(&registry).await;
    assert_eq!(status(&proxy, "/v2/org/new/manifests/1").await, 403);
    Image::with_layers([noise(1, 1000)]).push_as(&registry.repository("org/new"), "1");
    proxy.advance(REFUSAL_COUNTS);
    assert_eq!(status(&proxy, "/v2/org/new/manifests/1").await, 200);
}

#[tokio::test]
async fn the_last_word_counts_while_the_registry_cannot_be_asked() {
    let registry = registry().await;
    let mut paths = Vec::new();
    for name in ["open", "team"] {
        let repository = registry.repository(name);
        let image = Image::with_layers([noise(1, 1000)]).push(&repository);
        paths.push(format!("/v2/{name}/manifests/{}", image.digest));
    }
    registry.repository("team").make_private();
    let mut proxy = larder(&registry).await;
    for path in &paths {
        assert_eq!(proxy.get(path).await.status, 200);
    }
    registry.stop().await;
    proxy.advance(DAY * 30);
    for _ in 0..2 {
        for (path, expected) in paths.iter().zip([200, 403]) {
            assert_eq!(status(&proxy, path).await, expected, "{path}");
            assert_eq!(proxy.get(path).await.status, 200, "{path}");
        }
        proxy = proxy.restart().await;
    }
    // Of what nothing is known, others hear that the registry is not there.
    let unknown = "/v2/other/manifests/1";
    assert_eq!(status(&proxy, unknown).await, 502);
}

#[tokio::test]
async fn an_old_word_brings_nothing_by_the_login_while_it_cannot_be_renewed() {
    for trouble in [503, 429] {
        let registry = registry().await;
        let repository = registry.repository("app");
        let layers = [noise(1, 1000), noise(2, 1000)];
        let image = Image::with_layers(layers).push_as(&repository, "1");
        let here = [
            format!("/v2/app/manifests/{}", image.digest),
            format!("/v2/app/blobs/{}", image.layers[0]),
            "/v2/app/manifests/1".to_owned(),
        ];
        let missing = format!("/v2/app/blobs/{}", image.layers[1]);
        let proxy = larder(&registry).await;
        for path in &here {
            assert_eq!(status(&proxy, path).await, 200, "{path}");
        }
        repository.make_private();
        proxy.advance(DAY * 2);
        registry.clear_log();
        let questions = Fault::on([Kind::ManifestHead, Kind::BlobHead]).status(trouble);
        registry.inject(questions);
        for _ in 0..2 {
            for path in &here {
                assert_eq!(status(&proxy, path).await, 200, "{trouble}: {path}");
                assert_eq!(proxy.get(path).await.status, 200, "{trouble}: {path}");
            }
            assert_ne!(status(&proxy, &missing).await, 200, "{trouble}");
        }
        let requests = registry.requests();
        assert!(!requests.iter().any(has_login), "{:#?}", registry.lines());
        // The registry is heard again, and says what it is now.
        registry.clear_faults();
        let proxy = proxy.restart().await;
        for path in here.iter().chain([&missing]) {
            assert_eq!(status(&proxy, path).await, 403, "{trouble}: {path}");
        }
    }
}

#[tokio::test]
async fn whether_it_is_public_is_asked_once_when_the_registry_is_in_trouble() {
    let registry = registry().await;
    let image = Image::with_layers([noise(1, 1000)]).push(&registry.repository("app"));
    let proxy = larder(&registry).await;
    registry.inject(Fault::on(Kind::ManifestHead).status(503));
    let path = format!("/v2/app/manifests/{}", image.digest);
    assert_eq!(proxy.get(&path).await.status, 200);
    assert_eq!(registry.count(Kind::ManifestHead), 1);
}

#[tokio::test]
async fn what_is_hidden_behind_404_is_private() {
    let registry = FakeRegistry::builder()
        .bearer()
        .basic("acme", "secret")
        .hides_absence(404);
    let registry = registry.start().await;
    let repository = registry.repository("app");
    let image = Image::with_layers([noise(1, 1000)]).push_as(&repository, "1");
    let paths = [
        format!("/v2/app/manifests/{}", image.digest),
        format!("/v2/app/blobs/{}", image.layers[0]),
    ];
    let proxy = larder(&registry).await;
    // What somebody else misses closes no repository.
    assert_eq!(status(&proxy, "/v2/app/manifests/none").await, 403);
    for path in &paths {
        assert_eq!(status(&proxy, path).await, 200, "{path}");
    }
    assert_eq!(status(&proxy, "/v2/app/manifests/none").await, 404);
    repository.make_private();
    proxy.advance(DAY);
    becomes(&proxy, &paths[0], 403).await;
    // From now on nothing goes out to others before the registry was asked.
    for path in &paths {
        assert_eq!(status(&proxy, path).await, 403, "{path}");
        assert_eq!(proxy.get(path).await.status, 200, "{path}");
    }
    proxy.advance(DAY);
    for path in &paths {
        assert_eq!(status(&proxy, path).await, 403, "{path}");
    }
    repository.make_public();
    proxy.advance(Duration::from_mins(1));
    for path in &paths {
        assert_eq!(status(&proxy, path).await, 200, "{path}");
    }
}
