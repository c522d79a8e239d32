//! Addresses of names, from the resolver of the system, which blocks a thread for as long as it likes.
//!
//! The threads are those that also read and hash files, so a name server that does not answer must not take many: however
//! many ask for a name, one thread looks it up, and few threads do so at all. Whoever asks gives up in time; the thread
//! stays taken until the system returns.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout};

use super::settings::Limits;
use crate::runtime::Tasks;

/// Looks names up. Clones share the lookups under way.
#[derive(Clone, Debug)]
pub(super) struct Resolver(Arc<Shared>);

/// Why a name has no addresses.
#[derive(Clone, Debug, Error)]
pub(super) enum ResolveError {
    /// The system did not say in time.
    #[error("the name was not resolved in time")]
    Late,
    /// The system says no.
    #[error("the name is not resolved")]
    Failed(#[source] Arc<io::Error>),
}

impl Resolver {
    /// How many threads look names up at once: most of the threads are left to files.
    const THREADS: usize = 8;
    /// For how long an outcome, and that there is none yet, answers others who ask.
    const COUNTS: Duration = Duration::from_secs(1);

    /// Asks the system.
    pub(super) fn new(limits: &Limits, tasks: &Tasks) -> Self {
        Self::asking(limits, tasks, |name| {
            Ok((name, 0).to_socket_addrs()?.collect())
        })
    }

    /// Asks a function that may block.
    pub(super) fn asking(
        limits: &Limits,
        tasks: &Tasks,
        source: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Shared {
            source: Box::new(source),
            lookups: Mutex::default(),
            threads: Arc::new(Semaphore::new(Self::THREADS)),
            at_most: limits.connect,
            tasks: tasks.clone(),
        }))
    }

    /// Returns the addresses of a name. A dropped future leaves the lookup to others who ask.
    ///
    /// # Errors
    /// [`ResolveError`], also of a lookup that failed, or was given up, less than a second ago.
    pub(super) async fn resolve(&self, name: &str) -> Result<Arc<[SocketAddr]>, ResolveError> {
        let mut told = self.join(name)?;
        match timeout(self.0.at_most, told.wait_for(Option::is_some)).await {
            Err(_) => Err(ResolveError::Late),
            Ok(Ok(outcome)) => match &*outcome {
                Some(outcome) => outcome.result.clone(),
                None => Err(ResolveError::Late),
            },
            Ok(Err(gone)) => Err(ResolveError::Failed(Arc::new(io::Error::other(gone)))),
        }
    }

    /// Joins the lookup of a name, or begins one.
    fn join(&self, name: &str) -> Result<watch::Receiver<Told>, ResolveError> {
        let now = Instant::now();
        // Each change of the map is whole, whatever panics.
        let mut lookups = self
            .0
            .lookups
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        lookups.retain(|_, lookup| !lookup.is_over(now));
        let Some(lookup) = lookups.get_mut(name) else {
            let told = self.begin(name);
            let lookup = Lookup {
                awaited: now,
                told: told.clone(),
            };
            lookups.insert(name.into(), lookup);
            return Ok(told);
        };
        if lookup.told.borrow().is_none() {
            let late = lookup.awaited + self.0.at_most;
            if now >= late + Self::COUNTS {
                lookup.awaited = now;
            } else if now >= late {
                return Err(ResolveError::Late);
            }
        }
        Ok(lookup.told.clone())
    }

    /// Begins a lookup. It ends before it has a thread when it does not get one in time.
    fn begin(&self, name: &str) -> watch::Receiver<Told> {
        let (teller, told) = watch::channel(None);
        let (shared, name) = (self.0.clone(), Box::from(name));
        let turn = async move {
            let free = shared.threads.clone().acquire_owned();
            match timeout(shared.at_most, free).await {
                Ok(free) => {
                    let permit = free.expect("nobody closes the semaphore");
                    // Not among our tasks, since a stop must not wait for it: nothing is lost when it is left alone.
                    drop(tokio::task::spawn_blocking(move || {
                        shared.look_up(&name, permit, &teller);
                    }));
                }
                Err(_) => Outcome::tell(&teller, Err(ResolveError::Late)),
            }
        };
        drop(self.0.tasks.spawn("name lookup", turn));
        told
    }
}

/// Says which addresses a name has, and blocks until it knows.
type Source = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync;

struct Shared {
    source: Box<Source>,
    lookups: Mutex<HashMap<Box<str>, Lookup>>,
    threads: Arc<Semaphore>,
    /// How long whoever asks waits.
    at_most: Duration,
    tasks: Tasks,
}

