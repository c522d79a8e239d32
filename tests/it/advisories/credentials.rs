//! Logins go to whom they are for, and to nobody else: no token service, no registry, no mirror, no log.

use std::process::Command;

use larder::upstream::{CredentialSource, Secret, SecretSource};
use prometheus_client::encoding::text;

use super::{
    LOGIN, expect_shown_nothing, has_login, is_written_below, logged_in, push, status, under,
};
use crate::cli::Larder;
use crate::support::fake::basic;
use crate::support::{Bearer, FakeRegistry, Fault, ForwardProxy, Kind, TestProxy};

fn password() -> CredentialSource {
    CredentialSource::Password {
        username: LOGIN.0.into(),
        password: SecretSource::Value(Secret::new(LOGIN.1)),
        next: None,
    }
}

/// Also CVE-2026-33540.
#[tokio::test]
async fn ghsa_3p65_76g6_3w7r_no_login_goes_to_a_realm_of_another_host() {
    let secret = || SecretSource::Value(Secret::new(LOGIN.1));
    for source in [
        password(),
        CredentialSource::IdentityToken(secret()),
        CredentialSource::RegistryToken(secret()),
    ] {
        let thief = FakeRegistry::builder()
            .user(LOGIN.0, LOGIN.1)
            .identity(LOGIN.0, LOGIN.1)
            .start()
            .await;
        let bearer = Bearer::issued_by(&thief);
        let registry = FakeRegistry::builder().bearer_with(bearer).start().await;
        push(&registry, "open");
        push(&registry, "team/app");
        registry.repository("team/app").make_private();
        let proxy = TestProxy::builder().upstream("up.test", &registry);
        let proxy = proxy.credential("**", source.clone()).start().await;
        // A token for the registry was shown, to the registry, and refused; the others were not shown at all.
        let is_for_registry = matches!(source, CredentialSource::RegistryToken(_));
        let closed = if is_for_registry { 404 } else { 502 };
        // What everybody may see is still had, with a token for everybody.
        for (path, expected) in [
            ("/v2/open/manifests/1", 200),
            ("/v2/team/app/manifests/1", closed),
        ] {
            assert_eq!(status(&proxy, path).await, expected, "{source:?} {path}");
        }
        expect_shown_nothing(&thief);
        for request in registry.requests() {
            assert!(!has_login(&request), "{source:?} {request}");
        }
    }
}

#[tokio::test]
async fn ghsa_3p65_76g6_3w7r_a_realm_is_of_the_registry_or_of_its_own_domain() {
    for (host, realm, may) in [
        ("registry.acme.com", "registry.acme.com", true),
        ("registry.acme.com", "auth.acme.com", true),
        ("registry.acme.com", "acme.com", true),
        ("registry.acme.co.uk", "auth.acme.co.uk", true),
        ("registry.acme.com", "auth.evil.com", false),
        ("registry.acme.com", "registry.acme.com.evil.net", false),
        ("registry.acme.com", "evilacme.com", false),
        ("registry.acme.co.uk", "evil.co.uk", false),
        ("acme.github.io", "evil.github.io", false),
        ("registry.acme.test", "auth.acme.test", false),
    ] {
        let issuer = FakeRegistry::builder().user(LOGIN.0, LOGIN.1);
        let issuer = issuer.start().await;
        let service = format!("{}/token", under(realm, &issuer));
        let bearer = Bearer::issued_by(&issuer).realm(&service);
        let registry = FakeRegistry::builder().bearer_with(bearer).start().await;
        push(&registry, "app");
        registry.repository("app").make_private();
        let egress = ForwardProxy::start().await;
        let proxy = TestProxy::builder()
            .upstream_at("up.test", &under(host, &registry))
            .login(LOGIN.0, LOGIN.1)
            .egress(egress.egress("user:pass"))
            .start()
            .await;
        let expected = if may { 200 } else { 502 };
        let found = status(&proxy, "/v2/app/manifests/1").await;
        assert_eq!(found, expected, "{host} {realm}");
        assert_eq!(issuer.requests().iter().any(has_login), may, "{realm}");
        if !may {
            expect_shown_nothing(&issuer);
        }
    }
}

#[tokio::test]
async fn ghsa_3p65_76g6_3w7r_a_realm_without_encryption_is_not_asked() {
    let issuer = FakeRegistry::builder().user(LOGIN.0, LOGIN.1);
    let issuer = issuer.start().await;
    let bearer = Bearer::issued_by(&issuer);
    let registry = FakeRegistry::builder().tls().bearer_with(bearer);
    let registry = registry.start().await;
    push(&registry, "app");
    let host = issuer.host();
    // Not even where the operator lists it.
    let proxy = logged_in(&registry)
        .trusts(registry.ca_pem())
        .with(|settings| settings.token_hosts.push(host.as_str().into()));
    let proxy = proxy.start().await;
    let reply = proxy.get("/v2/app/manifests/1").await;
    assert_eq!(super::refusal(reply).await, (502, "DENIED".to_owned()));
    assert_eq!(issuer.connections(), 0);
}

