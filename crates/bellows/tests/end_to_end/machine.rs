//! What of the machine must be the same after `down` as before `up`.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

/// The parts of the machine that Bellows changes while it is up, a line for each thing.
#[derive(Debug)]
pub(crate) struct Machine(BTreeSet<String>);

impl Machine {
    /// Reads them now.
    pub(crate) fn read() -> Self {
        let parts = [
            ("interface", first_words(&output("ip", &["-brief", "link"]))),
            ("route", output("ip", &["route", "show", "table", "all"])),
            ("firewall", output("nft", &["--stateless", "list", "ruleset"])),
            ("container", output("lxc-ls", &["-1"])),
            ("ids of users", fs::read_to_string("/etc/subuid").unwrap_or_default()),
            ("ids of groups", fs::read_to_string("/etc/subgid").unwrap_or_default()),
            ("mount", output("findmnt", &["--list", "--noheadings", "--output", "TARGET"])),
            ("process", processes().join("\n")),
        ];
        let lines = |(part, text): (&str, String)| {
            let line = |line: &str| format!("{part}: {}", line.trim());
            text.lines().map(line).collect::<Vec<_>>()
        };
        Self(parts.into_iter().flat_map(lines).collect())
    }

    /// Asserts that the machine is as it was before.
    #[track_caller]
    pub(crate) fn assert_same_as(&self, before: &Self) {
        let added: Vec<_> = self.0.difference(&before.0).collect();
        let removed: Vec<_> = before.0.difference(&self.0).collect();
        assert!(added.is_empty() && removed.is_empty(), "added {added:#?}, removed {removed:#?}");
    }
}

/// The text of a program that must succeed.
pub(crate) fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect(program);
    assert!(output.status.success(), "{program} {arguments:?} ended with {}", output.status);
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The first word of each line.
fn first_words(text: &str) -> String {
    let words: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
    words.join("\n")
}

/// Command lines of the programs that Bellows starts, and of whatever names a container of ours.
fn processes() -> Vec<String> {
    let is_ours = |line: &String| {
        let program = line.split(' ').next().unwrap_or_default();
        ["haproxy", "scaler", "console", "egress", "bellows", "object-store", "[lxc"]
            .into_iter()
            .any(|name| program == name || program.ends_with(&format!("/{name}")))
            || line.contains(" bw-")
    };
    command_lines().into_iter().map(|(_, line)| line).filter(is_ours).collect()
}

/// Every process with its command line.
pub(crate) fn command_lines() -> Vec<(i32, String)> {
    let read = |entry: fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let bytes = fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&bytes).replace('\0', " ").trim().to_owned();
        Some((pid, line))
    };
    fs::read_dir("/proc").expect("/proc").flatten().filter_map(read).collect()
}
