//! How a configuration that changed comes into force while larder serves.

use rustix::process::Signal;
use serde_json::json;

use super::Larder;
use crate::support::{FakeRegistry, Fault, Image, Kind, noise, within};

/// A registry with an image.
async fn registry() -> FakeRegistry {
    let registry = FakeRegistry::start().await;
    Image::with_layers([noise(1, 10)]).push_as(&registry.repository("app"), "1");
    registry
}

/// Lines that make another registry known.
fn another(registry: &FakeRegistry) -> String {
    format!(
        "[[upstream]]\nname = 'other.test'\nendpoints = ['{}']",
        registry.url()
    )
}

#[tokio::test]
async fn a_registry_that_is_added_can_be_pulled_from_and_the_others_are_not_asked_again() {
    let (first, second) = (registry().await, registry().await);
    let larder = Larder::knowing(&first);
    let running = larder.serve().await;
    running.pull("app", "1").await;
    let before = first.requests().len();
    let client = running.client();
    let refused = client.get("/v2/other.test/app/manifests/1").send().await;
    assert_eq!(refused.status, 403);
    let larder = larder.and(&another(&second));
    let told = larder.operate(&["reload"]).await.answer();
    assert!(told.ends_with("; changed: upstream other.test\n"), "{told}");
    running.pull("other.test/app", "1").await;
    running.pull("app", "1").await;
    assert_eq!(first.requests().len(), before);
    let nothing = larder.operate(&["reload"]).await.answer();
    assert!(nothing.starts_with("nothing changes: "), "{nothing}");
    running.stop().await;
}

#[tokio::test]
async fn a_configuration_with_a_fault_changes_nothing() {
    let (first, second) = (registry().await, registry().await);
    let larder =
        Larder::knowing(&first).and("[admin]\nlisten = '127.0.0.1:0'\ntoken_file = 'token'");
    let token = larder.folder.path().join("token");
    std::fs::write(&token, "0123456789abcdef").unwrap();
    let mut running = larder.serve().await;
    let faulty = larder.and(&another(&second)).and("freshnes = '1h'");
    // Who has the file is shown where it is wrong; who has not, hears it of the larder.
    let talk = faulty.operate(&["reload"]).await.failure(2);
    assert!(talk.contains("| freshnes = '1h'"), "{talk}");
    let url = format!("http://{}", running.admin());
    let remote = [
        "--admin-url",
        &url,
        "--admin-token-file",
        token.to_str().unwrap(),
    ];
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_larder"));
    command.arg("reload").args(remote).env_clear();
    let output = within("a command", command.output()).await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    let talk = String::from_utf8(output.stderr).unwrap();
    for told in [
        "larder.toml:",
        "unknown key 'freshnes'",
        "nothing is changed",
        "hint: `larder check`",
    ] {
        assert!(talk.contains(told), "{talk}");
    }
    let line = running.says("fault in the configuration").await;
    assert_eq!(line["level"], "WARN");
    let client = running.client();
    let refused = client.get("/v2/other.test/app/manifests/1").send().await;
    assert_eq!(refused.status, 403);
    running.pull("app", "1").await;
    running.stop().await;
}

#[tokio::test]
async fn a_signal_has_it_read_and_so_has_a_file_that_changed() {
    let (first, second) = (registry().await, registry().await);
    let larder = Larder::knowing(&first);
    let mut running = larder.serve().await;
    running.signal(Signal::HUP);
    running.says("was read again: nothing changes").await;
    let larder = larder.and(&another(&second));
    larder.write();
    let line = running.says("was read again, and is in force").await;
    assert_eq!(line["config.changed"], "upstream other.test");
    running.pull("other.test/app", "1").await;
    running.stop().await;
}

#[tokio::test]
async fn what_needs_a_restart_is_said() {
    let larder = Larder::knowing(&registry().await);
    let running = larder.serve().await;
    let larder = larder.and("[admin]\nlisten = '127.0.0.1:0'\ntoken_file = 'token'");
    std::fs::write(larder.folder.path().join("token"), "0123456789abcdef").unwrap();
    let told = larder.operate(&["reload", "--output", "json"]).await.json();
    assert_eq!(told["changed"], json!([]));
    assert_eq!(
        told["needs_restart"],
        json!(["admin.listen", "admin.token_file"])
    );
    running.stop().await;
}

#[tokio::test]
async fn what_is_under_way_goes_on_though_its_registry_is_asked_elsewhere_now() {
    let (first, second) = (FakeRegistry::start().await, registry().await);
    let content = noise(1, 1 << 20);
    let layer = first.repository("app").blob(content.clone());
    let gate = first.inject(Fault::on(Kind::BlobGet).stall_after(300_000));
    let mut larder = Larder::knowing(&first);
    let running = larder.serve().await;
    let path = format!("/v2/app/blobs/{layer}");
    let reply = running.client().get(&path).send().await;
    gate.reached().await;
    larder.config = larder.config.replace(first.url(), second.url());
    let told = larder.operate(&["reload"]).await.answer();
    assert!(told.ends_with("; changed: upstream up.test\n"), "{told}");
    running.pull("app", "1").await;
    assert!(!second.requests().is_empty());
    gate.open();
    assert_eq!(reply.body().await, content);
    running.stop().await;
}

#[tokio::test]
async fn a_file_that_is_gone_leaves_what_was_read() {
    let registry = registry().await;
    let larder = Larder::knowing(&registry);
    let file = larder.write();
    let mut command = larder.command(&["serve"]);
    let folder = file.parent().unwrap();
    // It is found in the working folder: no flag says that it has to be there.
    let program = command.as_std().get_program().to_owned();
    command = tokio::process::Command::new(program);
    command
        .arg("serve")
        .current_dir(folder)
        .env_clear()
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true);
    let mut running = larder.begin(command).await;
    std::fs::remove_file(&file).unwrap();
    running.signal(Signal::HUP);
    let line = running.says("the file is gone").await;
    assert_eq!(line["level"], "WARN");
    running.pull("app", "1").await;
    running.stop().await;
}

#[tokio::test]
async fn what_was_refused_because_of_a_file_is_tried_again_when_that_file_is_mended() {
    let (first, second) = (registry().await, registry().await);
    let larder = Larder::knowing(&first);
    let mut running = larder.serve().await;
    let password = larder.folder.path().join("password");
    std::fs::create_dir(&password).unwrap();
    let login = "credentials = { username = 'ada', password_file = 'password' }";
    let larder = larder.and(&another(&second)).and(login);
    larder.write();
    running.says("cannot be used: nothing is changed").await;
    std::fs::remove_dir(&password).unwrap();
    std::fs::write(&password, "secret").unwrap();
    let line = running.says("was read again, and is in force").await;
    assert_eq!(line["config.changed"], "upstream other.test");
    running.stop().await;
}
