//! What the operating system says of this process: memory, time on the processor, open files.

use std::fs;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// What a process uses. What the operating system does not tell is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Memory that is resident, in bytes. Only Linux tells it.
    pub resident_bytes: Option<u64>,
    /// Time on the processor, of all threads.
    pub processor: Duration,
    /// Files and sockets that are open. Only Linux tells it.
    pub open_files: Option<u64>,
    /// How many of them can be; `None` for any number.
    pub open_files_limit: Option<u64>,
}

/// Returns what this process uses at this moment. Each open file is looked at, which can take a moment.
pub fn usage() -> Usage {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    let status = fs::read_to_string("/proc/self/status").ok();
    Usage {
        resident_bytes: status.as_deref().and_then(resident_bytes),
        processor: spent.try_into().unwrap_or_default(),
        open_files: open_files(),
        open_files_limit: getrlimit(Resource::Nofile).current,
    }
}

/// Reads how much memory is resident of what Linux says of a process.
fn resident_bytes(status: &str) -> Option<u64> {
    let written = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = written.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// Counts the open files, without the folder that is read for it.
fn open_files() -> Option<u64> {
    let listed = fs::read_dir("/proc/self/fd").ok()?.count();
    Some((listed as u64).saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_of_what_linux_writes() {
        let status = "Name:\tlarder\nVmPeak:\t  99 kB\nVmRSS:\t    1234 kB\nThreads:\t3\n";
        assert_eq!(resident_bytes(status), Some(1_263_616));
        for other in ["", "VmRSS:\n", "VmRSS: x kB\n", "VmRSS: 1 MB\n"] {
            assert_eq!(resident_bytes(other), None, "{other}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_uses_something() {
        let found = usage();
        assert!(found.resident_bytes > Some(0));
        assert!(found.processor > Duration::ZERO);
        assert!(found.open_files > Some(0));
    }
}
