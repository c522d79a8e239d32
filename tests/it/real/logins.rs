//! A registry that lets in only who has a login: by password, and by tokens of a service of another address.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::support::token_service::Visitor;
use super::support::{
    Door, Image, Larder, PASSWORD, Platforms, REPOSITORY, Registry, Skopeo, TokenService, USER,
};

/// How often a wrong password is shown at most before it is left alone: it is when two requests were refused, and each
/// time it is shown once more, to find out whether the refusal is about the password.
const SHOWN: usize = 4;

/// How many pulls try a wrong password: more than it takes until it is left alone.
const PULLS: usize = 4;

/// The key and the file of a login with a password.
const KEYS: &str = "credentials = { username = 'reader', password_file = 'password' }";
const FILES: [(&str, &str); 1] = [("password", PASSWORD)];

/// Returns a name of the image, as `larder inspect` wants it.
fn tagged(tag: &str) -> String {
    format!("{REPOSITORY}:{tag}")
}

/// Pulls the image for all platforms through larder, by this name, and compares it.
fn assert_pulled(image: &Image, reference: &str) {
    let pulled = Skopeo::new().pull(Platforms::All, reference);
    assert_eq!(&pulled, image.pulled());
}

/// Pulls something that does not come, and returns what skopeo says.
fn refused(larder: &Larder) -> String {
    let skopeo = Skopeo::new();
    let pull = skopeo.start_pull(Platforms::All, &larder.reference(&tagged("1")));
    pull.fail()
}

/// Pulls with a wrong password until it is left alone, and longer.
fn refused_for_a_wrong_password(larder: &Larder) {
    const REFUSED: &str = "the login that is configured for it was refused by 127.0.0.1:";
    assert_told(&refused(larder), &["manifest unknown", REFUSED]);
    for _ in 1..PULLS {
        let told = refused(larder);
        // Once it is left alone, larder does not know whether there is such an image.
        let is_known = told.contains(REFUSED) || told.contains("502 Bad Gateway");
        assert!(is_known, "{told}");
    }
}

/// Fails when a registry let anybody in but the user.
fn assert_only_user(registry: &Registry) {
    assert_eq!(
        registry.users(REPOSITORY),
        BTreeSet::from([USER.to_owned()])
    );
}

