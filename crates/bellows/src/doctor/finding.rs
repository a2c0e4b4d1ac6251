//! What one check of the doctor found, and how a list of findings reads.

use std::fmt;

/// What a check looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    Root,
    Programs,
    Lxc,
    HaProxy,
    Overlay,
    Cgroups,
    UserNamespaces,
    IdRange,
    Seccomp,
    AppArmor,
    NetworkDevices,
    Firewall,
    Ports,
    Subnet,
    Disk,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Root => "root",
            Self::Programs => "programs",
            Self::Lxc => "lxc",
            Self::HaProxy => "haproxy",
            Self::Overlay => "overlay",
            Self::Cgroups => "cgroups",
            Self::UserNamespaces => "user namespaces",
            Self::IdRange => "id range",
            Self::Seccomp => "seccomp",
            Self::AppArmor => "apparmor",
            Self::NetworkDevices => "network devices",
            Self::Firewall => "firewall",
            Self::Ports => "ports",
            Self::Subnet => "subnet",
            Self::Disk => "disk",
        })
    }
}

/// The verdict of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing to do; the text says what was found.
    Good(String),
    /// Bellows cannot run like this.
    Bad {
        /// What is wrong.
        problem: String,
        /// What to do about it: a command where there is one.
        cure: String,
    },
}

/// A check and its verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) check: Check,
    pub(crate) verdict: Verdict,
}

impl Finding {
    pub(crate) fn good(check: Check, found: impl Into<String>) -> Self {
        let verdict = Verdict::Good(found.into());
        Self { check, verdict }
    }

    pub(crate) fn bad(check: Check, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        let verdict = Verdict::Bad { problem: problem.into(), cure: cure.into() };
        Self { check, verdict }
    }

    /// Whether Bellows cannot run because of it.
    pub(crate) fn is_bad(&self) -> bool {
        matches!(self.verdict, Verdict::Bad { .. })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            Verdict::Good(found) => write!(f, "  ok    {:<16} {found}", self.check),
            Verdict::Bad { problem, cure } => {
                writeln!(f, "  FAIL  {:<16} {problem}", self.check)?;
                write!(f, "        {:<16} cure: {cure}", "")
            }
        }
    }
}

/// The findings of one examination.
#[derive(Debug)]
pub(crate) struct Findings(pub(crate) Vec<Finding>);

impl Findings {
    /// How many checks failed.
    pub(crate) fn bad_count(&self) -> usize {
        self.0.iter().filter(|f| f.is_bad()).count()
    }

    /// The failures alone, one after the other.
    pub(crate) fn failures(&self) -> String {
        let failures: Vec<String> =
            self.0.iter().filter(|f| f.is_bad()).map(ToString::to_string).collect();
        failures.join("\n")
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|finding| writeln!(f, "{finding}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_failures_are_shown_at_once_each_with_its_cure() {
        let findings = Findings(vec![
            Finding::good(Check::Root, "running as root"),
            Finding::bad(Check::Lxc, "LXC is not installed", "apt-get install lxc"),
            Finding::bad(Check::Disk, "0.1 GiB free", "make room"),
        ]);
        assert_eq!(findings.bad_count(), 2);
        insta::assert_snapshot!(findings, @r"
        ok    root             running as root
        FAIL  lxc              LXC is not installed
                               cure: apt-get install lxc
        FAIL  disk             0.1 GiB free
                               cure: make room
        ");
    }
}
