//! On what it was measured: cores, kernel, memory, load, file system.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

/// The machine, as it was when the benchmark began.
#[derive(Clone, Debug)]
pub struct Machine {
    cores: usize,
    kernel: String,
    memory_mib: u64,
    load: String,
    file_system: String,
}

impl Machine {
    /// Looks around; `directory` is where services and logs will lie.
    #[must_use]
    pub fn here(directory: &Path) -> Self {
        let uname = rustix::system::uname();
        let load = read("/proc/loadavg");
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: format!(
                "{} {} {}",
                uname.sysname().to_string_lossy(),
                uname.release().to_string_lossy(),
                uname.machine().to_string_lossy()
            ),
            memory_mib: memory_kib(&read("/proc/meminfo")) / 1024,
            load: load.split(' ').take(3).collect::<Vec<_>>().join(" "),
            file_system: file_system(&read("/proc/mounts"), directory),
        }
    }

    /// For a file.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "cores": self.cores,
            "kernel": self.kernel,
            "memory_mib": self.memory_mib,
            "load": self.load,
            "file_system": self.file_system,
        })
    }

    /// For people.
    #[must_use]
    pub fn to_line(&self) -> String {
        format!(
            "{} cores, {}, {} MiB, {}; load {} when it began",
            self.cores, self.kernel, self.memory_mib, self.file_system, self.load
        )
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn memory_kib(text: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with("MemTotal:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}

/// The type of the mount with the longest path that holds `directory`.
fn file_system(mounts: &str, directory: &Path) -> String {
    mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            Some((words.next()?, words.next()?))
        })
        .filter(|(point, _)| directory.starts_with(point))
        .max_by_key(|(point, _)| point.len())
        .map_or_else(|| "unknown".into(), |(_, kind)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mount_names_the_file_system() {
        let mounts = "a / ext4 rw 0 0\nb /tmp tmpfs rw 0 0\nc /tm xfs rw 0 0\n";
        assert_eq!(file_system(mounts, Path::new("/tmp/x")), "tmpfs");
        assert_eq!(file_system(mounts, Path::new("/home")), "ext4");
    }
}
