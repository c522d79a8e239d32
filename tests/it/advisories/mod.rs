//! What went wrong in other registries, proxies and clients, and must not here: each advisory that concerns a
//! pull-through proxy is a test by its name. What several advisories teach is tested under the first of them.
//!
//! | advisory | what happened | where |
//! |---|---|---|
//! | GHSA-3p65-76g6-3w7r / CVE-2026-33540 (Distribution) | logins went to any realm | `credentials` |
//! | GHSA-xf85-363p-868w / CVE-2026-48978, GHSA-28r5-37g7-p6mp, GHSA-vh4v-2xq2-g5cg, GHSA-jxpm-75mh-9fp7 / CVE-2026-50151 (oras-go); go-containerregistry #2193; CVE-2026-12566 (BBOT); GHSA-78h6-3wp8-2542 (Artifact Keeper) | `Authorization` followed redirects, TLS was given up, realms and redirects led inside | `redirects`, `addresses` |
//! | CVE-2020-15157 / GHSA-742w-89gc-8m9c (containerd); GHSA-qvqc-4c52-x6qp (regclient); GHSA-rp3h-jf77-q9p4 / CVE-2026-53495 (containerd) | `urls` of layers were followed, with logins | `redirects` |
//! | CVE-2026-32591, CVE-2026-2376 (Quay); GHSA-g2rq-jv54-wcpr, GHSA-chwm-m7g7-685g (Dragonfly); Artifact Keeper #2570 | users and redirects chose what address is gone to | `addresses` |
//! | GHSA-55r9-5mx9-qq7r / CVE-2024-39897 (Zot) | a blob was readable through any repository | `sight` |
//! | GHSA-f2g3-hh2r-cwgc / CVE-2026-35172 (Distribution) | what was remembered gave back an access that was lost | `sight` |
//! | GHSA-6pjf-3r9x-m592 / CVE-2026-41888 (Distribution); GHSA-qg67-7m6v-qg25, GHSA-85jx-fm8m-x8c6 / CVE-2026-31801 (Zot) | a method or a kind of reference was forgotten | `sight` |
//! | Harbor #23675 (c080060316) | who was called `scanner-…` could push into a cache | `sight` |
//! | CVE-2025-4374 (Quay) | who pulled first owned the repository | `sight` |
//! | rpardini (design) | the cache knew neither registry nor login | `sight`, `credentials` (its log) |
//! | mcronce (design) | anybody could delete | `sight` |
//! | CVE-2024-6915 (Artifactory) | a cache was poisoned | `content` |
//! | CVE-2025-24882 / GHSA-qv35-3gw6-8q4j (regclient) | another manifest than the pinned one was taken | `content` |
//! | CVE-2021-41190 (GHSA-mc8v-mgrf-8f4m, GHSA-77vh-xpmg-72qh, GHSA-qq97-vm5h-rrhg, GHSA-5j5w-g665-5m35) | one document was two things | `content` |
//! | CVE-2024-3727 / GHSA-6wvf-f2vw-3425 (containers/image) | digests were paths | `content` |
//! | GHSA-79hx-3fp8-hj66 (Dragonfly) | peers chose what file is written | `content` |
//! | GHSA-mcvp-rpgg-9273 (Dragonfly) | what peers sent was hardly verified | `content` |
//! | GHSA-hqxw-f8mx-cpmw / CVE-2023-2253 (Distribution); Zot #3977, #3978 | what strangers count or send was kept in memory | `bounds` |
//! | GHSA-f36w-mj3v-6jqv (oras-go) | a size was believed before the bytes came | `bounds` |
//! | GHSA-4q9j-6299-gxmr (Dragonfly) | a secret was told by the API | `credentials` |
//! | CVE-2025-27403 (Ratify) | what opens a cloud was offered to another registry | `credentials` |
//! | moby #30880, #42022; CVE-2021-41092 (docker) | logins went to the wrong host | `credentials` |
//! | no advisories: what Angos, NORA, Zot, Artifact Keeper and Distribution do by design | failures became absences, other registries were asked instead, what is old was served for ever | `honesty` |
//!
//! These do not concern us, as long as larder has nothing of the kind:
//!
//! | advisory | why not |
//! |---|---|
//! | CVE-2025-24976 (Distribution) | larder reads no tokens of clients |
//! | GHSA-hpc8-7wpm-889w / CVE-2023-27584 (Dragonfly) | it signs none either, and has no secret of its own |
//! | GHSA-j8hf-cp34-g4j7 / CVE-2026-24124 (Dragonfly) | there are no jobs to be given over the network |
//! | GHSA-c9p4-xwr9-rfhx (Zot) | there are no users and no groups |
//! | CVE-2026-32589 (Quay) | nothing is uploaded |
//! | GHSA-hw28-333w-qxp3, CVE-2022-31670 (Harbor) | nothing has an identifier but repositories and digests, for which see GHSA-55r9 |