/// Also #42022 there and CVE-2021-41092.
#[tokio::test]
async fn moby_30880_the_login_of_a_client_is_neither_passed_on_nor_kept() {
    let (user, password) = LOGIN;
    let shown = basic(user, password);
    let [open, tokens, basics] = [
        FakeRegistry::builder(),
        FakeRegistry::builder().bearer().user(user, password),
        FakeRegistry::builder().basic(user, password),
    ];
    for (builder, expected) in [(open, 200), (tokens, 404), (basics, 404)] {
        let registry = builder.start().await;
        let image = push(&registry, "app");
        registry.repository("app").make_private();
        let proxy = TestProxy::of(&registry).await;
        let layer = format!("/v2/app/blobs/{}", image.layers[0]);
        for path in ["/v2/app/manifests/1", &layer] {
            let client = proxy.client();
            let ask = client.get(path).header("authorization", &shown);
            let ask = ask.header("proxy-authorization", &shown);
            let reply = ask.header("cookie", &shown).send().await;
            assert_eq!(reply.status, expected, "{path}");
            assert_eq!(reply.header("www-authenticate"), None);
            reply.body().await;
        }
        for request in registry.requests() {
            let shown = request.headers.values();
            let has_it = |value: &http::HeaderValue| value.as_bytes().starts_with(b"Basic");
            assert!(!shown.into_iter().any(has_it), "{request}");
        }
        // Everything is on the disk by then.
        let proxy = proxy.restart().await;
        let folder = proxy.folder();
        for secret in [shown.trim_start_matches("Basic "), password] {
            assert!(!is_written_below(&folder, secret), "{secret}");
        }
    }
}

#[tokio::test]
async fn moby_30880_a_login_for_another_host_is_not_shown() {
    let registry = FakeRegistry::builder().basic(LOGIN.0, LOGIN.1);
    let registry = registry.start().await;
    push(&registry, "app");
    let folder = tempfile::tempdir().unwrap();
    let auth = basic(LOGIN.0, LOGIN.1).replace("Basic ", "");
    for (number, (key, expected)) in [
        ("other.test", 404),
        ("test", 404),
        ("up.test.other.test", 404),
        ("other.up.test", 404),
        ("up.test:5000", 404),
        ("up.test/other", 404),
        ("https://index.docker.io/v1/", 404),
        ("up.test", 200),
    ]
    .into_iter()
    .enumerate()
    {
        registry.clear_log();
        let file = folder.path().join(format!("{number}.json"));
        let auths = serde_json::json!({"auths": {key: {"auth": auth}}});
        std::fs::write(&file, auths.to_string()).unwrap();
        let proxy = TestProxy::builder().upstream("up.test", &registry);
        let proxy = proxy.credential("**", CredentialSource::AuthFile(file));
        let proxy = proxy.start().await;
        let found = status(&proxy, "/v2/app/manifests/1").await;
        assert_eq!(found, expected, "{key}");
        let is_shown = registry.requests().iter().any(has_login);
        assert_eq!(is_shown, expected == 200, "{key}");
    }
}

#[tokio::test]
async fn moby_30880_a_login_is_for_one_registry_and_not_for_its_mirrors() {
    let [mirror, registry, other] = [
        FakeRegistry::builder().basic(LOGIN.0, LOGIN.1).start(),
        FakeRegistry::builder().basic(LOGIN.0, LOGIN.1).start(),
        FakeRegistry::builder().basic(LOGIN.0, LOGIN.1).start(),
    ];
    let (mirror, registry, other) = tokio::join!(mirror, registry, other);
    for place in [&mirror, &registry, &other] {
        push(place, "app");
    }
    let url: larder::upstream::EndpointUrl = mirror.url().parse().unwrap();
    let proxy = logged_in(&registry)
        .with(|settings| settings.endpoints.insert(0, url.into()))
        .upstream("other.test", &other);
    let proxy = proxy.start().await;
    for (path, expected) in [
        ("/v2/app/manifests/1", 200),
        ("/v2/other.test/app/manifests/1", 404),
    ] {
        assert_eq!(status(&proxy, path).await, expected, "{path}");
    }
    expect_shown_nothing(&mirror);
    expect_shown_nothing(&other);
}

