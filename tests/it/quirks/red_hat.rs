//! Red Hat's registry that lets anybody in.

use http::Method;
use larder::oci::MediaType;

use super::{expect_absence, pull, push, refusal};
use crate::support::{FakeRegistry, TestProxy};

#[tokio::test]
async fn red_hat_access_calls_manifests_plain_text() {
    let registry = FakeRegistry::red_hat_access().start().await;
    let image = push(&registry, "ubi9/ubi", "9.4");
    let proxy = TestProxy::of(&registry).await;
    pull(&proxy, "ubi9/ubi", "9.4", &image).await;
    expect_absence(&proxy, "ubi9/ubi", "none").await;
}

#[tokio::test]
async fn red_hat_access_manifests_of_schema_1_are_refused_with_a_reason() {
    let registry = FakeRegistry::red_hat_access().start().await;
    let old = r#"{"schemaVersion":1,"name":"rhel7","tag":"7","fsLayers":[],"history":[],"signatures":[]}"#;
    let rhel = registry.repository("rhel7");
    rhel.tag("7", rhel.manifest(MediaType::DOCKER_SCHEMA1_SIGNED, old));
    let proxy = TestProxy::of(&registry).await;
    for accept in [MediaType::DOCKER_SCHEMA1_SIGNED, MediaType::OCI_MANIFEST] {
        let client = proxy.client();
        let ask = client.request(Method::GET, "/v2/rhel7/manifests/7");
        let reply = ask.header("accept", accept).send().await;
        let expected = (404, "MANIFEST_UNKNOWN".to_owned());
        assert_eq!(refusal(reply).await, expected, "{accept}");
    }
}
