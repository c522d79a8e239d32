//! Redirects, and other addresses that content names: what we show does not travel, and encryption is not given up.

use http::header::WWW_AUTHENTICATE;
use larder::oci::MediaType;
use larder::upstream::{CredentialSource, Secret, SecretSource};
use serde_json::json;

use super::{LOGIN, expect_shown_nothing, has_login, logged_in, push, refusal, status};
use crate::cli::Larder;
use crate::support::fake::Builder;
use crate::support::{Bearer, FakeRegistry, Fault, Kind, TestProxy, noise};

const BOTH: [Kind; 4] = [
    Kind::ManifestHead,
    Kind::ManifestGet,
    Kind::BlobHead,
    Kind::BlobGet,
];

/// Registries that want a login: by a token, and at once.
fn guarded() -> [Builder; 2] {
    [
        FakeRegistry::builder().bearer().user(LOGIN.0, LOGIN.1),
        FakeRegistry::builder().basic(LOGIN.0, LOGIN.1),
    ]
}

/// Also GHSA-28r5-37g7-p6mp, GHSA-vh4v-2xq2-g5cg and CVE-2026-50151 of oras-go, go-containerregistry #2193,
/// CVE-2026-12566 and GHSA-78h6-3wp8-2542.
#[tokio::test]
async fn ghsa_xf85_363p_868w_no_authorization_follows_a_redirect_to_another_host() {
    for status in [301, 302, 303, 307, 308] {
        for builder in guarded() {
            let last = FakeRegistry::start().await;
            let image = push(&last, "app");
            let onward = format!("{}{{path}}", last.url());
            let middle = FakeRegistry::start().await;
            middle.inject(Fault::everywhere().redirect(status, onward));
            let onward = format!("{}{{path}}", middle.url());
            let away = Fault::on(BOTH).authorized().redirect(status, onward);
            let registry = builder.start().await;
            registry.inject(away);
            let proxy = logged_in(&registry).start().await;
            for path in [
                "/v2/app/manifests/1".to_owned(),
                format!("/v2/app/manifests/{}", image.digest),
                format!("/v2/app/blobs/{}", image.layers[0]),
            ] {
                assert_eq!(proxy.head(&path).await.status, 200, "{status} {path}");
                assert_eq!(super::status(&proxy, &path).await, 200, "{status} {path}");
            }
            assert!(registry.requests().iter().any(has_login));
            for place in [&middle, &last] {
                expect_shown_nothing(place);
            }
        }
    }
}

#[tokio::test]
async fn ghsa_xf85_363p_868w_who_is_behind_a_redirect_gets_no_login_for_asking() {
    for behind in guarded() {
        let behind = behind.start().await;
        push(&behind, "app");
        behind.repository("app").make_private();
        for builder in guarded() {
            behind.clear_log();
            let registry = builder.start().await;
            let onward = format!("{}{{path}}", behind.url());
            registry.inject(Fault::on(BOTH).authorized().redirect(307, onward));
            let proxy = logged_in(&registry).start().await;
            assert_ne!(status(&proxy, "/v2/app/manifests/1").await, 200);
            assert!(registry.requests().iter().any(has_login));
            // A token for anybody, at most.
            assert!(behind.count(Kind::ManifestGet) > 0);
            assert!(!behind.requests().iter().any(has_login));
            assert_eq!(behind.users().logins(), Default::default());
        }
    }
}

#[tokio::test]
async fn ghsa_xf85_363p_868w_encryption_is_not_given_up() {
    let open = FakeRegistry::start().await;
    let image = push(&open, "app");
    let registry = FakeRegistry::builder().tls().start().await;
    let onward = format!("{}{{path}}", open.url());
    registry.inject(Fault::on(BOTH).redirect(307, onward));
    let proxy = TestProxy::builder().upstream("up.test", &registry);
    let proxy = proxy.trusts(registry.ca_pem()).start().await;
    for path in [
        "/v2/app/manifests/1".to_owned(),
        format!("/v2/app/blobs/{}", image.layers[0]),
    ] {
        let reply = proxy.get(&path).await;
        assert_eq!(refusal(reply).await, (502, "DENIED".to_owned()), "{path}");
    }
    assert_eq!(open.connections(), 0);
}

#[tokio::test]
async fn ghsa_xf85_363p_868w_redirects_have_an_end() {
    let [one, two] = [FakeRegistry::start().await, FakeRegistry::start().await];
    for (from, to) in [(&one, &two), (&two, &one)] {
        let onward = format!("{}{{path}}", to.url());
        from.inject(Fault::everywhere().redirect(302, onward));
    }
    let proxy = TestProxy::of(&one).await;
    let reply = proxy.get("/v2/app/manifests/1").await;
    assert_eq!(refusal(reply).await.0, 502);
    assert_eq!(one.requests().len() + two.requests().len(), 11);
}

