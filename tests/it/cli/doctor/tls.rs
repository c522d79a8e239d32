//! `larder doctor` where TLS is spoken, or should be.

use std::fs;
use std::path::Path;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::{Done, IMAGE, Larder, Machine, assert_found, registry};
use crate::support::{Authority, FakeRegistry};

/// A larder with TLS, and a certificate of an authority: a usual one, or this.
async fn encrypted(
    authority: &Authority,
    certificate: Option<(String, String)>,
) -> (FakeRegistry, Larder) {
    let registry = registry().await;
    drop(authority.settings());
    if let Some((certificate, key)) = certificate {
        fs::write(authority.path("cert.pem"), certificate).unwrap();
        fs::write(authority.path("key.pem"), key).unwrap();
    }
    fs::write(authority.path("ca.pem"), authority.pem()).unwrap();
    let tls = format!(
        "[server.tls]\ncert_file = '{}'\nkey_file = '{}'",
        authority.path("cert.pem").display(),
        authority.path("key.pem").display()
    );
    let larder = Larder::knowing(&registry).and(&tls);
    (registry, larder)
}

/// Configures containerd with the certificates of an authority, and examines it.
async fn with_certificates(larder: &Larder, url: &str, ca: &Path) -> Done {
    let machine = Machine::new();
    machine.read_by_containerd();
    let flags = [
        "containerd",
        "--url",
        url,
        "--mode",
        "strict",
        "--ca-file",
        ca.to_str().unwrap(),
    ];
    machine.configure(larder, &flags).await;
    machine.examine(larder, &["--image", IMAGE]).await
}

#[tokio::test]
async fn a_certificate_is_judged_by_what_the_client_trusts() {
    let authority = Authority::new();
    let (_registry, larder) = encrypted(&authority, None).await;
    let running = larder.serve().await;
    let url = format!("https://{}", running.address());
    let done = with_certificates(&larder, &url, &authority.path("ca.pem")).await;
    assert_eq!(done.code, 0, "{done:?}");
    assert_found(
        &done,
        "good",
        &format!("certificate: the certificate of {url} is trusted for "),
    );
    assert_found(
        &done,
        "good",
        &format!("canary: {IMAGE} was pulled through {url} as containerd does it"),
    );

    let other = Authority::new();
    fs::write(other.path("ca.pem"), other.pem()).unwrap();
    let done = with_certificates(&larder, &url, &other.path("ca.pem")).await;
    assert_eq!(done.code, 1, "{done:?}");
    assert_found(
        &done,
        "fault",
        &format!("certificate: the certificate of {url} is not trusted (for containerd): neither "),
    );

    // Whoever speaks the other language is told.
    let plain = url.replace("https:", "http:");
    let done = Machine::new().examine(&larder, &["--url", &plain]).await;
    assert_found(&done, "fault", &format!("{plain}: larder speaks TLS there"));
    running.stop().await;
}

#[tokio::test]
async fn a_client_that_has_to_show_a_certificate_is_told() {
    let authority = Authority::new();
    let (_registry, larder) = encrypted(&authority, None).await;
    let ca = authority.path("ca.pem");
    let larder = larder.and(&format!("client_ca_file = '{}'", ca.display()));
    let running = larder.serve().await;
    let url = format!("https://{}", running.address());
    let done = with_certificates(&larder, &url, &ca).await;
    assert_eq!(done.code, 1, "{done:?}");
    let told = format!(
        "{url} does not answer (for containerd): a certificate of the client is wanted there"
    );
    assert_found(&done, "fault", &told);
    // The same certificate will do for a client.
    let machine = Machine::new();
    machine.read_by_containerd();
    let [ca, certificate, key] = ["ca.pem", "cert.pem", "key.pem"].map(|name| {
        let text = fs::read_to_string(authority.path(name)).unwrap();
        machine.write(&format!("etc/containerd/certs.d/{name}"), &text);
        format!("/etc/containerd/certs.d/{name}")
    });
    let hosts = format!("[host.'{url}']\nca = '{ca}'\nclient = [['{certificate}', '{key}']]\n");
    machine.write("etc/containerd/certs.d/up.test/hosts.toml", &hosts);
    let done = machine.examine(&larder, &["--image", IMAGE]).await;
    assert_eq!(done.code, 0, "{done:?}");
    assert_found(
        &done,
        "good",
        &format!("canary: {IMAGE} was pulled through {url} as containerd does it"),
    );
    running.stop().await;
}

#[tokio::test]
async fn no_tls_where_https_is_written_is_a_fault() {
    let registry = registry().await;
    let larder = Larder::knowing(&registry);
    let running = larder.serve().await;
    let url = format!("https://{}", running.address());
    let done = Machine::new().examine(&larder, &["--url", &url]).await;
    assert_eq!(done.code, 1, "{done:?}");
    assert_found(
        &done,
        "fault",
        &format!("{url} does not answer: no TLS is spoken there"),
    );
    running.stop().await;
}

#[tokio::test]
async fn certificates_that_end_soon_have_ended_or_are_for_others() {
    let now = std::time::SystemTime::now();
    let day = std::time::Duration::from_secs(24 * 3_600);
    for (names, ends, code, severity, told) in [
        (
            "127.0.0.1",
            Some(now + 5 * day + day / 2),
            0,
            "warning",
            "is trusted for 5 more days, until ",
        ),
        ("127.0.0.1", Some(now - day), 1, "fault", "its time is over"),
        (
            "larder.example",
            None,
            1,
            "fault",
            "it is for larder.example",
        ),
    ] {
        let authority = Authority::new();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([names.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        if let Some(ends) = ends {
            params.not_after = ends.into();
        }
        let pair = (authority.sign(&params, &key), key.serialize_pem());
        let (_registry, larder) = encrypted(&authority, Some(pair)).await;
        let running = larder.serve().await;
        let url = format!("https://{}", running.address());
        let done = with_certificates(&larder, &url, &authority.path("ca.pem")).await;
        assert_eq!(done.code, code, "{told}: {done:?}");
        assert_found(&done, severity, told);
        running.stop().await;
    }
}
