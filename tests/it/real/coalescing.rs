//! What larder asks of the registry: each thing once, and nothing that it has.

use super::support::{Gate, Image, Larder, Platforms, REPOSITORY, Skopeo, until};

/// How many clients pull at once.
const CLIENTS: usize = 8;

/// What passes before the gate holds: inside the large layer, beyond all else.
const PART: usize = 8 << 20;

#[test]
#[ignore = "needs docker-registry and skopeo (.ci/run installs them)"]
fn a_cold_pull_asks_for_each_thing_once_and_a_warm_one_for_nothing() {
    let image = Image::published();
    let registry = image.registry();
    let larder = Larder::before(registry.port(), "10m");
    let skopeo = Skopeo::new();
    let tag = larder.reference(&format!("{REPOSITORY}:1"));

    assert_eq!(&skopeo.pull(Platforms::All, &tag), image.pulled());
    let mut requests = registry.requests();
    requests.sort();
    assert_eq!(requests, image.requests());

    assert_eq!(&skopeo.pull(Platforms::All, &tag), image.pulled());
    assert_eq!(registry.requests().len(), requests.len());
}

#[test]
#[ignore = "needs docker-registry and skopeo (.ci/run installs them)"]
fn clients_that_pull_at_once_share_each_transfer_while_it_runs() {
    let image = Image::published();
    let registry = image.registry();
    let gate = Gate::before(registry.port(), PART);
    let larder = Larder::before(gate.port(), "10m");
    let clients: Vec<Skopeo> = (0..CLIENTS).map(|_| Skopeo::new()).collect();
    let tag = larder.reference(&format!("{REPOSITORY}:1"));

    let pulls: Vec<_> = clients
        .iter()
        .map(|skopeo| skopeo.start_pull(Platforms::All, &tag))
        .collect();
    gate.wait_until_holding();
    // All other blobs together are smaller than this: so much of one file is a part of the large layer.
    until("each client has a part of the layer that is held", || {
        let has_part = |size: u64| size > PART as u64 / 2;
        pulls
            .iter()
            .all(|pull| has_part(pull.received()))
            .then_some(())
    });
    gate.open();
    for pull in pulls {
        assert_eq!(&pull.finish(), image.pulled());
    }
    let mut requests = registry.requests();
    requests.sort();
    assert_eq!(requests, image.requests());
}
