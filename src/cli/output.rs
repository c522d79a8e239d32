//! The one place that prints: data on standard output, talk on standard error.
//!
//! A reader that went away, as in `larder check | head`, is no failure: what it does not want is not written.

use std::fmt;
use std::io::{self, Write};

use super::failure::Failure;

/// Where a command writes to.
pub(super) struct Output {
    data: Box<dyn Write>,
    talk: Box<dyn Write>,
}

impl Output {
    /// Returns the output of this process.
    pub(super) fn of_process() -> Self {
        Self::new(io::stdout(), io::stderr())
    }

    /// Makes an output of two writers.
    pub(super) fn new(data: impl Write + 'static, talk: impl Write + 'static) -> Self {
        Self {
            data: Box::new(data),
            talk: Box::new(talk),
        }
    }

    /// Writes what was asked for.
    pub(super) fn data(&mut self, text: &str) {
        write(&mut self.data, text);
    }

    /// Writes what people should know.
    pub(super) fn talk(&mut self, text: &str) {
        write(&mut self.talk, text);
    }

    /// Writes why a command did not do what it was asked for.
    pub(super) fn failure(&mut self, failure: &Failure) {
        self.talk(&failure.to_string());
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").finish_non_exhaustive()
    }
}

/// Writes a text and ends its last line.
fn write(to: &mut dyn Write, text: &str) {
    let written = writeln!(to, "{}", text.trim_end()).and_then(|()| to.flush());
    // Nobody is left who could be told.
    drop(written);
}
