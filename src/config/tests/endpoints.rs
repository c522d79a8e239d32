//! Endpoints: what agrees within one and among them.

use super::*;
use crate::upstream::{ApiPath, ClientCertificate, EndpointScope};

fn endpoints(list: &str) -> String {
    format!("[[upstream]]\nname = \"r.example\"\nendpoints = [\n{list}\n]\n")
}

#[test]
fn mistakes_of_endpoints() {
    let mistakes = [
        "{ url = \"http://a.example\", skip_tls_verify = true, http_fallback = true },",
        "{ url = \"http://a.example\", client_cert_file = \"c.pem\", client_key_file = \"k.pem\" },",
        "{ url = \"https://a.example\", client_cert_file = \"/nowhere/c.pem\" },",
        "{ url = \"https://a.example\", client_key_file = \"/nowhere/k.pem\" },",
        "{ url = \"https://a.example\", client_cert_file = \"/nowhere/c.pem\", client_key_file = \"/nowhere/k.pem\" },",
        "{ url = \"https://a.example\", digests_only = true },",
        "{ url = \"https://a.example\", skip_tls_verify = \"yes\", insecure = true },",
    ]
    .map(endpoints);
    let mistakes: Vec<&str> = mistakes.iter().map(String::as_str).collect();
    assert_told("mistakes_of_endpoints", &mistakes);
}

#[test]
fn every_key_of_an_endpoint_arrives() {
    let folder = TempDir::new().unwrap();
    let made = rcgen::generate_simple_self_signed(["r.example".to_owned()]).unwrap();
    let (cert, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
    fs::write(&cert, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let written = |cert: &Path, key: &Path| {
        endpoints(&format!(
            "{{ url = \"https://m.example/x\", ca_file = \"{0}\", client_cert_file = \"{0}\", \
             client_key_file = \"{1}\", skip_tls_verify = true, http_fallback = true, override_path = true, \
             digests_only = true }},\n\"https://r.example\"",
            cert.display(),
            key.display()
        ))
    };
    let found = settings(&written(&cert, &key));
    let [mirror, own] = &found.upstreams.last().unwrap().endpoints[..] else {
        panic!("{found:?}");
    };
    let plain: EndpointUrl = "https://r.example".parse().unwrap();
    assert_eq!(own, &plain.into());
    assert_eq!(mirror.tls.ca_file.as_ref(), Some(&cert));
    let client = ClientCertificate {
        cert_file: cert.clone(),
        key_file: key.clone(),
    };
    assert_eq!(mirror.tls.client, Some(client));
    assert!(mirror.tls.skips_verification && mirror.falls_back_to_http);
    assert_eq!(
        (mirror.api_path, mirror.scope),
        (ApiPath::AsWritten, EndpointScope::Digests)
    );

    // One in the place of the other, and a key that is torn.
    let torn = folder.path().join("torn.pem");
    fs::write(
        &torn,
        "-----BEGIN PRIVATE KEY-----\nhunter2!\n-----END PRIVATE KEY-----\n",
    )
    .unwrap();
    for (cert, key, at) in [
        (&key, &key, "client_cert_file"),
        (&cert, &cert, "client_key_file"),
        (&cert, &torn, "client_key_file"),
    ] {
        let faults = read(&written(cert, key)).unwrap_err().to_string();
        assert!(faults.contains(at), "{faults}");
        assert!(!faults.contains("hunter2"), "{faults}");
    }
}

#[test]
fn proxies_come_from_the_usual_variables() {
    let egress = |variables: &[(&str, &str)]| {
        let loaded = load(&Flags::default(), &surroundings(variables)).unwrap();
        let Egress {
            http,
            https,
            except,
        } = loaded.settings.egress;
        [http, https, except].map(|text| text.map_or_else(String::new, |text| text.to_string()))
    };
    for (variables, expected) in [
        (&[][..], ["", "", ""]),
        (&[("HTTP_PROXY", "http://a:1")], ["http://a:1", "", ""]),
        (
            &[
                ("http_proxy", "http://a:1"),
                ("HTTP_PROXY", "http://b:1"),
                ("https_proxy", ""),
                ("HTTPS_PROXY", "https://ada:hunter2@c"),
                ("no_proxy", ".svc, 10.0.0.0/8"),
                ("NO_PROXY", "x"),
            ],
            ["http://a:1", "https://ada:hunter2@c", ".svc, 10.0.0.0/8"],
        ),
        (
            &[("ALL_PROXY", "a:1"), ("HTTPS_PROXY", "b:2")],
            ["http://a:1", "http://b:2", ""],
        ),
        (
            &[("all_proxy", "http://a:1"), ("ALL_PROXY", "http://b:1")],
            ["http://a:1", "http://a:1", ""],
        ),
    ] {
        assert_eq!(egress(variables), expected, "{variables:?}");
    }
}

#[test]
fn a_proxy_that_is_none_is_a_fault_that_does_not_repeat_it() {
    for text in [
        "socks5://ada:hunter2@proxy:1080",
        "http://",
        "ftp://hunter2",
        "http://ada:hunt er2@proxy",
    ] {
        let faults = load(&Flags::default(), &surroundings(&[("https_proxy", text)])).unwrap_err();
        let place = Place::Variable("https_proxy".into());
        assert_eq!(faults.as_slice()[0].place, place);
        assert!(!faults.to_string().contains("hunt"), "{faults}");
    }
}
