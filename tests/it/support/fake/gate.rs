//! Places where answers wait until the test lets them go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use super::super::within;

/// The test's handle on an injected fault. Clones are the same handle.
#[derive(Clone, Debug)]
pub struct Gate(Arc<State>);

#[derive(Debug)]
struct State {
    /// One permit for each arrival that nobody was told of.
    arrivals: Semaphore,
    /// One permit for each answer that may go on; closed once all may.
    passes: Semaphore,
    hits: AtomicUsize,
    is_lifted: AtomicBool,
}

impl Gate {
    /// A closed gate.
    pub(super) fn closed() -> Self {
        Self(Arc::new(State {
            arrivals: Semaphore::new(0),
            passes: Semaphore::new(0),
            hits: AtomicUsize::new(0),
            is_lifted: AtomicBool::new(false),
        }))
    }

    /// Waits until an answer stands at the gate. Each call waits for another arrival, so that two calls see two
    /// stalled requests, or two stops of a dripping one.
    pub async fn reached(&self) {
        let arrival = within("an answer at the gate", self.0.arrivals.acquire()).await;
        arrival.expect("never closed").forget();
    }

    /// Lets one answer go on, or the next to arrive.
    pub fn step(&self) {
        self.0.passes.add_permits(1);
    }

    /// Lets all answers go on, now and later.
    pub fn open(&self) {
        self.0.passes.close();
    }

    /// Takes the fault away: requests from now on do not meet it.
    pub fn lift(&self) {
        self.0.is_lifted.store(true, Ordering::SeqCst);
    }

    /// Returns how many requests have met the fault.
    pub fn hits(&self) -> usize {
        self.0.hits.load(Ordering::SeqCst)
    }

    /// Stands at the gate until the test opens it. What is cancelled here stays an arrival.
    pub(super) async fn pass(&self) {
        self.0.arrivals.add_permits(1);
        // An error says that the gate is open for good.
        if let Ok(pass) = self.0.passes.acquire().await {
            pass.forget();
        }
    }

    pub(super) fn is_lifted(&self) -> bool {
        self.0.is_lifted.load(Ordering::SeqCst)
    }

    pub(super) fn hit(&self) {
        self.0.hits.fetch_add(1, Ordering::SeqCst);
    }
}
