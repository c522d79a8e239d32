//! Content is what its digest says, whoever sent it, and no word of a stranger is a path.

use larder::oci::{Digest, MediaType};
use larder::upstream::EndpointUrl;
use serde_json::json;

use super::{names_below, push, refusal, status};
use crate::support::{Ending, FakeRegistry, Fault, Image, Kind, TestProxy, noise};

#[tokio::test]
async fn cve_2024_6915_what_is_wrong_is_not_kept_for_the_next() {
    let registry = FakeRegistry::start().await;
    let content = noise(1, 200_000);
    let image = Image::with_layers([content.clone()]).push_as(&registry.repository("app"), "1");
    let lie = registry.inject(Fault::on([Kind::BlobGet, Kind::ManifestGet]).wrong_byte_at(20));
    let proxy = TestProxy::of(&registry).await;
    let layer = format!("/v2/app/blobs/{}", image.layers[0]);
    let manifest = format!("/v2/app/manifests/{}", image.digest);
    for _ in 0..2 {
        let (bytes, ending) = proxy.get(&layer).await.rest().await;
        assert!(ending != Ending::Complete || bytes.len() < content.len());
        assert_eq!(status(&proxy, &manifest).await, 502);
    }
    let proxy = proxy.restart().await;
    let kept = names_below(&proxy.folder());
    for digest in [image.layers[0], image.digest] {
        assert!(!kept.contains(&digest.hex()), "{kept:?}");
    }
    lie.lift();
    assert_eq!(proxy.get(&layer).await.body().await, content);
    assert_eq!(proxy.get(&manifest).await.body().await, image.bytes);
}

/// What a tag names is kept under the digest that it has, whatever the registry calls it.
#[tokio::test]
async fn cve_2024_6915_a_manifest_is_not_kept_under_the_digest_of_another() {
    let registry = FakeRegistry::start().await;
    let repository = registry.repository("app");
    let good = Image::with_layers([noise(1, 10)]).push_as(&repository, "good");
    let evil = Image::with_layers([noise(2, 10)]).push_as(&repository, "evil");
    let name = good.digest.to_string();
    let lie = Fault::on(Kind::ManifestGet).header("docker-content-digest", &name);
    let lie = registry.inject(lie.once());
    let proxy = TestProxy::of(&registry).await;
    let reply = proxy.get("/v2/app/manifests/evil").await;
    let own = evil.digest.to_string();
    assert_eq!(reply.header("docker-content-digest"), Some(own.as_str()));
    assert_eq!(reply.body().await, evil.bytes);
    assert_eq!(lie.hits(), 1);
    for (reference, image) in [(&name, &good), (&own, &evil)] {
        let path = format!("/v2/app/manifests/{reference}");
        assert_eq!(proxy.get(&path).await.body().await, image.bytes);
    }
}

/// Also GHSA-qv35-3gw6-8q4j.
#[tokio::test]
async fn cve_2025_24882_a_pinned_manifest_is_no_other() {
    let registry = FakeRegistry::start().await;
    let repository = registry.repository("app");
    let pinned = Image::with_layers([noise(1, 10)]).push_as(&repository, "1");
    let other = Image::with_layers([noise(2, 10)]).push_as(&repository, "2");
    let path = format!("/v2/app/manifests/{}", pinned.digest);
    let names = [Some(pinned.digest), Some(other.digest), None];
    for name in names.map(|name| name.map(|digest| digest.to_string())) {
        for is_warm in [false, true] {
            let proxy = TestProxy::of(&registry).await;
            if is_warm {
                // A HEAD has told that it is there.
                assert_eq!(proxy.head(&path).await.status, 200);
            }
            let lie = Fault::on(Kind::ManifestGet).body(other.bytes.clone());
            let lie = match &name {
                Some(name) => lie.header("docker-content-digest", name),
                None => lie.no_digest_header(),
            };
            let lie = registry.inject(lie);
            for _ in 0..2 {
                let found = refusal(proxy.get(&path).await).await;
                assert_eq!(found, (502, "DIGEST_INVALID".to_owned()), "{name:?}");
            }
            lie.lift();
            assert_eq!(proxy.get(&path).await.body().await, pinned.bytes);
        }
    }
}

