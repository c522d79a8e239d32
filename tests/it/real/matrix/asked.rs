//! A cold pull asks the registry for each thing once, and a warm one for nothing.

use super::super::support::{Image, Larder, REPOSITORY, Road};
use super::{By, Client, WAYS, Wire};

for_each_client!(a_cold_pull_asks_once_and_a_warm_one_not_at_all);

fn a_cold_pull_asks_once_and_a_warm_one_not_at_all(client: Client, wire: Wire) {
    let image = Image::small();
    let authority = wire.authority();
    for by in WAYS {
        let registry = image.registry();
        let mut setup = client.setup();
        setup.authority = authority.as_ref();
        let larder = Larder::set_up(registry.port(), &setup);
        let road = Road::new(&larder, larder.port(), authority.as_ref());
        let name = by.name(&image);

        let cold = client.pull(&road, &name).unwrap();
        let mut requests = registry.requests_for(REPOSITORY);
        requests.sort();
        let expected = image.requests_after(&index_requests(client, by, &image));
        assert_eq!(requests, expected, "{by:?}");

        let warm = client.pull(&road, &name).unwrap();
        assert_eq!(
            registry.requests_for(REPOSITORY).len(),
            requests.len(),
            "{by:?}"
        );

        let straight = client.pull_straight(&registry, &name);
        assert_eq!(cold, straight, "{by:?}");
        assert_eq!(warm, straight, "{by:?}");
    }
}

/// Returns the requests by which larder finds the index for this client.
fn index_requests(client: Client, by: By, image: &Image) -> Vec<String> {
    let request =
        |method, reference: &str| format!("{method} /v2/{REPOSITORY}/manifests/{reference}");
    let index = image.index().to_string();
    match by {
        By::Tag if client.asks_for_heads() => vec![request("HEAD", "1"), request("GET", &index)],
        By::Tag => vec![request("GET", "1")],
        // It wants to know the media type first.
        By::Digest if client == Client::Containerd => {
            vec![request("HEAD", &index), request("GET", &index)]
        }
        By::Digest => vec![request("GET", &index)],
    }
}
