//! Registries with limits, and what else some have and others have not.

use http::Method;
use serde_json::{Value, json};

use crate::support::client::Reply;
use crate::support::fake::basic;
use crate::support::{Client, FakeRegistry, Fault, Kind, noise};

/// A registry with a limit of two pulls, for anybody and for users.
async fn registry() -> FakeRegistry {
    let registry = FakeRegistry::builder()
        .bearer()
        .basic("acme", "secret")
        .pull_limit(2, 21600)
        .start()
        .await;
    let app = registry.repository("app");
    app.tag("1", app.manifest("a/b", "{}"));
    registry
}

async fn ask(registry: &FakeRegistry, method: Method, authorization: &str) -> Reply {
    let client = Client::new(registry.address());
    let ask = client.request(method, "/v2/app/manifests/1");
    ask.header("authorization", authorization).send().await
}

fn remaining(reply: &Reply) -> Option<&str> {
    reply.header("ratelimit-remaining")
}

#[tokio::test]
async fn a_pull_is_spent_by_a_get_and_told_by_a_head() {
    let registry = registry().await;
    let client = Client::new(registry.address());
    let reply = client.get("/token?scope=repository:app:pull").send().await;
    let answer: Value = serde_json::from_slice(&reply.body().await).unwrap();
    let anonymous = format!("Bearer {}", answer["token"].as_str().unwrap());
    let acme = basic("acme", "secret");

    let head = ask(&registry, Method::HEAD, &anonymous).await;
    assert_eq!(head.header("ratelimit-limit"), Some("2;w=21600"));
    assert_eq!(remaining(&head), Some("2;w=21600"));
    assert_eq!(head.header("docker-ratelimit-source"), Some("127.0.0.1"));
    for left in ["1;w=21600", "0;w=21600"] {
        let reply = ask(&registry, Method::GET, &anonymous).await;
        assert_eq!(
            (reply.status.as_u16(), remaining(&reply)),
            (200, Some(left))
        );
    }
    registry.quota().retry_after("7");
    let refused = ask(&registry, Method::GET, &anonymous).await;
    assert_eq!(refused.status, 429);
    assert_eq!(remaining(&refused), Some("0;w=21600"));
    assert_eq!(refused.header("retry-after"), Some("7"));
    let body: Value = serde_json::from_slice(&refused.body().await).unwrap();
    assert_eq!(body["errors"][0]["code"], "TOOMANYREQUESTS");
    let words = body["errors"][0]["message"].as_str().unwrap();
    assert!(words.starts_with("You have reached your pull rate limit."));
    assert_eq!(ask(&registry, Method::HEAD, &anonymous).await.status, 200);
    assert_eq!(registry.quota().remaining(None), 0);

    assert_eq!(registry.quota().remaining(Some("acme")), 2);
    let reply = ask(&registry, Method::GET, &acme).await;
    assert_eq!(reply.header("docker-ratelimit-source"), Some("acme"));
    assert_eq!(registry.quota().remaining(Some("acme")), 1);
    registry.quota().lift_for("acme");
    let reply = ask(&registry, Method::GET, &acme).await;
    assert_eq!((reply.status.as_u16(), remaining(&reply)), (200, None));
    registry.quota().reset();
    assert_eq!(ask(&registry, Method::GET, &anonymous).await.status, 200);
    // Who is not let in spends nothing.
    assert_eq!(ask(&registry, Method::GET, "Bearer x").await.status, 401);
    assert_eq!(registry.quota().remaining(None), 1);
}

#[tokio::test]
async fn the_limit_against_abuse_is_another_one() {
    let registry = registry().await;
    let gate = registry.inject(Fault::abuse_limit());
    let client = Client::new(registry.address());
    for path in ["/token", "/v2/", "/v2/app/manifests/1"] {
        let reply = client.get(path).send().await;
        assert_eq!(reply.status, 429);
        assert_eq!(reply.header("content-type"), Some("text/plain"));
        assert_eq!(reply.body().await, "Too Many Requests\n");
    }
    gate.lift();
    assert_eq!(client.get("/token").send().await.status, 200);
}

#[tokio::test]
async fn referrers_are_listed_where_there_is_a_list() {
    for has_list in [true, false] {
        let builder = FakeRegistry::builder();
        let builder = if has_list {
            builder.referrers()
        } else {
            builder
        };
        let registry = builder.start().await;
        let app = registry.repository("app");
        let subject = app.manifest("a/b", "{}");
        let signature = |kind: &str| {
            let document = json!({"artifactType": kind, "subject": {"digest": subject}});
            app.manifest("c/d", document.to_string())
        };
        let (one, _) = (signature("sig/one"), signature("sig/two"));
        let client = Client::new(registry.address());
        let path = format!("/v2/app/referrers/{subject}");
        let all = client.get(&path).send().await;
        let some = client
            .get(&format!("{path}?artifactType=sig%2Fone"))
            .send()
            .await;
        assert_eq!(all.status == 200, has_list);
        if has_list {
            assert_eq!(some.header("oci-filters-applied"), Some("artifactType"));
            let all: Value = serde_json::from_slice(&all.body().await).unwrap();
            let some: Value = serde_json::from_slice(&some.body().await).unwrap();
            assert_eq!(all["manifests"].as_array().unwrap().len(), 2);
            assert_eq!(some["manifests"][0]["digest"], one.to_string());
            assert_eq!(some["manifests"].as_array().unwrap().len(), 1);
        }
    }
}

#[tokio::test]
async fn a_content_network_speaks_for_nobody() {
    let storage = FakeRegistry::start().await;
    let registry = FakeRegistry::builder()
        .content_of(&storage)
        .habit(Fault::on(Kind::BlobGet).redirect(
            307,
            format!("{}/storage/{{digest}}?signature=x", storage.url()),
        ))
        .start()
        .await;
    let digest = registry.repository("app").blob(noise(1, 10));
    let path = format!("/v2/app/blobs/{digest}");
    let reply = Client::new(registry.address()).get(&path).send().await;
    let target = format!("/storage/{digest}?signature=x");
    let location = reply.header("location").unwrap();
    assert_eq!(location.strip_prefix(storage.url()), Some(&*target));
    let client = Client::new(storage.address());
    let reply = client.get(&target).send().await;
    assert_eq!(reply.header("docker-distribution-api-version"), None);
    assert_eq!(reply.body().await, noise(1, 10));
    let twice = client.get(&target).header("authorization", "Bearer x");
    assert_eq!(twice.send().await.status, 400);
    let none = client.get("/storage/none").send().await;
    assert_eq!(none.body().await, "<Error><Code>NoSuchKey</Code></Error>");
}

#[tokio::test]
async fn documents_may_have_more_in_them_than_they_should() {
    let more = Fault::on(Kind::Tags).edit(|document| document["tags"] = Value::Null);
    let registry = FakeRegistry::builder().habit(more).start().await;
    registry.repository("app").blob(noise(1, 10));
    let client = Client::new(registry.address());
    let reply = client.get("/v2/app/tags/list").send().await;
    assert_eq!(reply.body().await, r#"{"name":"app","tags":null}"#);
}