/// Also GHSA-mc8v-mgrf-8f4m, GHSA-77vh-xpmg-72qh, GHSA-qq97-vm5h-rrhg and GHSA-5j5w-g665-5m35.
#[tokio::test]
async fn cve_2021_41190_a_manifest_is_one_thing() {
    let registry = FakeRegistry::start().await;
    let repository = registry.repository("app");
    let (index, image) = (MediaType::OCI_INDEX, MediaType::OCI_MANIFEST);
    let list = MediaType::DOCKER_LIST;
    let one = json!({"schemaVersion": 2, "mediaType": index, "manifests": []});
    let with = |key: &str, value: serde_json::Value| {
        let mut document = one.clone();
        document[key] = value;
        document.to_string()
    };
    let bare = json!({"schemaVersion": 2, "manifests": []}).to_string();
    let proxy = TestProxy::of(&registry).await;
    // By digest the bytes are right, and only what was said of them is wrong: then they are called what they are.
    for (number, (media_type, document, by_digest)) in [
        (index, with("layers", json!([])), None),
        (index, with("config", json!({})), None),
        (index, with("fsLayers", json!([])), None),
        (image, with("mediaType", json!(image)), None),
        (index, with("mediaType", json!(["x"])), None),
        (image, one.to_string(), Some(index)),
        (list, one.to_string(), Some(index)),
        (index, with("mediaType", json!(list)), Some(list)),
        (image, bare, Some(index)),
    ]
    .into_iter()
    .enumerate()
    {
        let digest = repository.manifest(media_type, document.clone());
        repository.tag(&format!("t{number}"), digest);
        let reply = proxy.get(&format!("/v2/app/manifests/t{number}")).await;
        let invalid = (502, "MANIFEST_INVALID".to_owned());
        assert_eq!(reply.status, 502, "{number}: {document}");
        assert_eq!(refusal(reply).await, invalid, "{number}: {document}");
        let reply = proxy.get(&format!("/v2/app/manifests/{digest}")).await;
        match by_digest {
            None => assert_eq!(refusal(reply).await, invalid, "{number}: {document}"),
            Some(own) => {
                assert_eq!(reply.header("content-type"), Some(own), "{number}");
                assert_eq!(reply.body().await, document);
            }
        }
    }
    // What is one thing is not written anew.
    let spaced = format!(
        "\n {{ \"mediaType\" : \"{index}\",\n\t\"x\":1.0e2, \"manifests\":[ ],\"schemaVersion\":2}} \n"
    );
    let digest = repository.manifest(index, spaced.clone());
    repository.tag("1", digest);
    let mut proxy = proxy;
    for _ in 0..2 {
        let reply = proxy.get("/v2/app/manifests/1").await;
        assert_eq!(reply.header("content-type"), Some(index));
        assert_eq!(reply.body().await, spaced);
        proxy = proxy.restart().await;
    }
}

/// What strangers write where a digest belongs.
fn no_digests() -> Vec<String> {
    let hex = "a".repeat(64);
    let texts = [
        "sha256:../../../../../../etc/passwd",
        "sha256:..",
        "sha256:",
        "../../../../../../etc/passwd",
        "sha256:%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "sha256:..%2f..%2fetc%2fpasswd",
        "sha256:/etc/passwd",
        "..:aa",
        "sha256:a%00",
        "sha512:aa",
    ];
    let more = [
        format!("sha256:{hex}/../x"),
        format!("sha256:{}", hex.to_uppercase()),
        format!("sha256:{hex}a"),
        format!("sha256:{}", &hex[1..]),
        format!("sha512:{hex}"),
        format!("../sha256:{hex}"),
        format!("sha256:{}..", &hex[2..]),
        format!("sha256:{}/..", &hex[3..]),
    ];
    texts.into_iter().map(String::from).chain(more).collect()
}

/// Expects that a folder has only what larder itself names there, and nothing around it.
fn expect_own_names(proxy: &TestProxy) {
    let around = std::fs::read_dir(proxy.folder()).unwrap();
    let around: Vec<_> = around.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(around, ["cache"]);
    for name in names_below(&proxy.folder()) {
        let is_own = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b);
        assert!(name.bytes().all(is_own), "{name}");
        for word in ["passwd", "etc", "app", "evil", ".."] {
            assert!(!name.contains(word), "{name}");
        }
    }
}

/// Also GHSA-6wvf-f2vw-3425.
#[tokio::test]
async fn cve_2024_3727_a_digest_in_a_request_is_a_digest() {
    let registry = FakeRegistry::start().await;
    push(&registry, "app");
    let proxy = TestProxy::of(&registry).await;
    for text in no_digests() {
        for path in [
            format!("/v2/app/blobs/{text}"),
            format!("/v2/app/manifests/{text}"),
            format!("/v2/app/referrers/{text}"),
        ] {
            for method in [http::Method::GET, http::Method::HEAD] {
                let client = proxy.client();
                let reply = client.request(method, &path).send().await;
                let status = reply.status.as_u16();
                assert!((400..=404).contains(&status), "{path}: {status}");
            }
        }
    }
    assert_eq!(registry.lines(), Vec::<String>::new());
    expect_own_names(&proxy);
}

