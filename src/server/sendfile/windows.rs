//! Parts of files that are mapped into memory to be sent.

use std::fs::File;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use memmap2::{Mmap, MmapOptions};

use crate::server::activity::Activity;
use crate::store::FileSlice;

/// The windows of one connection.
#[derive(Debug)]
pub(in crate::server) struct Windows {
    views: Mutex<Vec<View>>,
    /// Of the connection: a client that takes a part of what a window shows is there.
    activity: Arc<Activity>,
    /// What was wrong with a file that was being sent. The connection ends then.
    fault: Mutex<Option<io::Error>>,
}

/// Which part of which file a window shows.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// Where the window begins in memory. Windows that are there at the same time have nothing in common.
    pub(super) address: usize,
    /// In bytes.
    pub(super) length: usize,
    pub(super) file: Arc<File>,
    /// Where the window begins in the file, in bytes.
    pub(super) offset: u64,
}

/// The memory of a window, which the connection forgets before it goes away.
struct Window {
    memory: Mmap,
    windows: Arc<Windows>,
}

impl Windows {
    /// Begins with a connection, which has none.
    pub(in crate::server) fn new() -> Self {
        Self {
            views: Mutex::default(),
            activity: Activity::begin(),
            fault: Mutex::default(),
        }
    }

    /// Returns what happens on the connection.
    pub(in crate::server) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// Opens a window onto a part of a file, as long as its bytes are held. `None` where the file cannot be mapped.
    pub(in crate::server) fn open(self: &Arc<Self>, slice: &FileSlice) -> Option<Bytes> {
        let memory = map(slice).ok()?;
        self.views().push(View {
            address: memory.as_ptr().addr(),
            length: memory.len(),
            file: slice.file.clone(),
            offset: slice.offset,
        });
        Some(Bytes::from_owner(Window {
            memory,
            windows: self.clone(),
        }))
    }

    /// Finds the first of these parts of the memory that is in a window, and what that shows of its file.
    pub(super) fn first(&self, parts: &[IoSlice<'_>]) -> Option<(usize, View)> {
        let views = self.views();
        if views.is_empty() {
            return None;
        }
        parts.iter().enumerate().find_map(|(index, part)| {
            let shown = views.iter().find_map(|view| view.narrow(part))?;
            Some((index, shown))
        })
    }

    fn close(&self, address: usize) {
        self.views().retain(|view| view.address != address);
    }

    pub(super) fn views(&self) -> MutexGuard<'_, Vec<View>> {
        let views = self.views.lock();
        views.expect("nothing panics while it has the list")
    }

    /// Notes that a file cannot be sent, and returns an error for the connection.
    pub(in crate::server) fn fail(&self, error: io::Error) -> io::Error {
        let told = error.kind().into();
        *self.fault() = Some(error);
        told
    }

    /// Returns what was wrong with a file, once.
    pub(in crate::server) fn take_fault(&self) -> Option<io::Error> {
        self.fault().take()
    }

    fn fault(&self) -> MutexGuard<'_, Option<io::Error>> {
        let fault = self.fault.lock();
        fault.expect("nothing panics while it has the fault")
    }
}

impl View {
    /// Returns what a part of the memory shows, if it is in the window.
    fn narrow(&self, part: &[u8]) -> Option<Self> {
        let address = part.as_ptr().addr();
        let from = address.checked_sub(self.address)?;
        let left = self.length.checked_sub(from).filter(|left| *left > 0)?;
        Some(Self {
            address,
            length: part.len().min(left),
            offset: self.offset + from as u64,
            file: self.file.clone(),
        })
    }
}

impl AsRef<[u8]> for Window {
    fn as_ref(&self) -> &[u8] {
        &self.memory
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.windows.close(self.memory.as_ptr().addr());
    }
}

#[expect(
    unsafe_code,
    reason = "that memory is the file is what this is about, and nobody can promise for a file"
)]
fn map(slice: &FileSlice) -> io::Result<Mmap> {
    let length = usize::try_from(slice.length).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut options = MmapOptions::new();
    options.offset(slice.offset).len(length);
    // SAFETY: The memory changes when somebody else writes to the file, and is gone when that is cut. Nothing in this
    // process looks into it: connections are set up so that hyper does not copy, and their socket does not either. Where
    // the kernel is given the memory and not the file, it fails the write if a part of it is not there.
    unsafe { options.map(&*slice.file) }
}
