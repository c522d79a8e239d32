//! The one place that prints: data on standard output, talk on standard error.
//!
//! A reader that went away, as in `larder check | head`, is no failure: what it does not want is not written.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use super::failure::Failure;

/// Where a command writes to.
pub(super) struct Output {
    data: Box<dyn Write>,
    talk: Box<dyn Write>,
    progress: Progress,
}

/// What is told of work that takes long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Nothing: nobody watches.
    Untold,
    /// How far it is, on a terminal. Nothing is there at the moment.
    Hidden,
    /// How far it is, on a terminal, in the line at the cursor.
    Shown,
}

/// Takes away what is in the line at the cursor, and goes to its beginning (ECMA-48, EL).
const CLEAR_LINE: &str = "\r\x1b[K";

impl Output {
    /// Returns the output of this process.
    pub(super) fn of_process() -> Self {
        let mut output = Self::new(io::stdout(), io::stderr());
        if io::stderr().is_terminal() {
            output.progress = Progress::Hidden;
        }
        output
    }

    /// Makes an output of two writers.
    pub(super) fn new(data: impl Write + 'static, talk: impl Write + 'static) -> Self {
        Self {
            data: Box::new(data),
            talk: Box::new(talk),
            progress: Progress::Untold,
        }
    }

    /// Writes what was asked for.
    pub(super) fn data(&mut self, text: &str) {
        self.end_progress();
        write(&mut self.data, text);
    }

    /// Writes what people should know.
    pub(super) fn talk(&mut self, text: &str) {
        self.end_progress();
        write(&mut self.talk, text);
    }

    /// Says how far long work is, where a person watches. Whatever is written next takes its place.
    pub(super) fn progress(&mut self, text: &str) {
        if self.progress != Progress::Untold {
            let written = write!(self.talk, "{CLEAR_LINE}{text}").and_then(|()| self.talk.flush());
            drop(written);
            self.progress = Progress::Shown;
        }
    }

    fn end_progress(&mut self) {
        if self.progress == Progress::Shown {
            let written = write!(self.talk, "{CLEAR_LINE}").and_then(|()| self.talk.flush());
            drop(written);
            self.progress = Progress::Hidden;
        }
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn progress_is_for_terminals_and_makes_way() {
        for (progress, expected) in [
            (Progress::Untold, "data\ntalk\n"),
            (
                Progress::Hidden,
                "\r\x1b[K1\r\x1b[K2\r\x1b[Kdata\n\r\x1b[K3\r\x1b[Ktalk\n",
            ),
        ] {
            let written = Written::default();
            let mut output = Output::new(written.clone(), written.clone());
            output.progress = progress;
            output.progress("1");
            output.progress("2");
            output.data("data");
            output.progress("3");
            output.talk("talk");
            let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
            assert_eq!(text, expected);
        }
    }
}