#[tokio::test]
async fn cve_2024_3727_a_digest_from_a_registry_is_a_digest() {
    let registry = FakeRegistry::start().await;
    let repository = registry.repository("app");
    let proxy = TestProxy::of(&registry).await;
    for (number, text) in no_digests().into_iter().enumerate() {
        let layer = repository.blob(noise(number as u64, 1_000));
        let described = json!({"mediaType": "x/y", "digest": text, "size": 1_000});
        let document = json!({
            "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST,
            "config": described, "layers": [described], "subject": described,
        });
        let digest = repository.manifest(MediaType::OCI_MANIFEST, document.to_string());
        repository.tag(&format!("t{number}"), digest);
        let lie = Fault::everywhere().header("docker-content-digest", &text);
        let lie = registry.inject(lie);
        for path in [
            format!("/v2/app/manifests/t{number}"),
            format!("/v2/app/manifests/{digest}"),
            format!("/v2/app/blobs/{layer}"),
        ] {
            for reply in [proxy.head(&path).await, proxy.get(&path).await] {
                let told = reply.header("docker-content-digest");
                let is_one = told.is_none_or(|told| told.parse::<Digest>().is_ok());
                assert!(is_one, "{text} {path}: {told:?}");
                reply.rest().await;
            }
        }
        expect_own_names(&proxy);
        lie.lift();
    }
    // Nothing was asked for but what clients asked for.
    for request in registry.requests() {
        let asked = request.reference.as_deref().unwrap_or_default();
        assert!(
            asked.starts_with('t') || asked.parse::<Digest>().is_ok(),
            "{request}"
        );
    }
}

#[tokio::test]
async fn ghsa_79hx_3fp8_hj66_no_name_of_a_stranger_becomes_a_path() {
    let registry = FakeRegistry::start().await;
    let proxy = TestProxy::builder().upstream("up.test", &registry);
    let proxy = proxy.alias("evil").start().await;
    for name in [
        "app/evil",
        "evil",
        "etc/passwd",
        "a/tags/list",
        "blobs-v1/sha256",
    ] {
        let image = push(&registry, name);
        registry.repository(name).tag("passwd", image.digest);
        for path in [
            format!("/v2/up.test/{name}/manifests/passwd"),
            format!("/v2/up.test/{name}/blobs/{}", image.layers[0]),
        ] {
            assert_eq!(status(&proxy, &path).await, 200, "{path}");
        }
    }
    for path in [
        "/v2/../../../etc/passwd/manifests/1",
        "/v2/app/../../etc/manifests/1",
        "/v2/app/%2e%2e/%2e%2e/etc/manifests/1",
        "/v2/app/..%2f..%2fetc/manifests/1",
        "/v2/app/manifests/../../../etc/passwd",
        "/v2/app/manifests/..%2f..%2fetc%2fpasswd",
        "/v2/app/manifests/1?ns=..%2f..%2fetc",
        "/v2/app/blobs/../../../../etc/passwd",
        "/../etc/passwd",
    ] {
        let found = status(&proxy, path).await;
        assert!((400..=404).contains(&found), "{path}: {found}");
    }
    let proxy = proxy.restart().await;
    expect_own_names(&proxy);
}

/// A mirror may be anybody's, and is asked first.
#[tokio::test]
async fn ghsa_mcvp_rpgg_9273_what_a_mirror_sends_is_verified() {
    let registry = FakeRegistry::start().await;
    let image = push(&registry, "app");
    let mirror = FakeRegistry::builder().content_of(&registry).start().await;
    let lie = Fault::on([Kind::BlobGet, Kind::ManifestGet]).wrong_byte_at(20);
    let lie = mirror.inject(lie);
    let url: EndpointUrl = mirror.url().parse().unwrap();
    let proxy = TestProxy::builder()
        .upstream("up.test", &registry)
        .with(|settings| settings.endpoints.insert(0, url.into()))
        .start()
        .await;
    for thing in [
        format!("manifests/{}", image.digest),
        format!("blobs/{}", image.config),
        format!("blobs/{}", image.layers[0]),
    ] {
        let path = format!("/v2/app/{thing}");
        for _ in 0..2 {
            let reply = proxy.get(&path).await;
            let is_good = reply.status == 200;
            let (_, ending) = reply.rest().await;
            assert!(!is_good || ending != Ending::Complete, "{path}");
        }
    }
    let digests = [image.digest, image.config, image.layers[0]];
    let kept = names_below(&proxy.folder());
    assert!(digests.iter().all(|digest| !kept.contains(&digest.hex())));
    lie.lift();
    for thing in [
        format!("manifests/{}", image.digest),
        format!("blobs/{}", image.layers[0]),
    ] {
        assert_eq!(status(&proxy, &format!("/v2/app/{thing}")).await, 200);
    }
}
