//! Reading a configuration so that no change of its files is missed.

use std::path::PathBuf;

use super::files::Files;
use crate::config::{self, Faults, Flags, Loaded, Surroundings};

/// What reading the configuration gave, and what its files looked like before that.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) loaded: Result<Loaded, Faults>,
    pub(super) files: Files,
}

impl Reading {
    /// Reads the configuration. Blocks while files are read.
    ///
    /// Which files it has is known when it was read: if there are others than before, it is read once more. If there are
    /// others again then, the file that names them changed meanwhile, and that is seen.
    pub(super) fn begin(flags: &Flags, surroundings: &Surroundings) -> Self {
        let candidates = surroundings.file_candidates(flags.config.as_deref());
        let files = Files::look(candidates.clone());
        let loaded = config::load(flags, surroundings);
        let paths: Vec<PathBuf> = candidates.into_iter().chain(named(&loaded)).collect();
        if files.contain(&paths) {
            return Self { loaded, files };
        }
        let files = Files::look(paths);
        Self {
            loaded: config::load(flags, surroundings),
            files,
        }
    }
}

/// Returns the files besides its own that are read with a configuration alone, or that may be why it is refused.
fn named(loaded: &Result<Loaded, Faults>) -> Vec<PathBuf> {
    match loaded {
        Ok(loaded) => {
            let upstreams = loaded.settings.upstreams.iter();
            let endpoints = upstreams.flat_map(|upstream| &upstream.endpoints);
            let authorities = endpoints.filter_map(|endpoint| endpoint.tls.ca_file.clone());
            authorities.collect()
        }
        Err(faults) => {
            let suspects = faults.as_slice().iter().flat_map(|fault| &fault.files);
            suspects.cloned().collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_happens_to_a_file_after_it_was_read_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let mut surroundings = crate::cli::tests::surroundings(&[]);
        surroundings.working_folder = folder.path().to_owned();
        let read = || Reading::begin(&Flags::default(), &surroundings);
        let file = folder.path().join("larder.toml");
        let mut reading = read();
        assert!(reading.loaded.is_ok());
        // Now there is one, and it names a file that is not there.
        let text = "[[upstream]]\nname = 'other.test'\ncredentials = { username = 'ada', password_file = 'password' }";
        fs::write(&file, text).unwrap();
        reading.files.have_changed();
        assert!(reading.files.have_changed());
        let password = folder.path().join("password");
        fs::create_dir(&password).unwrap();
        let mut reading = read();
        let faults = reading.loaded.unwrap_err();
        assert_eq!(
            faults.as_slice()[0].files.first(),
            Some(&password),
            "{faults:?}"
        );
        fs::remove_dir(&password).unwrap();
        fs::write(&password, "secret").unwrap();
        reading.files.have_changed();
        assert!(reading.files.have_changed(), "the password may be why");
        let mut reading = read();
        assert!(reading.loaded.is_ok(), "{:?}", reading.loaded);
        reading.files.have_changed();
        assert!(!reading.files.have_changed());
    }
}