mod addresses;
mod bounds;
mod content;
mod credentials;
mod honesty;
mod log;
mod redirects;
mod sight;

use std::collections::BTreeSet;
use std::path::Path;

use http::Method;
use serde_json::Value;

use crate::support::fake::{Request, Shown};
use crate::support::image::PushedImage;
use crate::support::proxy::TestProxyBuilder;
use crate::support::{FakeRegistry, Image, Reply, TestProxy, noise};

/// The user and the password that must not get to strangers.
const LOGIN: (&str, &str) = ("acme", "hunter2");

/// Puts an image of one layer into a repository, as `1`; into each another one.
fn push(registry: &FakeRegistry, repository: &str) -> PushedImage {
    let seed = repository.bytes().map(u64::from).sum();
    let image = Image::with_layers([noise(seed, 100_000)]);
    image.push_as(&registry.repository(repository), "1")
}

/// A larder that logs in at a registry, `up.test`, and shares what it sees there.
fn logged_in(registry: &FakeRegistry) -> TestProxyBuilder {
    let builder = TestProxy::builder().upstream("up.test", registry);
    builder.login(LOGIN.0, LOGIN.1).shares("**")
}

/// Returns the address of a registry under another name, which only a proxy on the way out knows.
fn under(name: &str, registry: &FakeRegistry) -> String {
    registry.url().replace("127.0.0.1", name)
}

/// Gets something, and returns the status.
async fn status(proxy: &TestProxy, path: &str) -> u16 {
    let reply = proxy.get(path).await;
    let status = reply.status.as_u16();
    reply.rest().await;
    status
}

/// Asks as a proxy does for a client on another machine.
async fn elsewhere(proxy: &TestProxy, method: Method, path: &str) -> Reply {
    let client = proxy.client();
    let ask = client.request(method, path);
    ask.header("x-forwarded-for", "192.0.2.1").send().await
}

/// Reads a refusal: its status and code.
async fn refusal(reply: Reply) -> (u16, String) {
    assert_eq!(reply.header("www-authenticate"), None);
    let status = reply.status.as_u16();
    let body: Value = serde_json::from_slice(&reply.body().await).unwrap();
    (
        status,
        body["errors"][0]["code"].as_str().unwrap().to_owned(),
    )
}

/// Tells whether a request shows a login: in a header, in a form, or by a token that was got with it.
fn has_login(request: &Request) -> bool {
    match &request.shown {
        Shown::Password { .. } => true,
        Shown::Token(grant) => grant.user().is_some(),
        Shown::Nothing | Shown::Unknown => false,
    }
}

/// Expects that a place was asked, and that it was shown nothing: no login, no token, not even a name.
fn expect_shown_nothing(place: &FakeRegistry) {
    let requests = place.requests();
    assert!(!requests.is_empty());
    for request in requests {
        for name in ["authorization", "proxy-authorization", "cookie"] {
            assert_eq!(request.header(name), None, "{request}");
        }
        assert!(request.body.is_empty(), "{request}");
        assert!(request.query("account").is_empty(), "{request}");
    }
}

/// Returns the names of all files below a folder, and of the folders.
fn names_below(folder: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        names.insert(entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() {
            names.extend(names_below(&entry.path()));
        }
    }
    names
}

/// Tells whether the content of any file below a folder has these bytes in it.
fn is_written_below(folder: &Path, bytes: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return is_written_below(&path, bytes);
        }
        let content = std::fs::read(&path).unwrap();
        content
            .windows(bytes.len())
            .any(|found| found == bytes.as_bytes())
    })
}
