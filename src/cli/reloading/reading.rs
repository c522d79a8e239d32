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
    /// How often the configuration is read at once, at most: each time it may name files that nobody looked at before.
    const ATTEMPTS: usize = 4;

    /// Reads the configuration. Blocks while files are read.
    ///
    /// Which files it has is known when it was read: if there are some that were not looked at before, they are, and it
    /// is read once more.
    pub(super) fn begin(flags: &Flags, surroundings: &Surroundings) -> Self {
        let mut paths = surroundings.file_candidates(flags.config.as_deref());
        let mut attempt = 1;
        loop {
            let files = Files::look(paths.clone());
            let loaded = config::load(flags, surroundings);
            let mut others = named(&loaded);
            others.retain(|path| !paths.contains(path));
            if others.is_empty() || attempt == Self::ATTEMPTS {
                return Self { loaded, files };
            }
            paths.append(&mut others);
            attempt += 1;
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