/// Writes a credential helper, which notes that it ran. Another process writes it: a program cannot be run while a child
/// of any test has it open for writing.
fn helper(folder: &std::path::Path, name: &str) {
    let path = folder.join(format!("docker-credential-{name}"));
    let (user, password) = LOGIN;
    let login = format!(r#"{{"Username":"{user}","Secret":"{password}"}}"#);
    let ran = folder.join(format!("{name}.ran"));
    let script = format!("#!/bin/sh\n: > '{}'\necho '{login}'\n", ran.display());
    let write = r#"printf %s "$2" > "$1.new" && chmod 755 "$1.new" && mv "$1.new" "$1""#;
    let written = Command::new("/bin/sh")
        .args(["-c", write, "sh"])
        .args([path.as_os_str(), script.as_ref()])
        .status()
        .unwrap();
    assert!(written.success());
}

#[tokio::test]
async fn cve_2025_27403_a_cloud_helper_is_for_its_cloud() {
    const ECR: &str = "1234.dkr.ecr.eu-west-1.amazonaws.com";
    for (name, upstream, is_asked) in [
        ("ecr-login", ECR, true),
        ("ecr-login", "amazonaws.com.evil.example", false),
        ("ecr-login", "acme.azurecr.io", false),
        ("gcloud", "acme.azurecr.io", false),
        ("gcr", "evilgcr.io", false),
        ("acr-env", "acme.azurecr.io", true),
        ("acr-env", "acme.azurecr.io.evil.example", false),
        ("own", "registry.acme.example", true),
    ] {
        let registry = FakeRegistry::builder().basic(LOGIN.0, LOGIN.1);
        let registry = registry.start().await;
        push(&registry, "app");
        let folder = tempfile::tempdir().unwrap();
        helper(folder.path(), name);
        let known = Larder::knowing(&registry).finding_programs_in(folder.path());
        let known = known.and(&format!(
            "[[upstream]]\nname = '{upstream}'\nendpoints = ['{}']\ncredentials = {{ helper = '{name}' }}",
            registry.url()
        ));
        let image = format!("{upstream}/app:1");
        let done = known.run(&["inspect", &image]).await;
        assert_eq!(done.code == 0, is_asked, "{name} {upstream}: {done:?}");
        let has_run = folder.path().join(format!("{name}.ran")).exists();
        assert_eq!(has_run, is_asked, "{name} {upstream}");
        let is_shown = registry.requests().iter().any(has_login);
        assert_eq!(is_shown, is_asked, "{name} {upstream}");
    }
}

/// Also the log of rpardini, which shows `Authorization` when it is set to tell all.
#[tokio::test]
async fn ghsa_4q9j_6299_gxmr_no_secret_is_told_to_anybody() {
    const NAME: &str = "advisories::credentials::ghsa_4q9j_6299_gxmr_no_secret_is_told_to_anybody";
    let Some(log) = super::log::alone(NAME) else {
        return;
    };
    let [right, wrong] = [LOGIN.1, "another"].map(|password| {
        FakeRegistry::builder()
            .bearer()
            .basic(LOGIN.0, password)
            .start()
    });
    let (right, wrong) = tokio::join!(right, wrong);
    let thief = FakeRegistry::start().await;
    let bearer = Bearer::issued_by(&thief);
    let astray = FakeRegistry::builder().bearer_with(bearer).start().await;
    let client_secret = basic("client", "wordpass");
    let mut told = String::new();
    for registry in [&right, &wrong, &astray] {
        let image = push(registry, "app");
        registry.repository("app").make_private();
        registry.inject(Fault::on(Kind::BlobGet).wrong_byte_at(1));
        let proxy = logged_in(registry).start().await;
        let layer = format!("/v2/app/blobs/{}", image.layers[0]);
        for path in ["/v2/app/manifests/1", "/v2/app/manifests/none", &layer] {
            let client = proxy.client();
            let ask = client.get(path).header("authorization", &client_secret);
            let reply = ask.send().await;
            told += &format!("{:?}\n", reply.headers);
            told += &String::from_utf8_lossy(&reply.rest().await.0);
        }
        text::encode(&mut told, &proxy.counters()).unwrap();
    }
    assert!(told.contains("MANIFEST_UNKNOWN"), "{told}");
    let log = log.text();
    for (what, expected) in [("answers", &told), ("log", &log)] {
        assert!(expected.contains("acme"), "{what}: {expected}");
        for secret in [
            LOGIN.1,
            "wordpass",
            &basic(LOGIN.0, LOGIN.1)[6..],
            &client_secret[6..],
            "token-1",
        ] {
            assert!(!expected.contains(secret), "{what}: {secret}: {expected}");
        }
    }
}
