//! The store in a folder of this machine: blobs and spools are files, records are in two redb files.

mod blobs;
mod layout;
mod lock;
mod probe;
mod records;
mod stamp;
mod sync;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use blobs::DiskBlobs;
pub use records::DiskRecords;

use self::layout::Layout;
use self::lock::FolderLock;
use super::blocking::blocking;
use super::error::StoreError;
use super::space::{Space, SpaceFloor};
use super::spool::{SpoolArea, Swept};
use crate::runtime::{Clock, Tasks};
use crate::telemetry::with_causes;

/// Where a store is, and how much of the file system it leaves alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The folder. It is made when it is missing.
    pub path: PathBuf,
    /// How many bytes have to stay free; `None` for [`SpaceFloor::usual`].
    pub min_free: Option<u64>,
}

impl Settings {
    /// Returns where the larder that uses the folder takes its operator's commands, if one does.
    pub fn socket(&self) -> PathBuf {
        Layout::new(&self.path).socket()
    }

    /// Returns how many bytes have to stay free.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the file system does not say how large it is.
    pub fn floor(&self) -> Result<u64, StoreError> {
        match self.min_free {
            Some(bytes) => Ok(bytes),
            None => Ok(SpaceFloor::usual(Space::of(&self.path)?.total)),
        }
    }

    /// Returns whether a larder ever had the folder.
    pub fn is_used(&self) -> bool {
        Layout::new(&self.path).lock().exists()
    }

    /// Finds out whether no larder has the folder, without a change to it. Blocking, but it does not wait for one.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when one has it.
    pub fn look(&self) -> Result<(), StoreError> {
        FolderLock::look(&Layout::new(&self.path))
    }
}

/// A folder in use by this process alone, until the store and all that came out of it are dropped and their tasks have
/// ended.
#[derive(Clone, Debug)]
pub struct DiskStore {
    /// Content by digest.
    pub blobs: Arc<DiskBlobs>,
    /// The growing files of fills.
    pub spools: SpoolArea,
    /// Records that can be fetched again: they may be gone at the next start.
    pub cache_records: Arc<DiskRecords>,
    /// Records of what was used when: they may be gone as well.
    pub usage_records: Arc<DiskRecords>,
    /// Records that cannot: what was committed as durable stays.
    pub hosted_records: Arc<DiskRecords>,
    layout: Layout,
    floor: SpaceFloor,
    tasks: Tasks,
}

/// How large a store is. What the operating system does not say is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// The file system.
    pub space: Option<Space>,
    /// How much of it has to stay free, in bytes.
    pub floor_bytes: u64,
    /// The file of records that can be fetched again, in bytes.
    pub cache_records_bytes: Option<u64>,
    /// The file of records of what was used when, in bytes.
    pub usage_records_bytes: Option<u64>,
    /// The file of records that cannot, in bytes.
    pub hosted_records_bytes: Option<u64>,
}

impl DiskStore {
    /// How often [`DiskStore::keep_swept`] sweeps: left-overs outlive [`SpoolArea::MAX_AGE`] by no more.
    pub const SWEEP_EVERY: Duration = Duration::from_hours(1);

    /// Opens the store in a folder, or makes one. Nothing is repaired by hand after a crash, and no blob is looked at.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another larder has the folder, [`StoreError::Newer`] when a later version wrote it,
    /// [`StoreError::Damaged`] when the hosted records are not what was written, others when the folder cannot be
    /// used.
    pub async fn open(settings: &Settings, tasks: Tasks, clock: Clock) -> Result<Self, StoreError> {
        let settings = settings.clone();
        let opening = tasks.clone();
        let open = move || Self::open_folder(&settings, opening, clock);
        let store = blocking(&tasks, open).await?;
        let swept = store.spools.sweep().await?;
        if swept.kept + swept.removed > 0 {
            tell(swept);
        }
        Ok(store)
    }

    /// Sweeps what unfinished fills left over every [`DiskStore::SWEEP_EVERY`], until the tasks are told to stop. The
    /// folder stays in use until then.
    pub fn keep_swept(&self) {
        let (store, stopping) = (self.clone(), self.tasks.stopping());
        let sweeping = async move {
            loop {
                let rest = tokio::time::sleep(Self::SWEEP_EVERY);
                if stopping.run_until_cancelled(rest).await.is_none() {
                    return;
                }
                match store.spools.sweep().await {
                    Ok(swept) if swept.removed > 0 => tell(swept),
                    Ok(_) => {}
                    Err(error) => tracing::warn!(
                        error = with_causes(&error),
                        "could not sweep what unfinished fills left over"
                    ),
                }
            }
        };
        drop(self.tasks.spawn("sweep", sweeping));
    }

    /// Returns how large the file system is and how much of it is free.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it does not say.
    pub async fn space(&self) -> Result<Space, StoreError> {
        let root = self.layout.root().to_owned();
        blocking(&self.tasks, move || Space::of(&root)).await
    }

    /// Returns how large the file system and the files of records are at this moment. It asks the operating system, which
    /// can take a moment, and looks at no blob.
    pub fn figures(&self) -> Figures {
        let size = |path: PathBuf| std::fs::metadata(path).ok().map(|found| found.len());
        Figures {
            space: Space::of(self.layout.root()).ok(),
            floor_bytes: self.floor.bytes(),
            cache_records_bytes: size(self.layout.cache_records()),
            usage_records_bytes: size(self.layout.usage_records()),
            hosted_records_bytes: size(self.layout.hosted_records()),
        }
    }

    /// Returns how much has to stay free.
    pub fn floor(&self) -> &SpaceFloor {
        &self.floor
    }

    fn open_folder(settings: &Settings, tasks: Tasks, clock: Clock) -> Result<Self, StoreError> {
        let layout = Layout::new(&settings.path);
        let root = layout.root();
        sync::create_folder(root)
            .map_err(|error| StoreError::io("create the folder", root, error))?;
        layout.refuse_newer()?;
        let lock = Arc::new(FolderLock::take(&layout)?);
        for folder in [layout.blobs(), layout.staging()] {
            sync::create_folder(&folder)
                .map_err(|error| StoreError::io("create the folder", &folder, error))?;
            probe::write_in(&folder)
                .map_err(|error| StoreError::io("write in the folder", &folder, error))?;
        }
        let floor = SpaceFloor::new(settings.floor()?);
        let spools = SpoolArea::open(&layout.staging(), floor.clone(), tasks.clone(), clock)?;
        let open_cache = |path| -> Result<_, StoreError> {
            let records = DiskRecords::open_cache(path, tasks.clone(), Arc::clone(&lock))?;
            Ok(Arc::new(records))
        };
        let cache_records = open_cache(layout.cache_records())?;
        let usage_records = open_cache(layout.usage_records())?;
        let hosted_records = DiskRecords::open_hosted(&layout, tasks.clone(), Arc::clone(&lock))?;
        let records = Arc::clone(&cache_records);
        let blobs = DiskBlobs::new(layout.clone(), tasks.clone(), records, lock);
        Ok(Self {
            blobs: Arc::new(blobs),
            spools,
            cache_records,
            usage_records,
            hosted_records: Arc::new(hosted_records),
            layout,
            floor,
            tasks,
        })
    }
}

fn tell(swept: Swept) {
    tracing::info!(
        resumable = swept.kept,
        removed = swept.removed,
        "swept what unfinished fills left over"
    );
}

#[cfg(test)]
mod tests;
