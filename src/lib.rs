//! larder: a caching pull-through proxy for container registries.
//!
//! # The life of a request
//!
//! ```text
//! socket → server/greeting     what a trusted proxy says of the connection, TLS
//!        → server/connection   HTTP/1 or 2, its time limits
//!        → server/route        path and query → Route                          pure
//!        → server/access       who asks, may they → Grant                      decides once
//!        → addressing          name, ns, Host → Target                         pure
//!        → cache               hit, join, fill, check, stale
//!             → store          content by digest, spools; records by key
//!             → upstream       find, ask, authenticate, resume
//!        → server/respond      answer → status, headers, body                  one place
//!          server/error        failure → status, code, words                   one place
//! ```
//!
//! No arrow runs back: the rooms below the server make no HTTP responses, and the server decides nothing about freshness.
//! Which room may use which stands in `tests/architecture.rs` and is checked there.
//!
//! # Four walks
//!
//! **A warm tag.** [`server::route`] reads the path, [`addressing`] finds the one registry that it leads to,
//! [`server::access`] grants the pull. [`cache::visibility`] decides whether this client may look at that repository:
//! what is private is seen by few, and with its login only. [`cache::manifest`] finds the tag's record in memory, and
//! fresh ([`cache::freshness`]), and the manifest's bytes in memory as well: 200. No disk, no registry, no lock that
//! another request holds for long.
//!
//! **A stale tag.** The record is older than the policy of the tag says ([`cache::freshness`]). [`cache::manifest`] asks
//! the registry by one HEAD, however many clients want to know ([`cache::flight`]). The same digest: the record is
//! confirmed. Another: the manifest is fetched *by that digest*, verified and kept, and then the tag moves; where it
//! pointed stays written down ([`cache::history`]). The registry in trouble, or slow, or against it: the policy decides
//! ([`cache::freshness::decision`]) whether the old manifest goes out, which then says so, while asking goes on behind it.
//! Lists of tags and of referrers go the same way ([`cache::list`]).
//!
//! **A missing blob.** [`cache::blob`] joins the fill of that registry and digest, or begins one. The fill
//! ([`cache::fill`]) belongs to nobody: it owns the transfer from the registry ([`upstream::BlobTransfer`] goes on after a
//! break), writes a [spool](store::spool), hashes as it goes, and publishes how far it has come. Each client follows the
//! spool from wherever its range begins, at its own speed; the last 64 KiB wait until the hash is right
//! ([`cache::fill::progress`]). Then the spool becomes the blob, by a rename ([`store::disk`]).
//!
//! **A private repository.** [`cache::backing`] turns the grant into a view: a repository for which a login is configured
//! is asked for without it first, once a day ([`cache::visibility`], [`upstream::openness`]). Who may read what is private
//! is decided there, before anything is asked with the login. The registry demands a token, its token service is shown
//! the login if it is the registry's own (`upstream::auth`), and the login comes from a keyring that reads files again and
//! leaves alone what was refused ([`upstream::credentials`]). Bytes are kept once for all; what the repository has is
//! written down under its login ([`cache::sight`]).
//!
//! # Where things are
//!
//! | room | what it is for |
//! |---|---|
//! | [`oci`] | the vocabulary of the distribution specification: values that cannot be wrong |
//! | [`addressing`] | which upstream, or ours, a name leads to |
//! | [`server`] | the registry API over HTTP |
//! | [`cache`] | answers pulls of other registries' content |
//! | [`answer`] | what the rooms below the server answer with |
//! | [`upstream`] | other registries: ways there, logins, tokens, trust, retries, resume, health, limits |
//! | [`store`] | what is kept: two traits, on disk and in memory |
//! | [`retention`] | what may go: last use, how much is kept, eviction |
//! | [`admin`] | health and metrics; what the operator can have done, over a socket |
//! | [`config`] | the configuration: what may be written, and what is true afterwards |
//! | [`cli`] | the commands |
//! | [`runtime`], [`telemetry`] | tasks, clock, signals; the log |

pub mod addressing;
pub mod admin;
pub mod answer;
pub mod cache;
pub mod cli;
pub mod config;
pub mod oci;
pub mod retention;
pub mod runtime;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod upstream;
