//! What of a service's file would have allowed what an instance was refused, from what its program says of it; or
//! that nothing would.

/// What programs say, in the words of the C library or of their own, and the key that would have allowed it.
const CURES: [(&str, &str); 15] = [
    (
        "read-only file system",
        "instance.writable names folders that it may write to; without instance.root = \"read_only\" it may write \
         anywhere",
    ),
    (
        "operation not permitted",
        "instance.capabilities gives it rights of root: chown, fowner, setuid, setgid or kill; no key allows what \
         else root may do on a host",
    ),
    (
        "function not implemented",
        "no key allows it: the system call is none of those that instances may make, as those for mounts, kernel \
         modules and namespaces",
    ),
    (
        "permission denied",
        "instance.capabilities gives it \"net_bind_service\" for ports below 1024 and \"dac_override\" for files of \
         others; or mend the file's mode in the image, or instance.user",
    ),
    ("no space left on device", WRITES),
    ("disk quota exceeded", WRITES),
    ("too many open files", "instance.open_files is how many it may have open"),
    ("cannot fork", PROCESSES),
    ("can't fork", PROCESSES),
    ("resource temporarily unavailable", PROCESSES),
    ("cannot allocate memory", "instance.memory_mib is what it may take"),
    ("out of memory", "instance.memory_mib is what it may take"),
    ("network is unreachable", NETWORK),
    ("name resolution", NETWORK),
    ("could not resolve", NETWORK),
];

const WRITES: &str = "instance.layer_mib, and size_mib in instance.writable, are what it may write";
const PROCESSES: &str = "instance.processes is how many processes and threads it may have";
const NETWORK: &str =
    "egress names hosts that it may reach by its proxy, and instance.reaches other services";

/// The key of a service's file that would have allowed what the last of these lines that tells of a refusal was
/// refused, or that none would; `None` where no line tells of one.
pub fn cure(lines: &[String]) -> Option<&'static str> {
    lines.iter().rev().find_map(|line| {
        let line = line.to_lowercase();
        CURES.iter().find(|(said, _)| line.contains(said)).map(|(_, cure)| *cure)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_refusal_is_told_with_its_key_and_nothing_where_there_is_none() {
        let cure =
            |lines: &[&str]| cure(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>());
        let chown = "chown: changing ownership of '/var/lib/x': Operation not permitted";
        assert!(cure(&[chown, "giving up"]).unwrap().starts_with("instance.capabilities gives"));
        let bind = "nginx: [emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)";
        assert!(cure(&[chown, bind]).unwrap().contains("net_bind_service"));
        let full = "OSError: [Errno 28] No space left on device: '/data/x'";
        assert!(cure(&[full]).unwrap().starts_with("instance.layer_mib"));
        let lookup = "socket.gaierror: [Errno -3] Temporary failure in name resolution";
        assert!(cure(&[lookup]).unwrap().starts_with("egress names hosts"));
        assert_eq!(cure(&["listening on 8000"]), None);
        assert_eq!(cure(&[]), None);
    }

    #[test]
    fn what_programs_say_is_looked_for_whatever_its_case() {
        assert!(CURES.iter().all(|(said, _)| *said == said.to_lowercase()));
    }
}