#[tokio::test]
async fn ghsa_xf85_363p_868w_a_token_service_that_redirects_sends_no_login_on() {
    let secret = || SecretSource::Value(Secret::new(LOGIN.1));
    let password = CredentialSource::Password {
        username: LOGIN.0.into(),
        password: secret(),
        next: None,
    };
    for source in [password, CredentialSource::IdentityToken(secret())] {
        for status in [301, 302, 303, 307, 308] {
            let thief = FakeRegistry::builder().user(LOGIN.0, LOGIN.1);
            let thief = thief.identity(LOGIN.0, LOGIN.1).start().await;
            // Its tokens would have the names of those of the registry.
            thief.tokens().without_token();
            let registry = FakeRegistry::builder().bearer().user(LOGIN.0, LOGIN.1);
            let registry = registry.identity(LOGIN.0, LOGIN.1).start().await;
            push(&registry, "app");
            registry.repository("app").make_private();
            let onward = format!("{}/token", thief.url());
            registry.inject(Fault::on(Kind::Token).redirect(status, onward));
            let proxy = TestProxy::builder().upstream("up.test", &registry);
            let proxy = proxy.credential("**", source.clone()).start().await;
            let found = super::status(&proxy, "/v2/app/manifests/1").await;
            assert_ne!(found, 200, "{status}");
            assert!(registry.users().logins().right > 0, "{source:?} {status}");
            // A form with a login in it is not sent on at all.
            for request in thief.requests() {
                assert_eq!(request.authorization(), None, "{request}");
                assert!(request.body.is_empty(), "{request}");
            }
        }
    }
}

#[tokio::test]
async fn ghsa_xf85_363p_868w_the_next_page_of_a_list_is_not_at_another_host() {
    let other = FakeRegistry::start().await;
    push(&other, "app");
    let registry = FakeRegistry::builder().basic(LOGIN.0, LOGIN.1);
    let registry = registry.start().await;
    push(&registry, "app");
    let next = format!("<{}/v2/app/tags/list?last=1>; rel=\"next\"", other.url());
    registry.inject(Fault::on(Kind::Tags).header("link", &next));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, LOGIN.1).unwrap();
    let known = Larder::knowing(&registry).and(&format!(
        "credentials = {{ username = '{}', password_file = '{}' }}",
        LOGIN.0,
        file.display()
    ));
    let done = known.run(&["tags", "app"]).await;
    assert_ne!(done.code, 0, "{done:?}");
    assert!(registry.requests().iter().any(has_login));
    assert_eq!(other.connections(), 0);
}

/// Also GHSA-742w-89gc-8m9c, GHSA-qvqc-4c52-x6qp, and GHSA-rp3h-jf77-q9p4 / CVE-2026-53495.
#[tokio::test]
async fn cve_2020_15157_urls_of_foreign_layers_are_not_followed() {
    let other = FakeRegistry::start().await;
    let layer = other.store(noise(1, 1_000));
    let url = format!("{}/storage/{layer}", other.url());
    let registry = FakeRegistry::builder().basic(LOGIN.0, LOGIN.1);
    let registry = registry.start().await;
    let repository = registry.repository("app");
    let config = repository.blob("{}");
    for (tag, media_type) in [
        (
            "1",
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        ),
        (
            "2",
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        ),
        ("3", "application/vnd.oci.image.layer.v1.tar+gzip"),
    ] {
        let config = json!({
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": config, "size": 2, "urls": [url],
        });
        let layer = json!({"mediaType": media_type, "digest": layer, "size": 1_000, "urls": [url]});
        let document = json!({
            "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST,
            "config": config, "layers": [layer],
        });
        let document = document.to_string();
        let digest = repository.manifest(MediaType::OCI_MANIFEST, document.clone());
        repository.tag(tag, digest);
        let proxy = logged_in(&registry).start().await;
        // The client may do with them what it likes: they are in the manifest as they were.
        let reply = proxy.get(&format!("/v2/app/manifests/{tag}")).await;
        assert_eq!(reply.body().await, document);
    }
    let proxy = logged_in(&registry).start().await;
    let path = format!("/v2/app/blobs/{layer}");
    assert_eq!(status(&proxy, &path).await, 404);
    assert_eq!(proxy.head(&path).await.status, 404);
    assert_eq!(registry.count(Kind::BlobGet), 1);
    assert_eq!(other.connections(), 0);
}

/// A challenge for a password from somebody who was not asked for one.
#[tokio::test]
async fn ghsa_xf85_363p_868w_storage_that_asks_for_a_password_gets_none() {
    let storage = FakeRegistry::start().await;
    storage.inject(
        Fault::on(Kind::Storage)
            .status(401)
            .header(WWW_AUTHENTICATE, "Basic realm=\"storage\""),
    );
    let own = Bearer::own();
    let registry = FakeRegistry::builder()
        .bearer_with(own)
        .user(LOGIN.0, LOGIN.1);
    let registry = registry.blobs_at(&storage, 307).start().await;
    let image = push(&registry, "app");
    registry.repository("app").make_private();
    let proxy = logged_in(&registry).start().await;
    let path = format!("/v2/app/blobs/{}", image.layers[0]);
    assert_ne!(status(&proxy, &path).await, 200);
    assert!(registry.requests().iter().any(has_login));
    expect_shown_nothing(&storage);
}
