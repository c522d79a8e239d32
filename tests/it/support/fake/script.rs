//! The faults of one registry, and which of them a request meets.

use std::sync::{Arc, Mutex};

use http::StatusCode;

use super::fault::Fault;
use super::gate::Gate;
use super::request::Request;

/// A fault that was injected.
#[derive(Debug)]
pub struct Injection {
    /// What goes wrong.
    pub fault: Fault,
    /// Where its answers wait, and the test's handle on it.
    pub gate: Gate,
}

/// All faults of one registry, in the order of injection.
#[derive(Debug, Default)]
pub struct Script {
    entries: Mutex<Vec<Entry>>,
}

#[derive(Debug)]
struct Entry {
    injection: Arc<Injection>,
    skip: usize,
    /// How many more requests meet it; a standing fault has no count.
    remaining: Option<usize>,
}

impl Script {
    /// Adds a fault at the end.
    pub fn inject(&self, fault: Fault) -> Gate {
        let gate = Gate::closed();
        self.entries.lock().unwrap().push(Entry {
            skip: fault.skip,
            remaining: fault.limit,
            injection: Arc::new(Injection {
                fault,
                gate: gate.clone(),
            }),
        });
        gate
    }

    /// Takes all faults away.
    pub fn clear(&self) {
        self.entries.lock().unwrap().clear();
    }

    /// Returns the faults that a request meets: all standing ones that match, and the first counted one.
    pub fn select(&self, request: &Request, status: StatusCode) -> Vec<Arc<Injection>> {
        let mut has_counted = false;
        let mut met = Vec::new();
        let mut entries = self.entries.lock().unwrap();
        entries.retain(|entry| !entry.injection.gate.is_lifted() && entry.remaining != Some(0));
        for entry in entries.iter_mut() {
            if !entry.injection.fault.matches(request, status) {
                continue;
            }
            if entry.skip > 0 {
                entry.skip -= 1;
                continue;
            }
            if let Some(remaining) = &mut entry.remaining {
                if has_counted {
                    continue;
                }
                has_counted = true;
                *remaining -= 1;
            }
            entry.injection.gate.hit();
            met.push(Arc::clone(&entry.injection));
        }
        met
    }
}
