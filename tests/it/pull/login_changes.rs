//! Logins that are wrong, or change while larder runs.

use std::path::Path;
use std::time::Duration;

use larder::upstream::{CredentialSource, SecretSource};

use crate::support::fake::Builder;
use crate::support::{FakeRegistry, Image, Kind, TestProxy, noise, within};

/// How often a wrong password may be seen before it is left alone: each of two refusals may have been asked about once
/// more, to be sure that it is about the password.
const MOST_WRONG: usize = 4;
const SUSPENDED: &str = r#"upstream_login_suspended{upstream="up.test",login="user acme"}"#;

/// Adds an image that only users see.
fn push_private(registry: &FakeRegistry, name: &str) {
    let repository = registry.repository(name);
    Image::with_layers([noise(1, 1_000)]).push_as(&repository, "1");
    repository.make_private();
}

/// A larder that logs in with the password in a file.
async fn larder(registry: &FakeRegistry, file: &Path) -> TestProxy {
    let source = CredentialSource::Password {
        username: "acme".into(),
        password: SecretSource::File(file.to_owned()),
        next: None,
    };
    let proxy = TestProxy::builder().upstream("up.test", registry);
    let proxy = proxy.credential("**", source).limits(|limits| {
        limits.same_token = Duration::from_millis(1);
        limits.login_file = Duration::ZERO;
    });
    proxy.start().await
}

async fn status(proxy: &TestProxy, name: &str) -> u16 {
    let reply = proxy.get(&format!("/v2/{name}/manifests/1")).await;
    let status = reply.status.as_u16();
    reply.body().await;
    status
}

/// Registries that want tokens, and those that want the password itself.
fn kinds() -> [(&'static str, Builder); 2] {
    [
        ("tokens", FakeRegistry::builder().bearer()),
        ("passwords", FakeRegistry::builder()),
    ]
}

/// Puts a password where Kubernetes puts secrets: in a new folder, to which a link leads that is swapped.
fn mount(folder: &Path, version: &str, password: &str) {
    std::fs::create_dir(folder.join(version)).unwrap();
    std::fs::write(folder.join(version).join("password"), password).unwrap();
    std::os::unix::fs::symlink(version, folder.join("..data_tmp")).unwrap();
    std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
}

#[tokio::test]
async fn a_password_whose_link_is_swapped_is_read_again() {
    for (name, registry) in kinds() {
        let registry = registry.basic("acme", "old").start().await;
        for repository in ["team/one", "team/two"] {
            push_private(&registry, repository);
        }
        let folder = tempfile::tempdir().unwrap();
        mount(folder.path(), "..1", "old");
        let file = folder.path().join("password");
        std::os::unix::fs::symlink("..data/password", &file).unwrap();
        let proxy = larder(&registry, &file).await;
        assert_eq!(status(&proxy, "team/one").await, 200, "{name}");
        registry.users().set_password("acme", "new");
        registry.tokens().revoke_all();
        mount(folder.path(), "..2", "new");
        // The old one may still be shown once: the file is looked at again when it is refused.
        assert_eq!(status(&proxy, "team/two").await, 200, "{name}");
        assert!(registry.users().logins().wrong <= 2, "{name}");
        assert_eq!(proxy.counted(SUSPENDED), Some(0), "{name}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_left_alone_until_its_file_changes() {
    for (name, registry) in kinds() {
        let registry = registry.basic("acme", "right").start().await;
        let private: Vec<_> = (0..20).map(|number| format!("team/app{number}")).collect();
        for repository in &private {
            push_private(&registry, repository);
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "wrong").unwrap();
        let proxy = larder(&registry, &file).await;
        // The registry says that it is wrong, and once it is left alone, larder does.
        let mut told = Vec::new();
        for repository in &private {
            told.push(status(&proxy, repository).await);
        }
        let refused = told.iter().take_while(|status| **status == 404).count();
        assert!((1..=MOST_WRONG).contains(&refused), "{name}: {told:?}");
        assert!(
            told[refused..].iter().all(|s| *s == 502),
            "{name}: {told:?}"
        );
        let all_at_once = private.iter().map(|repository| status(&proxy, repository));
        let all_at_once = futures_util::future::join_all(all_at_once).await;
        let is_told = |status: &u16| matches!(status, 404 | 502);
        assert!(all_at_once.iter().all(is_told), "{name}: {all_at_once:?}");
        let wrong = registry.users().logins().wrong;
        assert!((1..=MOST_WRONG).contains(&wrong), "{name}: {wrong}");
        assert_eq!(proxy.counted(SUSPENDED), Some(1), "{name}");

        // Who changes the password need not wait for the rest to end.
        std::fs::write(&file, "right, and longer").unwrap();
        registry.users().set_password("acme", "right, and longer");
        within("the new password", async {
            while status(&proxy, &private[0]).await != 200 {}
        })
        .await;
        assert_eq!(registry.users().logins().wrong, wrong, "{name}");
        assert_eq!(proxy.counted(SUSPENDED), Some(0), "{name}");
    }
}

#[tokio::test]
async fn a_wrong_password_keeps_nobody_from_public_images() {
    let registry = FakeRegistry::builder().bearer().basic("acme", "right");
    let registry = registry.start().await;
    let proxy = TestProxy::builder().upstream("up.test", &registry);
    let proxy = proxy.login("acme", "wrong").start().await;
    for number in 0..10 {
        let name = format!("open/app{number}");
        let image = Image::with_layers([noise(number, 1_000)]);
        let image = image.push_as(&registry.repository(&name), "1");
        assert_eq!(status(&proxy, &name).await, 200, "{name}");
        let layer = format!("/v2/{name}/blobs/{}", image.layers[0]);
        assert_eq!(proxy.get(&layer).await.body().await, noise(number, 1_000));
    }
    let logins = registry.users().logins();
    assert!(logins.wrong <= MOST_WRONG, "{logins:?}");
    assert_eq!(proxy.counted(SUSPENDED), Some(1));
    assert!(registry.count(Kind::Token) >= 10);
}
