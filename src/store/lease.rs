//! Which blobs are being read. An open file survives its name, so a lease is a wish, not a lock: what may be evicted is
//! better something that nobody is reading.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::oci::Digest;

/// Counts the readers of each blob. Clones share the counts.
#[derive(Clone, Debug, Default)]
pub struct LeaseTable(Arc<Mutex<HashMap<Digest, usize>>>);

impl LeaseTable {
    /// Tells whether somebody is reading the blob.
    pub fn is_leased(&self, digest: &Digest) -> bool {
        self.counts().contains_key(digest)
    }

    /// Counts one more reader, until the lease is dropped.
    pub fn lease(&self, digest: Digest) -> Lease {
        *self.counts().entry(digest).or_insert(0) += 1;
        Lease {
            table: self.clone(),
            digest,
        }
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<Digest, usize>> {
        self.0.lock().expect("nothing panics while it counts")
    }
}

/// One reader of a blob.
#[derive(Debug)]
pub struct Lease {
    table: LeaseTable,
    digest: Digest,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut counts = self.table.counts();
        if let Some(count) = counts.get_mut(&self.digest) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.digest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_leased_until_its_last_reader_leaves() {
        let leases = LeaseTable::default();
        let digest = Digest::Sha256([1; 32]);
        let first = leases.lease(digest);
        let second = leases.lease(digest);
        assert!(!leases.is_leased(&Digest::Sha256([2; 32])));
        drop(first);
        assert!(leases.is_leased(&digest));
        drop(second);
        assert!(!leases.is_leased(&digest));
        assert!(leases.counts().is_empty());
    }
}
