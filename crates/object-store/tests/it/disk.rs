//! A full disk.

use std::path::Path;
use std::process::Command;

use reqwest::StatusCode;
use tempfile::TempDir;

use crate::harness::{JsonBody, Server, UNLIMITED, incoming};

/// A file system of its own in memory, of one MiB.
struct TinyDisk(TempDir);

impl TinyDisk {
    fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=1m", "tiny"];
        let status = Command::new("mount").args(mount).arg(folder.path()).status().unwrap();
        assert!(status.success(), "this test mounts a small disk, which needs root");
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let status = Command::new("umount").arg(self.path()).status();
        assert!(status.is_ok_and(|status| status.success()), "the small disk stays mounted");
    }
}

#[tokio::test]
async fn a_full_disk_answers_507_and_still_reads_and_deletes() {
    let disk = TinyDisk::mount();
    let server = Server::start(disk.path(), UNLIMITED);
    let content = "x".repeat(200_000);
    let mut stored = 0;
    let refused = loop {
        let response = server.put(&format!("/objs/{stored}"), content.clone()).await;
        if response.status() != StatusCode::CREATED {
            break response;
        }
        stored += 1;
        assert!(stored < 6);
    };
    assert_eq!(refused.status(), StatusCode::INSUFFICIENT_STORAGE);
    assert_eq!(refused.code().await, "disk_full");
    assert_eq!(stored, 5);
    assert_eq!(incoming(disk.path()), 0);
    assert_eq!(server.get("/objs/5").await.status(), StatusCode::NOT_FOUND);

    // A replacement needs its space before the old one is given up.
    let replaced = server.put("/objs/0", content.clone()).await;
    assert_eq!(replaced.status(), StatusCode::INSUFFICIENT_STORAGE);
    assert_eq!(server.get("/objs/0").await.text().await.unwrap(), content);
    // A process that comes to the full disk serves, too.
    let second = Server::start(disk.path(), UNLIMITED);
    assert_eq!(second.ids().await.len(), 5);
    assert_eq!(second.delete("/objs/0").await.status(), StatusCode::NO_CONTENT);
    assert_eq!(second.put("/objs/0", content).await.status(), StatusCode::CREATED);
    assert_eq!(server.delete("/").await.status(), StatusCode::NO_CONTENT);
    assert_eq!(server.ids().await, Vec::<String>::new());
}
