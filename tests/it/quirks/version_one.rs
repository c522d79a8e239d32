//! Registries that speak version 1 of the API only. larder has no client for it yet: what counts until then is that the
//! answer is prompt and honest, a 404 that the registry itself gave.

use super::expect_absence;
use crate::support::{FakeRegistry, TestProxy};

#[tokio::test]
async fn pulp_v1_has_nothing_for_version_2() {
    let registry = FakeRegistry::pulp_v1().start().await;
    super::push(&registry, "rhel6", "6.9");
    let proxy = TestProxy::of(&registry).await;
    expect_absence(&proxy, "rhel6", "6.9").await;
    assert_eq!(proxy.head("/v2/rhel6/manifests/6.9").await.status, 404);
    let paths: Vec<_> = registry
        .requests()
        .into_iter()
        .map(|request| request.path)
        .collect();
    assert!(
        paths.iter().all(|path| path.starts_with("/v2/")),
        "{paths:?}"
    );
}
