//! Replays what strangers have sent, and changes it a little, again and again, in the same way each time.
//!
//! `LARDER_FUZZ_ROUNDS` says how often; with cargo-fuzz, a target is
//! `fuzz_target!(|bytes: &[u8]| targets::challenge(bytes))`, with `targets.rs` included by its path. What breaks a target
//! goes to its folder in `corpus`.

mod mutation;
mod targets;

use std::panic::catch_unwind;
use std::path::Path;
use std::{env, fs};

use mutation::Mutations;

/// How often the inputs of a target are changed. In all it takes less than a second.
const ROUNDS: u64 = 20_000;

#[test]
fn challenges() {
    run("challenge", targets::challenge);
}

#[test]
fn routes() {
    run("route", targets::route);
}

#[test]
fn manifests() {
    run("manifest", targets::manifest);
}

#[test]
fn ranges() {
    run("range", targets::range);
}

#[test]
fn proxy_headers() {
    run("proxy_header", targets::proxy_header);
}

#[test]
fn forwarded() {
    run("forwarded", targets::forwarded);
}

fn run(name: &str, target: fn(&[u8])) {
    let corpus = corpus(name);
    let check = |bytes: &[u8]| {
        let shown = bytes.escape_ascii();
        assert!(
            catch_unwind(|| target(bytes)).is_ok(),
            "{name} breaks at: {shown}"
        );
    };
    corpus.iter().for_each(|bytes| check(bytes));
    let rounds = env::var("LARDER_FUZZ_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let mut mutations = Mutations::of(&corpus);
    for _ in 0..rounds {
        check(&mutations.next());
    }
}

/// Returns the inputs of a target, in the order of their names.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(name);
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{name} has no inputs");
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}
