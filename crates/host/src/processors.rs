//! The processors of this host: how many there are, and how much of their time is used.

use std::fs;

use model::tick::HostCpu;

/// Where the kernel counts it.
const PLACE: &str = "/proc/stat";

/// What the kernel has counted since the host started, in hundredths of a second of one core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessorTimes {
    /// How many cores there are.
    pub cores: u32,
    /// Time that was used, or that the host of a virtual machine gave to others.
    pub busy: u64,
    /// Time in which nothing wanted to run, or only what gives way; waiting for a disk is none that is used.
    pub idle: u64,
}

impl ProcessorTimes {
    /// What has been counted by now; `None` where the kernel does not say it.
    pub fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string(PLACE).ok()?)
    }

    /// `text` is that of the kernel's file.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().take_while(|line| line.starts_with("cpu"));
        let all = lines.next()?.strip_prefix("cpu ")?;
        let counts: Option<Vec<u64>> =
            all.split_ascii_whitespace().map(|count| count.parse().ok()).collect();
        // user, nice, system, idle, iowait, irq, softirq, steal; what guests use is in user and nice.
        let [user, nice, system, idle, iowait, irq, softirq, steal, ..] = counts?[..] else {
            return None;
        };
        let cores = u32::try_from(lines.count()).ok().filter(|cores| *cores > 0)?;
        // What runs at a lower priority, such as a build, gives way to whatever wants to run.
        let busy = user + system + irq + softirq + steal;
        Some(Self { cores, busy, idle: idle + iowait + nice })
    }

    /// The share that was used since `before`; `None` where nothing was counted in between.
    pub fn since(self, before: Self) -> Option<HostCpu> {
        // The kernel's idle time goes back by a hundredth now and then.
        let busy = self.busy.saturating_sub(before.busy);
        let all = busy + self.idle.saturating_sub(before.idle);
        // Counts of a moment are far below 2^53, up to where this is exact.
        #[expect(clippy::cast_precision_loss, reason = "see above")]
        let share = || busy as f64 / all as f64;
        (all > 0).then(|| HostCpu { cores: self.cores, busy: share() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two cores of Debian 12.
    const TEXT: &str = "\
cpu  1024 16 512 8000 40 0 24 8 100 0
cpu0 512 8 256 4000 20 0 12 4 50 0
cpu1 512 8 256 4000 20 0 12 4 50 0
intr 33299 0 9 0
ctxt 7512345
btime 1763800000
softirq 4321 0 1
";

    const FIRST: ProcessorTimes = ProcessorTimes { cores: 2, busy: 1568, idle: 8056 };

    #[test]
    fn the_kernels_counts_are_read_and_waiting_for_a_disk_is_idle() {
        assert_eq!(ProcessorTimes::parse(TEXT), Some(FIRST));
        for text in ["", "cpu  1 2 3\ncpu0 1 2 3\n", "cpu  1 2 3 4 5 6 7 x\ncpu0 1\n", "intr 5\n"] {
            assert_eq!(ProcessorTimes::parse(text), None, "{text}");
        }
        assert_eq!(ProcessorTimes::parse("cpu  1 2 3 4 5 6 7 8\n"), None, "no core");
    }

    #[test]
    fn what_was_used_in_between_is_a_share_of_all_cores() {
        let later = |busy, idle| {
            let (busy, idle) = (FIRST.busy + busy, FIRST.idle + idle);
            ProcessorTimes { busy, idle, ..FIRST }.since(FIRST)
        };
        assert_eq!(later(15, 5), Some(HostCpu { cores: 2, busy: 0.75 }));
        assert_eq!(later(20, 0), Some(HostCpu { cores: 2, busy: 1.0 }));
        assert_eq!(later(0, 0), None);
        let back = ProcessorTimes { idle: FIRST.idle - 1, busy: FIRST.busy + 20, ..FIRST };
        assert_eq!(back.since(FIRST), Some(HostCpu { cores: 2, busy: 1.0 }));
    }

    #[test]
    fn this_host_says_how_many_cores_it_has_and_what_they_did() {
        let times = ProcessorTimes::read().unwrap();
        assert!(times.cores >= 1 && times.busy > 0, "{times:?}");
    }
}