impl Shared {
    /// Looks a name up on this thread, whose permit is free again when the system has returned.
    fn look_up(&self, name: &str, permit: OwnedSemaphorePermit, teller: &watch::Sender<Told>) {
        let found = (self.source)(name);
        drop(permit);
        let found = found.map(Arc::from);
        Outcome::tell(
            teller,
            found.map_err(|error| ResolveError::Failed(Arc::new(error))),
        );
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// A lookup under way, or what became of it.
struct Lookup {
    /// When those who wait began to: those who come later than the first gives up fail at once, for a while.
    awaited: Instant,
    told: watch::Receiver<Told>,
}

impl Lookup {
    /// Returns whether it takes a new one: it ended a while ago, or without an outcome.
    fn is_over(&self, now: Instant) -> bool {
        match &*self.told.borrow() {
            Some(outcome) => now.duration_since(outcome.at) >= Resolver::COUNTS,
            None => self.told.has_changed().is_err(),
        }
    }
}

/// What became of a lookup, once something did.
type Told = Option<Outcome>;

struct Outcome {
    at: Instant,
    result: Result<Arc<[SocketAddr]>, ResolveError>,
}

impl Outcome {
    fn tell(teller: &watch::Sender<Told>, result: Result<Arc<[SocketAddr]>, ResolveError>) {
        let at = Instant::now();
        teller.send_replace(Some(Self { at, result }));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use tokio::sync::mpsc as seen;

    use super::*;

    /// A resolver of names that are found at once, but for those that begin with "dead": they wait to be let go, and are
    /// not found then. It tells which names are looked up, and whose turn it is to return.
    struct Fake {
        resolver: Resolver,
        asked: seen::UnboundedReceiver<String>,
        let_go: mpsc::Sender<()>,
    }

    fn fake() -> Fake {
        let (ask, asked) = seen::unbounded_channel();
        let (let_go, going) = mpsc::channel();
        let going = Mutex::new(going);
        let source = move |name: &str| {
            ask.send(name.to_string()).ok();
            if name.starts_with("dead") {
                going.lock().unwrap().recv().ok();
                return Err(io::Error::other("no such name"));
            }
            Ok(vec![SocketAddr::from(([127, 0, 0, 1], 0))])
        };
        Fake {
            resolver: Resolver::asking(&Limits::default(), &Tasks::new(), source),
            asked,
            let_go,
        }
    }

    fn is_late(result: &Result<Arc<[SocketAddr]>, ResolveError>) -> bool {
        matches!(result, Err(ResolveError::Late))
    }

    /// The time of the tests stands still while a thread looks up.
    async fn pass(time: Duration) {
        tokio::time::advance(time).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_name_takes_one_thread_whoever_asks() {
        let mut fake = fake();
        let resolver = fake.resolver.clone();
        let connect = resolver.0.at_most;
        let mut asking = join_all((0..64).map(|_| resolver.resolve("dead.test")));
        assert!((&mut asking).now_or_never().is_none());
        assert_eq!(fake.asked.recv().await.unwrap(), "dead.test");
        assert_eq!(resolver.resolve("alive.test").await.unwrap().len(), 1);
        assert_eq!(fake.asked.recv().await.unwrap(), "alive.test");

        pass(connect).await;
        assert!(asking.await.iter().all(is_late));
        // That it is late is remembered for a while, and then waited for again, on the same thread.
        let at_once = resolver.resolve("dead.test").now_or_never();
        assert!(is_late(&at_once.unwrap()));
        pass(Resolver::COUNTS).await;
        let mut again = Box::pin(resolver.resolve("dead.test"));
        assert!((&mut again).now_or_never().is_none());
        assert_eq!(resolver.0.threads.available_permits(), 7);
        fake.let_go.send(()).unwrap();
        assert!(matches!(again.await, Err(ResolveError::Failed(_))));
        assert!(fake.asked.try_recv().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn an_outcome_counts_for_a_second() {
        let mut fake = fake();
        for name in ["dead.test", "alive.test"] {
            for _ in 0..2 {
                fake.let_go.send(()).unwrap();
                let first = fake.resolver.resolve(name).await.is_ok();
                let second = fake.resolver.resolve(name).now_or_never();
                assert_eq!(second.unwrap().is_ok(), first);
                assert_eq!(fake.asked.recv().await.unwrap(), name);
                assert!(fake.asked.try_recv().is_err());
                pass(Resolver::COUNTS).await;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_thread_is_free_when_the_system_has_returned() {
        let mut fake = fake();
        let resolver = fake.resolver.clone();
        let names: Vec<_> = (0..Resolver::THREADS)
            .map(|i| format!("dead{i}.test"))
            .collect();
        let mut asking = join_all(names.iter().map(|name| resolver.resolve(name)));
        assert!((&mut asking).now_or_never().is_none());
        for _ in &names {
            fake.asked.recv().await.unwrap();
        }
        let mut alive = Box::pin(resolver.resolve("alive.test"));
        assert!((&mut alive).now_or_never().is_none());
        pass(resolver.0.at_most).await;
        // All have given up, and their threads are taken all the same.
        assert!(asking.await.iter().all(is_late));
        assert!(is_late(&alive.await));
        assert!(fake.asked.try_recv().is_err());
        pass(Resolver::COUNTS).await;
        let mut alive = Box::pin(resolver.resolve("alive.test"));
        assert!((&mut alive).now_or_never().is_none());
        fake.let_go.send(()).unwrap();
        assert!(alive.await.is_ok());
    }

    #[tokio::test]
    async fn a_lookup_without_an_end_is_begun_anew() {
        let count = std::sync::atomic::AtomicUsize::new(0);
        let source = move |_: &str| {
            let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            assert!(number > 0, "the first lookup panics");
            Ok(Vec::new())
        };
        let resolver = Resolver::asking(&Limits::default(), &Tasks::new(), source);
        let first = resolver.resolve("a.test").await;
        assert!(matches!(first, Err(ResolveError::Failed(_))));
        assert!(resolver.resolve("a.test").await.is_ok());
    }
}
