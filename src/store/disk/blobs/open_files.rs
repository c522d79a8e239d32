//! Files of blobs that were opened a short while ago and are kept open: small layers are asked for again and again, and
//! finding and opening their files costs more than sending them.

use std::fs::File;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use moka::sync::Cache;

use crate::oci::Digest;
use crate::store::disk::stamp::Stamp;

/// How many files are kept open. A process has 1,024 unless it is given more, and connections need theirs.
const LIMIT: u64 = 256;

/// A file that is what its name says, as long as its stamp stays as it is.
#[derive(Clone, Debug)]
pub(super) struct Sound {
    pub(super) file: Arc<File>,
    stamp: Stamp,
}

impl Sound {
    pub(super) fn new(file: File, stamp: Stamp) -> Self {
        Self {
            file: Arc::new(file),
            stamp,
        }
    }

    /// Returns the size of the content, in bytes.
    pub(super) fn size(&self) -> u64 {
        self.stamp.size
    }

    /// Tells whether nobody wrote to the file or took its name away. The answer is in memory: this does not wait for a
    /// disk.
    fn is_untouched(&self) -> bool {
        let metadata = self.file.metadata();
        metadata.is_ok_and(|metadata| Stamp::of(&metadata) == self.stamp)
    }
}

/// Open files by the digest of their content.
///
/// The cache drops what it no longer has some time later, and on a quiet machine that can be never: so it has places of
/// files, which are emptied at once. A file that is open takes its room on the disk though its name is gone.
#[derive(Debug)]
pub(super) struct OpenFiles(Cache<Digest, Place>);

type Place = Arc<ArcSwapOption<Sound>>;

impl Default for OpenFiles {
    fn default() -> Self {
        let places = Cache::builder()
            .max_capacity(LIMIT)
            .eviction_listener(|_, place: Place, _| place.store(None));
        Self(places.build())
    }
}

impl OpenFiles {
    /// Returns the open file of a blob, if it is still what it was.
    pub(super) fn find(&self, digest: &Digest) -> Option<Sound> {
        let sound = self.0.get(digest)?.load_full()?;
        if sound.is_untouched() {
            return Some(Sound::clone(&sound));
        }
        self.forget(digest);
        None
    }

    /// Keeps a file open, unless its name was taken away since it was opened: nobody would say so again.
    pub(super) fn keep(&self, digest: Digest, sound: &Sound) {
        let place = Place::new(ArcSwapOption::from_pointee(sound.clone()));
        self.0.insert(digest, place.clone());
        if !sound.is_untouched() {
            place.store(None);
        }
    }

    /// Lets go of a file, so that its room is free once nobody reads it.
    pub(super) fn forget(&self, digest: &Digest) {
        self.0.invalidate(digest);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_that_is_touched_in_any_way_is_opened_anew() {
        let folder = tempfile::tempdir().unwrap();
        let digest: Digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
        let path = folder.path().join("file");
        type Touch = fn(&std::path::Path);
        let touches: [(&str, Touch); 3] = [
            ("written to", |path| {
                let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
                file.write_all(b"more").unwrap();
            }),
            ("removed", |path| fs::remove_file(path).unwrap()),
            ("moved", |path| {
                fs::rename(path, path.with_extension("away")).unwrap()
            }),
        ];
        for (name, touch) in touches {
            fs::write(&path, b"content").unwrap();
            let file = File::open(&path).unwrap();
            let stamp = Stamp::of(&file.metadata().unwrap());
            let files = OpenFiles::default();
            files.keep(digest, &Sound::new(file, stamp));
            assert_eq!(files.find(&digest).unwrap().size(), 7, "{name}");
            touch(&path);
            assert!(files.find(&digest).is_none(), "{name}");
        }
    }
}
