//! What only a login can pull comes to clients on this machine, and to others where it is shared with everyone.

use std::collections::BTreeSet;

use super::super::support::larder::Clients;
use super::super::support::{Door, Gate, Image, Larder, PASSWORD, REPOSITORY, Road, USER};
use super::{By, Client, Wire};

/// The keys and the file of a login.
const KEYS: &str = "credentials = { username = 'reader', password_file = 'password' }";
const SHARED: &str =
    "credentials = { username = 'reader', password_file = 'password' }\nshare = 'everyone'";
const FILES: [(&str, &str); 1] = [("password", PASSWORD)];

for_each_client!(a_private_image_is_for_those_who_may_have_it);

fn a_private_image_is_for_those_who_may_have_it(client: Client, wire: Wire) {
    let image = Image::small();
    let registry = image.registry_behind(&Door::Password);
    let authority = wire.authority();
    let mut here = client.setup();
    here.authority = authority.as_ref();
    (here.keys, here.files) = (KEYS, &FILES);
    let (mut elsewhere, mut shared) = (here, here);
    elsewhere.clients = Clients::Elsewhere;
    (shared.clients, shared.keys) = (Clients::Elsewhere, SHARED);
    let name = By::Tag.name(&image);
    let straight = client.pull_straight(&image.registry(), &name);

    let mut larder = Larder::set_up(registry.port(), &elsewhere);
    let gate = Gate::from_elsewhere(larder.port());
    let pull = |larder: &Larder, port: u16| {
        client.pull(&Road::new(larder, port, authority.as_ref()), &name)
    };
    pull(&larder, gate.port()).unwrap_err();
    // Nothing was asked with the login for somebody who may not have what it gets.
    assert_eq!(registry.users(REPOSITORY), BTreeSet::new());

    larder.set_up_again(&here);
    assert_eq!(pull(&larder, larder.port()).unwrap(), straight);
    assert_eq!(
        registry.users(REPOSITORY),
        BTreeSet::from([USER.to_owned()])
    );

    // That it is in the cache changes nothing.
    let asked = registry.requests_for(REPOSITORY).len();
    larder.set_up_again(&elsewhere);
    pull(&larder, gate.port()).unwrap_err();
    larder.set_up_again(&shared);
    assert_eq!(pull(&larder, gate.port()).unwrap(), straight);
    assert_eq!(registry.requests_for(REPOSITORY).len(), asked);
}