/// Fails when a text lacks one of these.
fn assert_told(text: &str, told: &[&str]) {
    for part in told {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

#[test]
#[ignore = "needs docker-registry and skopeo (.ci/run installs them)"]
fn a_private_image_comes_whole_and_is_asked_for_once() {
    let image = Image::published();
    let registry = image.registry_behind(&Door::Password);
    let larder = Larder::with_keys(registry.port(), KEYS, &FILES);

    assert_pulled(&image, &larder.reference(&tagged("1")));
    assert_only_user(&registry);
    let mut requests = registry.requests();
    requests.sort();
    // Whether everybody may see it is asked without the login.
    let mut expected = image.requests();
    expected.push(format!("HEAD /v2/{REPOSITORY}/manifests/1"));
    assert_eq!(requests, expected);

    assert_pulled(&image, &larder.reference(&tagged("1")));
    assert_eq!(registry.requests().len(), requests.len());
}

#[test]
#[ignore = "needs docker-registry and skopeo (.ci/run installs them)"]
fn a_private_image_is_refused_without_a_login() {
    let image = Image::published();
    let registry = image.registry_behind(&Door::Password);
    let larder = Larder::before(registry.port(), "10m");

    let advice = "or needs a login, and none is configured for it";
    assert_told(
        &refused(&larder),
        &["manifest unknown", "refused with 401", advice],
    );
    for command in [["tags", REPOSITORY], ["inspect", &tagged("1")]] {
        let talk = larder.failure(4, &command);
        assert_told(
            &talk,
            &["or needs a login: none is configured", "credentials"],
        );
    }
    assert_eq!(registry.users(REPOSITORY), BTreeSet::new());
    assert_eq!(registry.wrong_passwords(), 0);
}

#[test]
#[ignore = "needs docker-registry and skopeo (.ci/run installs them)"]
fn a_wrong_password_is_told_and_then_left_alone() {
    let image = Image::published();
    let registry = image.registry_behind(&Door::Password);
    let larder = Larder::with_keys(registry.port(), KEYS, &[("password", "wrong")]);

    refused_for_a_wrong_password(&larder);
    let shown = registry.wrong_passwords();
    assert!((1..=SHOWN).contains(&shown), "{shown}");

    for command in [["tags", REPOSITORY], ["inspect", &tagged("1")]] {
        let talk = larder.failure(6, &command);
        assert_told(
            &talk,
            &["the login 'user reader' was refused", "check the login"],
        );
        assert!(!talk.contains("wrong"), "{talk}");
    }
    // Each command begins anew.
    let shown = registry.wrong_passwords() - shown;
    assert!((2..=2 * SHOWN).contains(&shown), "{shown}");
    assert_eq!(registry.users(REPOSITORY), BTreeSet::new());
}

#[test]
#[ignore = "needs docker-registry and skopeo (.ci/run installs them)"]
fn private_repositories_are_looked_at_and_the_login_is_told() {
    let image = Image::published();
    let registry = image.registry_behind(&Door::Password);
    let larder = Larder::with_keys(registry.port(), KEYS, &FILES);

    assert_eq!(larder.answer(&["tags", REPOSITORY]), "1\ndocker\n");
    let told = larder.answer(&["inspect", &tagged("1")]);
    let digest = image.index().to_string();
    assert_told(
        &told,
        &["logged in as: user reader", &digest, "linux/arm64"],
    );

    let talk = larder.failure(4, &["tags", "library/other"]);
    assert_told(&talk, &["does not exist", "user reader"]);
    let talk = larder.failure(4, &["inspect", "library/other:1"]);
    assert_told(&talk, &["does not exist", "user reader"]);
    let talk = larder.failure(5, &["inspect", &tagged("2")]);
    assert_told(&talk, &["has no tag '2'", "`larder tags"]);
}

#[test]
#[ignore = "needs docker-registry and skopeo (.ci/run installs them)"]
fn logins_come_from_files_of_docker_and_podman() {
    let image = Image::published();
    let registry = image.registry_behind(&Door::Password);
    let login = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let file = format!(r#"{{ "auths": {{ "up.test": {{ "auth": "{login}" }} }} }}"#);
    let keys = "credentials = { auth_file = 'config.json' }";
    let larder = Larder::with_keys(registry.port(), keys, &[("config.json", &file)]);
    assert_pulled(&image, &larder.reference(&tagged("1")));
    let told = larder.answer(&["inspect", &tagged("1")]);
    assert_told(&told, &["logged in as: ", "config.json"]);
    drop(larder);

    let skopeo = Skopeo::new();
    let address = format!("127.0.0.1:{}", registry.port());
    skopeo.log_in(&address, USER, PASSWORD);
    let larder = Larder::of_user(registry.port(), skopeo.home());
    assert_pulled(&image, &larder.default_reference(&tagged("1")));
    let told = larder.answer(&["inspect", &tagged("1")]);
    assert_told(&told, &["logged in as: ", "auth.json"]);
    assert_only_user(&registry);
    assert_eq!(registry.wrong_passwords(), 0);
}

#[test]
#[ignore = "needs docker-registry and skopeo (.ci/run installs them)"]
fn a_token_service_that_is_named_gets_the_login_and_the_registry_gets_a_token() {
    let image = Image::published();
    let service = TokenService::start();
    let registry = image.registry_behind(&service.door());
    let keys = format!("{KEYS}\ntoken_hosts = ['{}']", service.host());
    let larder = Larder::with_keys(registry.port(), &keys, &FILES);

    assert_pulled(&image, &larder.reference(&tagged("1")));
    // Only a token that the service has signed lets anybody in, and only the right password makes it name the user.
    assert_only_user(&registry);
    let visitors = service.visitors();
    assert!(visitors.contains(&Visitor::User), "{visitors:?}");
    assert!(!visitors.contains(&Visitor::Stranger), "{visitors:?}");

    let asked = (registry.requests().len(), visitors.len());
    assert_pulled(&image, &larder.reference(&tagged("1")));
    assert_eq!((registry.requests().len(), service.visitors().len()), asked);
    assert_eq!(larder.answer(&["tags", REPOSITORY]), "1\ndocker\n");
    let talk = larder.failure(5, &["inspect", &tagged("2")]);
    assert_told(&talk, &["has no tag '2'"]);
}

#[test]
#[ignore = "needs docker-registry and skopeo (.ci/run installs them)"]
fn a_token_service_of_another_address_does_not_get_the_login() {
    let image = Image::published();
    let service = TokenService::start();
    let registry = image.registry_behind(&service.door());
    let larder = Larder::with_keys(registry.port(), KEYS, &FILES);

    // The registry was never asked with the login. Of what larder says then, skopeo shows the status alone.
    assert_told(&refused(&larder), &["502 Bad Gateway"]);
    let told = ["the login 'user reader' is not shown", "token_hosts"];
    for command in [["tags", REPOSITORY], ["inspect", &tagged("1")]] {
        assert_told(&larder.failure(6, &command), &told);
    }
    let visitors: BTreeSet<Visitor> = service.visitors().into_iter().collect();
    assert_eq!(visitors, BTreeSet::from([Visitor::Nobody]));
    assert_eq!(registry.users(REPOSITORY), BTreeSet::new());
}

#[test]
#[ignore = "needs docker-registry and skopeo (.ci/run installs them)"]
fn a_token_service_refuses_a_wrong_password_and_is_then_left_alone() {
    let image = Image::published();
    let service = TokenService::start();
    let registry = image.registry_behind(&service.door());
    let keys = format!("{KEYS}\ntoken_hosts = ['{}']", service.host());
    let larder = Larder::with_keys(registry.port(), &keys, &[("password", "wrong")]);

    refused_for_a_wrong_password(&larder);
    let strangers = service.visitors().into_iter();
    let strangers = strangers.filter(|it| *it == Visitor::Stranger).count();
    assert!((1..=SHOWN).contains(&strangers), "{strangers}");
    let talk = larder.failure(6, &["inspect", &tagged("1")]);
    assert_told(&talk, &["incorrect username or password"]);
    assert_eq!(registry.users(REPOSITORY), BTreeSet::new());
}
