//! `larder healthcheck`: what the health check of a container is told.

use std::net::SocketAddr;

use super::Larder;
use super::doors::{activated, listener};
use crate::support::FakeRegistry;

#[tokio::test]
async fn a_larder_is_healthy_while_it_serves() {
    let registry = FakeRegistry::start().await;
    let ((socket, address), (registry_socket, _)) = (listener(), listener());
    let larder = asking(&registry, address);
    let command = larder.command(&["serve"]);
    let command = activated(&command, [socket, registry_socket], "metrics:registry");
    let running = larder.begin(command).await;
    let told = larder.operate(&["healthcheck"]).await.answer();
    assert_eq!(told, "");
    running.stop().await;
    let told = larder.operate(&["healthcheck"]).await.failure(1);
    assert!(
        told.contains(&format!("no larder answers at {address}")),
        "{told}"
    );
}

#[tokio::test]
async fn a_larder_at_an_address_is_healthy_whatever_is_in_its_file() {
    let registry = FakeRegistry::start().await;
    let ((socket, address), (registry_socket, _)) = (listener(), listener());
    let mut larder = asking(&registry, address);
    let command = larder.command(&["serve"]);
    let command = activated(&command, [socket, registry_socket], "metrics:registry");
    let running = larder.begin(command).await;
    larder.config.push_str("no configuration");
    larder.operate(&["healthcheck"]).await.failure(2);
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("http://{host}:{}", address.port());
        let told = larder.operate(&["healthcheck", "--url", &url]).await;
        assert_eq!(told.answer(), "", "{url}");
    }
    running.stop().await;
    let url = format!("http://{address}");
    let told = larder.operate(&["healthcheck", "--url", &url]).await;
    let told = told.failure(1);
    assert!(
        told.contains(&format!("no larder answers at {url}")),
        "{told}"
    );
}

#[tokio::test]
async fn what_answers_something_else_or_nothing_is_not_healthy() {
    let registry = FakeRegistry::start().await;
    // It has no such path.
    let larder = asking(&registry, registry.address());
    let told = larder.run(&["healthcheck"]).await.failure(1);
    assert!(told.contains("is not ready: it answered 4"), "{told}");
    // It listens, and never says anything.
    let (_silent, address) = listener();
    let told = asking(&registry, address).run(&["healthcheck"]).await;
    let told = told.failure(1);
    assert!(told.contains("did not answer within 3 seconds"), "{told}");
}

#[tokio::test]
async fn without_an_address_there_is_nobody_to_ask() {
    let larder = Larder::knowing(&FakeRegistry::start().await);
    let told = larder.run(&["healthcheck"]).await.failure(2);
    assert!(
        told.contains("server.metrics_listen is not configured"),
        "{told}"
    );
}

/// A larder whose health is asked for at an address.
fn asking(registry: &FakeRegistry, address: SocketAddr) -> Larder {
    let mut larder = Larder::knowing(registry);
    let metrics = format!("metrics_listen = '{address}'\n[cache]");
    larder.config = larder.config.replacen("[cache]", &metrics, 1);
    larder
}
