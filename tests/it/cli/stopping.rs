//! How larder stops while answers are under way.

use std::process::Stdio;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Larder;
use crate::support::{FakeRegistry, Fault, Image, Kind, noise, within};

#[tokio::test]
async fn answers_under_way_are_cut_when_the_time_to_drain_is_over() {
    let registry = FakeRegistry::start().await;
    let image = Image::with_layers([noise(1, 1 << 20)]);
    let pushed = image.push_as(&registry.repository("app"), "1");
    let layer = &pushed.layers[0];
    // It never goes on: only the setting ends the answer before the test gives up.
    let _stalled = registry.inject(Fault::on(Kind::BlobGet).stall_after(300_000));
    let larder = Larder::knowing(&registry);
    let mut command = larder.command(&["serve"]);
    command
        .env("LARDER_SERVER__DRAIN_TIMEOUT", "0")
        .stdout(Stdio::null());
    let running = larder.begin(command).await;

    let mut client = TcpStream::connect(running.address()).await.unwrap();
    let request = format!("GET /v2/app/blobs/{layer} HTTP/1.1\r\nhost: larder\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut begin = [0; 12];
    within("an answer", client.read_exact(&mut begin))
        .await
        .unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200");

    let said = running.stop().await;
    assert!(said.contains("were cut"), "{said}");
}
