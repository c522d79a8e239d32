//! `larder inspect`.

use bytes::Bytes;
use larder::oci::{Digest, MediaType};
use serde_json::{Value, json};

use super::{Larder, UPSTREAM};
use crate::support::fake::Repository;
use crate::support::{FakeRegistry, Fault, Image, Index, Kind, noise};

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Puts a manifest with this config into a repository, tagged `1`.
fn push(repository: &Repository, config: &Value, annotations: &Value) -> Digest {
    let config = Bytes::from(config.to_string());
    let layer = repository.blob(noise(1, 3 << 20));
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": {"mediaType": CONFIG, "digest": repository.blob(config.clone()), "size": config.len()},
        "layers": [{"mediaType": LAYER, "digest": layer, "size": 3 << 20}],
        "annotations": annotations,
    });
    let digest = repository.manifest(MediaType::OCI_MANIFEST, manifest.to_string());
    repository.tag("1", digest);
    digest
}

/// An image with a signature, in `org/app`, tagged `1`: the registry, the image, and what the list of referrers says.
async fn described() -> (FakeRegistry, Digest, Value) {
    let registry = FakeRegistry::builder().referrers().start().await;
    let repository = registry.repository("org/app");
    let config = json!({
        "created": "2024-05-22T18:18:12Z", "author": "Ada", "os": "linux", "architecture": "riscv64",
        "config": {
            "User": "1000", "Entrypoint": ["/init"], "Cmd": ["-x", "a b"], "Env": ["PATH=/bin"],
            "WorkingDir": "/srv", "ExposedPorts": {"80/tcp": {}}, "Labels": {"team": "a"},
        },
        "history": [{}, {}],
    });
    let digest = push(&repository, &config, &json!({"org.example.note": "hello"}));
    let signature = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "artifactType": "application/vnd.example.signature",
        "subject": {"mediaType": MediaType::OCI_MANIFEST, "digest": digest, "size": 7},
        "layers": [],
    })
    .to_string();
    let signature_digest = repository.manifest(MediaType::OCI_MANIFEST, signature.clone());
    let referrer = json!({
        "artifact_type": "application/vnd.example.signature", "media_type": MediaType::OCI_MANIFEST,
        "digest": signature_digest, "size_bytes": signature.len(),
    });
    (registry, digest, referrer)
}

#[tokio::test]
async fn an_image_is_described() {
    let (registry, digest, referrer) = described().await;
    let larder = Larder::knowing(&registry);

    let document = larder.json(&["inspect", "org/app:1"]).await;
    let image = &document["image"];
    assert_eq!(document["registry"], UPSTREAM);
    assert_eq!(document["repository"], "org/app");
    assert_eq!(document["login"], Value::Null);
    assert_eq!(document["tag"], "1");
    assert_eq!(document["digest"], json!(digest));
    assert_eq!(document["media_type"], MediaType::OCI_MANIFEST);
    assert_eq!(
        document["annotations"],
        json!({"org.example.note": "hello"})
    );
    assert_eq!(document["platforms"], json!([]));
    assert_eq!(image["layers"][0]["size_bytes"], 3 << 20);
    assert_eq!(image["layers_size_bytes"], 3 << 20);
    assert_eq!(image["config_media_type"], CONFIG);
    assert_eq!(
        image["config"],
        json!({
            "created": "2024-05-22T18:18:12Z", "author": "Ada", "os": "linux", "architecture": "riscv64",
            "variant": null, "user": "1000", "entrypoint": ["/init"], "cmd": ["-x", "a b"], "env": ["PATH=/bin"],
            "working_dir": "/srv", "exposed_ports": ["80/tcp"], "labels": {"team": "a"}, "history_length": 2,
        })
    );
    assert_eq!(document["referrers"], json!([referrer]));
}

#[tokio::test]
async fn an_image_is_described_in_a_table() {
    let (registry, digest, _) = described().await;
    let larder = Larder::knowing(&registry);
    let table = larder.answer(&["inspect", "org/app:1"]).await;
    for line in [
        "registry       up.test",
        "login          anonymous",
        "tag            1",
        &format!("digest         {digest}"),
        "  org.example.note  hello",
        "platform       linux/riscv64",
        "cmd            [\"-x\", \"a b\"]",
        "exposed ports  80/tcp",
        "history        2 steps",
        "  PATH=/bin",
        "total          3.0 MiB in 1 layer",
    ] {
        assert!(table.lines().any(|found| found == line), "{line}\n{table}");
    }
    assert!(
        table.contains("application/vnd.example.signature  "),
        "{table}"
    );
}

#[tokio::test]
async fn a_digest_counts_before_a_tag() {
    let registry = FakeRegistry::start().await;
    let repository = registry.repository("app");
    let first = Image::with_layers([noise(1, 10)]).push_as(&repository, "1");
    Image::with_layers([noise(2, 10)]).push_as(&repository, "1");
    let larder = Larder::knowing(&registry);
    for name in [
        format!("app@{}", first.digest),
        format!("app:1@{}", first.digest),
    ] {
        let document = larder.json(&["inspect", &name]).await;
        assert_eq!(document["digest"], json!(first.digest));
        assert_eq!(document["tag"], Value::Null);
    }
}

