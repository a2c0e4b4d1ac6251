//! One launch at a time of a service that never has two instances, whoever began it.
//!
//! A scaler that is killed leaves its `lxc-copy` to itself, whose container may show after the next
//! scaler has looked. So the program holds a lock, and who comes next launches nothing before it has
//! ended and can be seen.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use model::names::InstanceName;

use super::error::ContainerError;
use crate::lock::lock_for_programs;

/// Takes the lock of the launches of an instance's service, in the folder of launches. It is let go
/// when this process and every program that it was handed to have closed it.
pub(super) fn lock_launches(
    folder: &Path,
    instance: &InstanceName,
) -> Result<Arc<File>, ContainerError> {
    let path = folder.join(format!("{}.lock", instance.service()));
    lock_for_programs(&path)?.ok_or_else(|| {
        let (instance, lock) = (instance.to_string(), path.display().to_string());
        ContainerError::LaunchUnderWay { instance, lock }
    })
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_program_that_was_handed_the_lock_keeps_it_when_nobody_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let instance: InstanceName = "bw-store-1-a".parse().unwrap();
        let lock = lock_launches(folder.path(), &instance).unwrap();
        let mut program = Command::new("sleep")
            .arg("60")
            .stdin(Stdio::from(lock.try_clone().unwrap()))
            .spawn()
            .unwrap();
        drop(lock);
        let error = lock_launches(folder.path(), &instance).unwrap_err().to_string();
        assert!(error.contains("an earlier launch of its service goes on"), "{error}");
        let other = "bw-other-1-a".parse().unwrap();
        assert!(lock_launches(folder.path(), &other).is_ok());
        program.kill().unwrap();
        program.wait().unwrap();
        // A process that another test starts has all files of this one open until it runs its program.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while let Err(error) = lock_launches(folder.path(), &instance) {
            assert!(std::time::Instant::now() < deadline, "{error}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}
