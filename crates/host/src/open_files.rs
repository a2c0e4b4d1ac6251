//! How many files and connections this process may have open.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the limit to what the host grants. The usual soft limit of 1,024 is for programs that use `select`;
/// with it, connections that do nothing could take the descriptors that the work needs.
///
/// # Errors
/// The operating system refuses it.
pub fn raise_limit() -> nix::Result<()> {
    let (_, granted) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, granted, granted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_may_be_open_as_the_host_grants() {
        raise_limit().unwrap();
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(soft, hard);
    }
}