#[tokio::test]
async fn an_index_lists_its_platforms_and_one_is_described() {
    let registry = FakeRegistry::start().await;
    let image = |seed| Image::with_layers([noise(seed, 10)]);
    let index = Index::of([
        ("plan9/mips", image(1)),
        ("linux/amd64", image(2)),
        ("linux/arm/v7", image(3)),
        ("linux/arm64/v8", image(4)),
    ])
    .push_as(&registry.repository("app"), "1");
    let larder = Larder::knowing(&registry);
    for (platform, found) in [("plan9/mips", 0), ("linux/arm", 2), ("linux/aarch64", 3)] {
        let document = larder
            .json(&["inspect", "app:1", "--platform", platform])
            .await;
        assert_eq!(document["digest"], json!(index.digest));
        assert_eq!(document["platforms"].as_array().unwrap().len(), 4);
        assert_eq!(
            document["image"]["digest"],
            json!(index.images[found].digest)
        );
        assert_eq!(
            document["image"]["layers"][0]["digest"],
            json!(index.images[found].layers[0])
        );
    }
    let table = larder
        .answer(&["inspect", "app:1", "--platform", "linux/arm/v7"])
        .await;
    let row = format!("  linux/arm/v7    {} B", index.images[2].bytes.len());
    assert!(table.contains(&row), "{table}");
    assert!(table.contains("\n\nimage for linux/arm/v7\n"), "{table}");
    assert!(!table.contains("history"), "{table}");

    let talk = larder
        .failure(5, &["inspect", "app:1", "--platform", "linux/s390x"])
        .await;
    let told =
        "nothing for linux/s390x: it is for plan9/mips, linux/amd64, linux/arm/v7, linux/arm64/v8";
    assert!(talk.contains(told), "{talk}");
}

#[tokio::test]
async fn an_image_for_another_platform_is_not_shown_for_one() {
    let registry = FakeRegistry::start().await;
    let config = json!({"os": "linux", "architecture": "riscv64"});
    push(&registry.repository("app"), &config, &json!({}));
    let larder = Larder::knowing(&registry);
    let right = ["inspect", "app:1", "--platform", "linux/riscv64"];
    assert_eq!(larder.run(&right).await.code, 0);
    let wrong = ["inspect", "app:1", "--platform", "linux/amd64"];
    let talk = larder.failure(5, &wrong).await;
    assert!(talk.contains("it is for linux/riscv64"), "{talk}");
}

#[tokio::test]
async fn an_artifact_has_no_image_config() {
    let registry = FakeRegistry::start().await;
    let repository = registry.repository("chart");
    let kind = "application/vnd.cncf.helm.config.v1+json";
    let chart = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
    let manifest = json!({
        "schemaVersion": 2,
        "artifactType": "application/vnd.example.chart",
        "config": {"mediaType": kind, "digest": repository.blob("not JSON"), "size": 8},
        "layers": [{"mediaType": chart, "digest": repository.blob("chart"), "size": 5}],
    });
    let digest = repository.manifest(MediaType::OCI_MANIFEST, manifest.to_string());
    repository.tag("1", digest);
    let document = Larder::knowing(&registry)
        .json(&["inspect", "chart:1"])
        .await;
    let image = &document["image"];
    assert_eq!(image["artifact_type"], "application/vnd.example.chart");
    assert_eq!(image["config_media_type"], kind);
    assert_eq!(image["config"], Value::Null);
    assert_eq!(image["layers"][0]["media_type"], chart);
    assert_eq!(document["referrers"], json!([]));
    assert_eq!(registry.count(Kind::BLOB), 0);
}

#[tokio::test]
async fn referrers_that_cannot_be_had_spoil_nothing() {
    let registry = FakeRegistry::start().await;
    Image::with_layers([noise(1, 10)]).push_as(&registry.repository("app"), "1");
    registry.inject(Fault::on(Kind::Referrers).status(403));
    let larder = Larder::knowing(&registry);
    let done = larder.run(&["inspect", "app:1"]).await;
    assert_eq!(done.code, 0, "{done:?}");
    assert!(
        done.data.contains("referrers      could not be asked for"),
        "{done:?}"
    );
    assert!(done.talk.contains("refused with 403"), "{done:?}");
    let done = larder.run(&["inspect", "app:1", "--output", "json"]).await;
    let document: Value = serde_json::from_str(&done.data).unwrap();
    assert_eq!(document["referrers"], Value::Null);
}

#[tokio::test]
async fn words_of_strangers_do_nothing_to_a_terminal() {
    let registry = FakeRegistry::start().await;
    let hostile = "\u{1b}]0;owned\u{7}\r\nlogin          root\u{9b}2J\u{202e}";
    let config = json!({
        "os": hostile, "author": hostile,
        "config": {"Entrypoint": [hostile], "Env": [hostile], "Labels": {hostile: hostile}},
    });
    push(
        &registry.repository("app"),
        &config,
        &json!({hostile: hostile}),
    );
    let larder = Larder::knowing(&registry);
    for output in ["table", "json"] {
        let shown = larder
            .answer(&["inspect", "app:1", "--output", output])
            .await;
        let is_safe = |c: char| c == '\n' || !c.is_control() && c != '\u{202e}';
        assert!(shown.chars().all(is_safe), "{shown:?}");
        assert!(!shown.contains("\nlogin          root"), "{shown}");
        assert!(shown.contains("owned"), "{shown}");
    }
    let document = larder.json(&["inspect", "app:1"]).await;
    assert_eq!(document["annotations"][hostile], hostile);
}
