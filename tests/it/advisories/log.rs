//! All that the log says, at every level.

use std::io;
use std::process::Command;
use std::sync::{Arc, Mutex};

use tracing::subscriber::DefaultGuard;

/// What was logged in this thread since the log was begun.
pub struct Log {
    lines: Lines,
    _scope: DefaultGuard,
}

/// Collects what is written.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

/// Begins to read the log of the test with this name, in a process of its own: whether a line is wanted is remembered for
/// all threads of a process. Outside of that process it runs the process, and returns nothing.
pub fn alone(name: &str) -> Option<Log> {
    const ALONE: &str = "LARDER_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let mut own = Command::new(std::env::current_exe().unwrap());
        let ended = own
            .args(["--exact", name])
            .env(ALONE, "1")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&ended.stdout);
        assert!(
            ended.status.success() && told.contains("1 passed"),
            "{told}"
        );
        return None;
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    Some(Log {
        lines,
        _scope: tracing::subscriber::set_default(log),
    })
}

impl Log {
    /// Returns everything so far.
    pub fn text(&self) -> String {
        String::from_utf8(self.lines.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
