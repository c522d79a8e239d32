//! Bytes are shared, sight is not: a digest that is here opens no repository that does not have it.

use http::StatusCode;
use larder::store::BlobStore;
use larder::upstream::{CredentialSource, SecretSource};

use crate::support::fake::Request;
use crate::support::proxy::TestProxyBuilder;
use crate::support::{FakeRegistry, Fault, Image, Kind, TestProxy, noise, within};

#[tokio::test]
async fn a_layer_of_another_repository_costs_one_head_and_no_transfer() {
    let registry = FakeRegistry::start().await;
    let content = noise(1, 300_000);
    let digest = registry.repository("one").blob(content.clone());
    registry.repository("two").blob(content.clone());
    let proxy = TestProxy::of(&registry).await;
    for repository in ["one", "two", "two"] {
        let reply = proxy.get(&format!("/v2/{repository}/blobs/{digest}")).await;
        assert_eq!(reply.body().await, content);
    }
    assert_eq!(registry.count(Kind::BlobGet), 1);
    assert_eq!(
        registry.lines(),
        [
            format!("GET one/blobs/{digest}"),
            format!("HEAD two/blobs/{digest}")
        ]
    );
}

#[tokio::test]
async fn what_is_here_for_one_repository_is_not_there_for_another() {
    let registry = FakeRegistry::start().await;
    let image = Image::with_layers([noise(1, 1000)]).push(&registry.repository("one"));
    registry.repository("two").blob(noise(2, 10));
    let proxy = TestProxy::of(&registry).await;
    let layer = image.layers[0];
    for (repository, status) in [("one", 200), ("two", 404)] {
        for path in [
            format!("manifests/{}", image.digest),
            format!("blobs/{layer}"),
        ] {
            assert_eq!(
                proxy.get(&format!("/v2/{repository}/{path}")).await.status,
                status,
                "{repository}/{path}"
            );
            assert_eq!(
                proxy.head(&format!("/v2/{repository}/{path}")).await.status,
                status,
                "{repository}/{path}"
            );
        }
    }
    // One registry's answer says nothing of another's.
    let other = FakeRegistry::start().await;
    let proxy = TestProxy::builder()
        .upstream("a.test", &registry)
        .upstream("b.test", &other)
        .start()
        .await;
    assert_eq!(
        proxy
            .get(&format!("/v2/a.test/one/blobs/{layer}"))
            .await
            .status,
        200
    );
    assert_eq!(
        proxy
            .get(&format!("/v2/b.test/one/blobs/{layer}"))
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn a_fill_of_one_repository_is_joined_by_another_after_a_head() {
    let registry = FakeRegistry::start().await;
    let content = noise(1, 3_000_000);
    let digest = registry.repository("one").blob(content.clone());
    registry.repository("two").blob(content.clone());
    registry.repository("three").blob(noise(3, 10));
    let gate = registry.inject(Fault::on(Kind::BlobGet).stall_after(1_000_000));
    let proxy = TestProxy::of(&registry).await;
    let one = proxy.get(&format!("/v2/one/blobs/{digest}")).await;
    gate.reached().await;
    let two = proxy.get(&format!("/v2/two/blobs/{digest}")).await;
    assert_eq!(
        proxy.get(&format!("/v2/three/blobs/{digest}")).await.status,
        404
    );
    gate.open();
    assert_eq!(one.body().await, content);
    assert_eq!(two.body().await, content);
    assert_eq!(
        (
            registry.count(Kind::BlobGet),
            registry.count(Kind::BlobHead)
        ),
        (1, 2)
    );
}

#[tokio::test]
async fn a_layer_is_never_served_as_a_manifest() {
    let registry = FakeRegistry::start().await;
    let image = Image::with_layers([noise(1, 1000)]).push(&registry.repository("one"));
    let proxy = TestProxy::of(&registry).await;
    let layer = image.layers[0];
    assert_eq!(
        proxy.get(&format!("/v2/one/blobs/{layer}")).await.status,
        200
    );
    assert_eq!(
        proxy
            .get(&format!("/v2/one/manifests/{layer}"))
            .await
            .status,
        404
    );
}

/// Asks for a blob through two repositories: the registry refuses it to the first one while the second waits for the same
/// fill. Returns what both got.
async fn refused_to_one(
    configure: impl FnOnce(TestProxyBuilder) -> TestProxyBuilder,
) -> [StatusCode; 2] {
    let registry = FakeRegistry::start().await;
    let content = noise(1, 300_000);
    let digest = registry.repository("one").blob(content.clone());
    registry.repository("two").blob(content);
    let refusal = Fault::on(Kind::BlobGet)
        .in_repository("one")
        .stall_before_headers()
        .status(403);
    let gate = registry.inject(refusal);
    let proxy = configure(TestProxy::builder().upstream("up.test", &registry));
    let proxy = proxy.start().await;
    let ask = |repository: &str| {
        let (client, path) = (proxy.client(), format!("/v2/{repository}/blobs/{digest}"));
        tokio::spawn(async move { client.get(&path).send().await.status })
    };
    let one = ask("one");
    gate.reached().await;
    let two = ask("two");
    let is_head_of_two = |request: &Request| request.to_string().starts_with("HEAD two/");
    registry
        .wait_for(|log| log.requests().iter().any(is_head_of_two))
        .await;
    gate.open();
    [one.await.unwrap(), two.await.unwrap()]
}

#[tokio::test]
async fn a_refusal_for_one_repository_is_not_told_to_another() {
    let got = refused_to_one(|proxy| proxy).await;
    assert_eq!(got, [StatusCode::NOT_FOUND, StatusCode::OK]);
}

#[tokio::test]
async fn a_login_that_fails_for_one_repository_fails_no_other() {
    let absent = tempfile::tempdir().unwrap().path().join("password");
    let source = CredentialSource::Password {
        username: "acme".into(),
        password: SecretSource::File(absent),
        next: None,
    };
    let got = refused_to_one(|proxy| proxy.credential("one", source)).await;
    assert_eq!(got, [StatusCode::BAD_GATEWAY, StatusCode::OK]);
}

#[tokio::test]
async fn what_comes_for_a_repository_while_it_is_looked_for_costs_it_no_question() {
    let registry = FakeRegistry::start().await;
    let image = Image::with_layers([noise(1, 300_000)]).push(&registry.repository("app"));
    let proxy = TestProxy::of(&registry).await;
    for (path, digest) in [
        (format!("/v2/app/manifests/{}", image.digest), image.digest),
        (
            format!("/v2/app/blobs/{}", image.layers[0]),
            image.layers[0],
        ),
    ] {
        let mut held = proxy.blobs().hold_next_size();
        let (client, same) = (proxy.client(), path.clone());
        // It has seen that nothing is known of it, and is about to see whether it is here.
        let late = tokio::spawn(async move { client.get(&same).send().await.body().await });
        within("the look", held.reached()).await;
        let content = proxy.get(&path).await.body().await;
        let kept = async {
            while proxy.blobs().size(&digest).await.unwrap().is_none() {
                tokio::task::yield_now().await;
            }
        };
        within("the content in the store", kept).await;
        held.release();
        assert_eq!(late.await.unwrap(), content);
    }
    assert_eq!(
        registry.lines(),
        [
            format!("GET app/manifests/{}", image.digest),
            format!("GET app/blobs/{}", image.layers[0]),
        ]
    );
}
