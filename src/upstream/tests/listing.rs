//! Lists of a repository: pages, what registries put into them, and where they would send us.

use super::server::{Registry, Reply, Seen};
use super::*;
use crate::oci::{MediaType, Referrer};

/// Reads all pages of tags, as text.
async fn tags(upstream: &Upstream) -> Result<Option<Vec<String>>, UpstreamError> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let Some(page) = upstream.tags(&repository(), after.as_ref()).await? else {
            return Ok(None);
        };
        all.extend(page.tags.iter().map(ToString::to_string));
        after = match page.next {
            Some(next) => Some(next),
            None => return Ok(Some(all)),
        };
    }
}

async fn referrers(upstream: &Upstream) -> Result<Vec<Referrer>, UpstreamError> {
    upstream.referrers(&repository(), &digest(b"x")).await
}

fn query(seen: &Seen) -> &str {
    seen.target.split_once('?').map_or("", |(_, query)| query)
}

#[tokio::test]
async fn pages_are_followed_by_their_query() {
    for next in [
        "/v2/library/alpine/tags/list?last=b&n=2",
        "?last=b&n=2",
        "list?last=b&n=2",
        // Behind a gateway that has another path and another idea of the scheme.
        "http://HOST/mirror/v2/library/alpine/tags/list?last=b&n=2",
        "https://HOST/v2/library/alpine/tags/list?last=b&n=2",
    ] {
        let registry = Registry::start(move |seen| match query(seen) {
            "n=1000" => {
                let next = next.replace("HOST", seen.header("host").unwrap());
                Reply::ok(r#"{"tags":["b","a"]}"#).header("Link", &format!("<{next}>; rel=next"))
            }
            "last=b&n=2" => Reply::ok(r#"{"tags":["c"]}"#),
            _ => Reply::status(400),
        })
        .await;
        let found = tags(&upstream(&[registry.url()])).await.unwrap().unwrap();
        assert_eq!(found, ["b", "a", "c"], "{next}");
        let targets: Vec<String> = registry
            .seen()
            .into_iter()
            .map(|seen| seen.target)
            .collect();
        assert_eq!(
            targets,
            [
                "/v2/library/alpine/tags/list?n=1000",
                "/v2/library/alpine/tags/list?last=b&n=2"
            ],
            "{next}"
        );
    }
}

#[tokio::test]
async fn a_next_page_elsewhere_is_refused() {
    let other = Registry::start(|_| Reply::ok(r#"{"tags":["stolen"]}"#)).await;
    for (next, fault) in [
        (
            format!("{}/v2/library/alpine/tags/list?last=a", other.url()),
            "not of the same list",
        ),
        (
            "https://evil.example/v2/library/alpine/tags/list?last=a".into(),
            "not of the same list",
        ),
        (
            "/v2/other/alpine/tags/list?last=a".into(),
            "not of the same list",
        ),
        ("/v2/?last=a".into(), "not of the same list"),
        ("list".into(), "is the first one"),
        ("?n=1000".into(), "the same page"),
        (format!("?last={}", "a".repeat(5000)), "too long"),
        ("https://".into(), "no address"),
    ] {
        let link = format!("<{next}>; rel=\"next\"");
        let registry =
            Registry::start(move |_| Reply::ok(r#"{"tags":["a"]}"#).header("Link", &link)).await;
        let error = tags(&upstream(&[registry.url()])).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Protocol { .. }), "{error:?}");
        assert!(error.to_string().contains(fault), "{next}: {error}");
        assert_eq!(registry.seen().len(), 1, "{next}");
    }
    assert_eq!(other.seen().len(), 0);
}

#[tokio::test]
async fn a_page_that_names_itself_ends_the_list() {
    let registry =
        Registry::start(|_| Reply::ok(r#"{"tags":["a"]}"#).header("Link", "<?last=a>; rel=next"))
            .await;
    let error = tags(&upstream(&[registry.url()])).await.unwrap_err();
    assert!(error.to_string().contains("the same page"), "{error}");
    assert_eq!(registry.seen().len(), 2);
}

#[tokio::test]
async fn what_registries_list_as_tags() {
    for (body, found) in [
        (r#"{"name":"x","tags":["b","a"]}"#, Some(vec!["b", "a"])),
        (r#"{"tags":null}"#, Some(vec![])),
        ("{}", Some(vec![])),
        (
            r#"{"child":[],"manifest":{"sha256:x":{"tag":["1"]}},"tags":["1"]}"#,
            Some(vec!["1"]),
        ),
        (
            r#"{"tags":[null,"1","","sha256:77","a/b","\u001b[31m",7,"2"]}"#,
            Some(vec!["1", "2"]),
        ),
        (r#"{"tags":"1"}"#, None),
        ("<html>", None),
        ("", None),
    ] {
        let registry = Registry::start(move |_| Reply::ok(body)).await;
        let listed = tags(&upstream(&[registry.url()])).await;
        match found {
            Some(found) => assert_eq!(listed.unwrap().unwrap(), found, "{body}"),
            None => assert!(
                listed.unwrap_err().to_string().contains("a list of tags"),
                "{body}"
            ),
        }
    }
}

#[tokio::test]
async fn absent_lists_and_lists_that_are_not_given() {
    for (status, expected) in [
        (404, Ok(None)),
        (405, Err("refused with 405 Method Not Allowed")),
        (403, Err("refused with 403")),
    ] {
        let registry = Registry::start(move |_| Reply::status(status)).await;
        let listed = tags(&upstream(&[registry.url()])).await;
        match expected {
            Ok(found) => assert_eq!(listed.unwrap(), found, "{status}"),
            Err(told) => assert!(listed.unwrap_err().to_string().contains(told), "{status}"),
        }
    }
}

#[tokio::test]
async fn a_list_goes_on_where_it_began() {
    let mirror = Registry::start(|seen| match query(seen) {
        "n=1000" => Reply::ok(r#"{"tags":["a"]}"#).header("Link", "<?last=a>; rel=next"),
        _ => Reply::status(404),
    })
    .await;
    let registry = Registry::start(|_| Reply::ok(r#"{"tags":["other"]}"#)).await;
    let upstream = upstream(&[mirror.url(), registry.url()]);
    assert_eq!(tags(&upstream).await.unwrap(), None);
    assert_eq!((mirror.seen().len(), registry.seen().len()), (2, 0));
}

fn entry(byte: char, rest: &str) -> String {
    let digest = format!("sha256:{}", byte.to_string().repeat(64));
    format!(r#"{{"digest":"{digest}","size":7{rest}}}"#)
}

#[tokio::test]
async fn referrers_come_page_by_page_without_what_makes_no_sense() {
    let registry = Registry::start(|seen| {
        let (first, second) = (
            entry('a', r#","artifactType":"application/vnd.example.sbom""#),
            entry(
                'b',
                r#","mediaType":"application/vnd.x","artifactType":"\u001b""#,
            ),
        );
        if query(seen).is_empty() {
            Reply::ok(format!(r#"{{"manifests":[{first},7,{{"digest":"x"}}]}}"#))
                .header("Link", "<?next=2>; rel=next")
        } else {
            Reply::ok(format!(r#"{{"manifests":[{second}]}}"#))
        }
    })
    .await;
    let found = referrers(&upstream(&[registry.url()])).await.unwrap();
    let kinds: Vec<_> = found
        .iter()
        .map(|referrer| referrer.artifact_type.as_ref().map(ToString::to_string))
        .collect();
    assert_eq!(kinds, [Some("application/vnd.example.sbom".into()), None]);
    let path = format!("/v2/library/alpine/referrers/{}", digest(b"x"));
    assert_eq!(registry.seen()[0].target, path);
}

#[tokio::test]
async fn a_registry_without_the_question_is_asked_for_the_tag() {
    let tag = format!("sha256-{}", digest(b"x").hex());
    for status in [400, 404, 405, 501] {
        for (manifest, count) in [
            (
                Reply::ok(format!(r#"{{"manifests":[{}]}}"#, entry('a', ""))),
                1,
            ),
            (
                Reply::ok(format!(
                    r#"{{"mediaType":"{}","manifests":[{}]}}"#,
                    MediaType::DOCKER_LIST,
                    entry('a', "")
                )),
                0,
            ),
            (Reply::ok(r#"{"layers":[]}"#), 0),
            (Reply::status(404), 0),
        ] {
            let registry = Registry::start(move |seen| {
                if seen.target.contains("/referrers/") {
                    Reply::status(status)
                } else {
                    manifest.clone()
                }
            })
            .await;
            let upstream = upstream(&[registry.url()]);
            let (by_api, by_tag) = (
                format!("GET /v2/library/alpine/referrers/{}", digest(b"x")),
                format!("GET /v2/library/alpine/manifests/{tag}"),
            );
            for _ in 0..2 {
                let found = referrers(&upstream).await.unwrap();
                assert_eq!(found.len(), count, "{status}");
            }
            // The second time it is known that the question is not there.
            let asked = [by_api.as_str(), by_tag.as_str(), by_tag.as_str()];
            assert_eq!(registry.log(), asked, "{status}");
        }
    }
}

#[tokio::test]
async fn what_one_repository_lacks_says_nothing_of_the_question() {
    const UNKNOWN: &str = r#"{"errors":[{"code":"NAME_UNKNOWN","message":"no such repository"}]}"#;
    let answers: [fn(usize) -> Reply; 2] = [
        // An answer before shows that the question is there.
        |count| match count {
            0 => Reply::ok(r#"{"manifests":[]}"#),
            _ => Reply::status(404),
        },
        |_| Reply::status(404).body(UNKNOWN),
    ];
    for answer in answers {
        let count = Counter::default();
        let registry = Registry::start(move |seen| {
            if seen.target.contains("/referrers/") {
                answer(count.next())
            } else {
                Reply::status(404)
            }
        })
        .await;
        let upstream = upstream(&[registry.url()]);
        for _ in 0..4 {
            assert_eq!(referrers(&upstream).await.unwrap().len(), 0);
        }
        let log = registry.log();
        let by_api = log.iter().filter(|line| line.contains("/referrers/"));
        assert_eq!(by_api.count(), 4, "{log:?}");
    }
}

#[tokio::test]
async fn referrers_have_an_end() {
    let count = Counter::default();
    let registry = Registry::start(move |_| {
        let next = format!("<?next={}>; rel=next", count.next());
        Reply::ok(r#"{"manifests":[]}"#).header("Link", &next)
    })
    .await;
    let error = referrers(&upstream(&[registry.url()])).await.unwrap_err();
    assert!(error.to_string().contains("more than 100 pages"), "{error}");
    assert_eq!(registry.seen().len(), 100);

    let count = Counter::default();
    let registry = Registry::start(move |_| {
        let padding = " ".repeat(5 << 20);
        let next = format!("<?next={}>; rel=next", count.next());
        Reply::ok(format!(r#"{{"manifests":[]}}{padding}"#)).header("Link", &next)
    })
    .await;
    let error = referrers(&upstream(&[registry.url()])).await.unwrap_err();
    assert!(matches!(error, UpstreamError::TooLarge { .. }), "{error:?}");
}

#[tokio::test]
async fn tags_have_an_end_whatever_is_in_their_pages() {
    let count = Counter::default();
    let registry = Registry::start(move |_| {
        let nothing = " ".repeat(6 << 20);
        let next = format!("<?next={}>; rel=next", count.next());
        Reply::ok(format!(r#"{{"tags":[]}}{nothing}"#)).header("Link", &next)
    })
    .await;
    let error = tags(&upstream(&[registry.url()])).await.unwrap_err();
    assert!(matches!(error, UpstreamError::TooLarge { .. }), "{error:?}");
    assert_eq!(registry.seen().len(), 11);
}

#[tokio::test]
async fn small_blobs_are_verified_and_small() {
    let wrong = digest(b"other");
    let registry = Registry::start(|seen| {
        if seen.target.ends_with(&"0".repeat(64)) {
            Reply::status(404)
        } else {
            Reply::ok("small")
        }
    })
    .await;
    let upstream = upstream(&[registry.url()]);
    let blob =
        async |digest: Digest, limit| upstream.small_blob(&repository(), &digest, limit).await;
    assert_eq!(blob(digest(b"small"), 5).await.unwrap().unwrap(), "small");
    assert_eq!(blob(Digest::Sha256([0; 32]), 5).await.unwrap(), None);
    let error = blob(digest(b"small"), 4).await.unwrap_err();
    assert!(matches!(error, UpstreamError::TooLarge { .. }), "{error:?}");
    let error = blob(wrong, 5).await.unwrap_err();
    assert!(error.to_string().contains("something else"), "{error}");
}
