//! What a unit's program may take of the host.

use std::fmt;
use std::str::FromStr;

use nix::sys::resource::{Resource, setrlimit};

const MIB: u64 = 1024 * 1024;

/// What a program that runs as a user without rights may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Its memory, in MiB.
    pub memory_mib: u64,
    /// Its processes and threads. Without systemd they are those of its user.
    pub tasks: u64,
    /// Files and connections that it has open.
    pub files: u64,
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}MiB,{}tasks,{}files", self.memory_mib, self.tasks, self.files)
    }
}

/// A text that is no limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("use NMiB,Ntasks,Nfiles")]
pub struct LimitsError;

impl FromStr for Limits {
    type Err = LimitsError;

    fn from_str(text: &str) -> Result<Self, LimitsError> {
        let words: Vec<&str> = text.split(',').collect();
        let [memory, tasks, files] = words[..] else { return Err(LimitsError) };
        let number = |word: &str, unit| {
            let number = word.strip_suffix(unit).and_then(|word| word.parse().ok());
            number.filter(|number| *number > 0).ok_or(LimitsError)
        };
        Ok(Self {
            memory_mib: number(memory, "MiB")?,
            tasks: number(tasks, "tasks")?,
            files: number(files, "files")?,
        })
    }
}

impl Limits {
    /// Sets them for this process and all that it starts.
    ///
    /// The memory is what can be written to and is nobody else's. The space of addresses is no measure: each thread
    /// reserves 64 MiB of it that it does not use. The number of tasks holds for users without rights alone.
    ///
    /// # Errors
    /// The operating system refuses it: root alone raises limits that were set before.
    pub(super) fn set(&self) -> nix::Result<()> {
        let memory_bytes = self.memory_mib.saturating_mul(MIB);
        setrlimit(Resource::RLIMIT_DATA, memory_bytes, memory_bytes)?;
        setrlimit(Resource::RLIMIT_NPROC, self.tasks, self.tasks)?;
        setrlimit(Resource::RLIMIT_NOFILE, self.files, self.files)?;
        setrlimit(Resource::RLIMIT_CORE, 0, 0)
    }

    /// The same as systemd reads it, with what a unit's control group counts.
    pub(super) fn of_systemd(&self) -> String {
        format!(
            "MemoryMax={}M\nMemorySwapMax=0\nTasksMax={}\nLimitNOFILE={}\nLimitCORE=0\n",
            self.memory_mib, self.tasks, self.files
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_they_are_written() {
        let limits = Limits { memory_mib: 256, tasks: 64, files: 2048 };
        assert_eq!(limits.to_string(), "256MiB,64tasks,2048files");
        assert_eq!(limits.to_string().parse(), Ok(limits));
        for bad in ["", "256MiB", "256,64,2048", "0MiB,1tasks,1files", "1MiB,1tasks,-1files"] {
            assert_eq!(bad.parse::<Limits>(), Err(LimitsError), "{bad}");
        }
    }
}
