//! What was pulled once comes again while the registry is stopped, also from a larder that was started again.

use super::super::support::{Image, Larder, Road};
use super::{By, Client, WAYS, Wire};

for_each_client!(what_was_pulled_comes_without_the_registry);

fn what_was_pulled_comes_without_the_registry(client: Client, wire: Wire) {
    let image = Image::small();
    let mut registry = image.registry();
    let authority = wire.authority();
    let mut setup = client.setup();
    setup.authority = authority.as_ref();
    // Each pull would rather ask the registry.
    setup.freshness = "always";
    let mut larder = Larder::set_up(registry.port(), &setup);
    let straight = WAYS.map(|by| client.pull_straight(&registry, &by.name(&image)));
    let assert_here = |larder: &Larder, ways: &[By], what: &str| {
        let road = Road::new(larder, larder.port(), authority.as_ref());
        for by in ways {
            let pulled = client.pull(&road, &by.name(&image)).unwrap();
            assert_eq!(pulled, straight[*by as usize], "{what}: {by:?}");
        }
    };

    assert_here(&larder, &[By::Tag], "registry running");
    registry.stop();
    assert_here(&larder, &WAYS, "registry stopped");
    larder.stop();
    larder.start();
    assert_here(&larder, &WAYS, "registry stopped, and larder started again");
}
