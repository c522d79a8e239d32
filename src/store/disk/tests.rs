//! The folder as a whole: what is in it, who may use it, and what happens to files that change.

use super::*;
use crate::store::conformance;

#[tokio::test]
async fn it_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await.unwrap();
    conformance::blobs(store.blobs.clone(), &store.spools).await;
    conformance::records(store.cache_records.clone()).await;
    conformance::records(store.hosted_records.clone()).await;
}

async fn open(path: &std::path::Path) -> Result<DiskStore, StoreError> {
    let settings = Settings {
        path: path.to_owned(),
        min_free: Some(0),
    };
    DiskStore::open(&settings, Tasks::new(), Clock::system()).await
}
