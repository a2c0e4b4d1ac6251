use std::process::Command;
use std::time::{Duration, Instant};

use super::super::image::{Recipe, remove_other_images};
use super::*;
use crate::command::HostRunner;

/// A recipe whose script is this.
fn recipe(root: &Path, script: &str) -> Recipe {
    let folder = root.join("rootfs/app");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("recipe.toml"), "command = [\"/app\"]\n").unwrap();
    fs::write(folder.join("build"), format!("#!/bin/sh\nset -eu\n{script}\n")).unwrap();
    fs::set_permissions(folder.join("build"), fs::Permissions::from_mode(0o755)).unwrap();
    Recipe::load(&"app".parse().unwrap(), &[root.join("rootfs")], root).unwrap()
}

#[tokio::test]
async fn images_that_stood_open_are_closed_at_once_and_stay_while_a_template_stands_on_one() {
    let root = tempfile::tempdir().unwrap();
    let images = root.path().join("images");
    let recipe = recipe(root.path(), "echo made >\"$1/file\"");
    let image = recipe.ensure(&HostRunner, &images).await.unwrap();
    let stood_on = BTreeSet::from([image.folder.clone()]);
    close_images(&images, &stood_on).unwrap();
    fs::set_permissions(&images, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(image.folder.join("planted"), "").unwrap();
    // It is known also the next time, when it is closed.
    for _ in 0..2 {
        let error = close_images(&images, &stood_on).unwrap_err().to_string();
        let told = format!("{} stood open to users of the host", image.folder.display());
        assert!(error.starts_with(&told) && error.contains("`bellows down`, then"), "{error}");
        assert_eq!(fs::metadata(&images).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(image.folder.join("planted").exists(), "it was removed below a template");
        assert!(recipe.ensure(&HostRunner, &images).await.is_err(), "it was used");
    }
    close_images(&images, &BTreeSet::new()).unwrap();
    assert_eq!(recipe.ensure(&HostRunner, &images).await.unwrap(), image);
    assert!(image.folder.join("file").exists() && !image.folder.join("planted").exists());
}

#[tokio::test]
async fn what_is_no_folder_among_images_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let images = root.path().join("images");
    let recipe = recipe(root.path(), "");
    let image = recipe.ensure(&HostRunner, &images).await.unwrap();
    let (notes, link) = (images.join("notes"), images.join("link"));
    fs::write(&notes, "").unwrap();
    std::os::unix::fs::symlink(&image.folder, &link).unwrap();
    assert_eq!(remove_other_images(&images, &[recipe], &BTreeSet::new()).unwrap(), 0);
    assert_eq!(remove_other_images(&images, &[], &BTreeSet::new()).unwrap(), 1);
    assert!(notes.exists() && fs::symlink_metadata(&link).is_ok() && !image.folder.exists());
}

#[tokio::test]
async fn a_script_that_outlives_who_called_it_keeps_its_draft_until_it_has_ended() {
    let root = tempfile::tempdir().unwrap();
    let images = root.path().join("images");
    let (begun, go) = (root.path().join("begun"), root.path().join("go"));
    // It reads nothing, and ends by itself after 10 s.
    let script = format!(
        "test -z \"$(cat)\"; touch \"$1/a\" {}; for _ in $(seq 200); do test -e {} && break; sleep 0.05; done; \
         echo late >\"$1/b\"",
        begun.display(),
        go.display()
    );
    let recipe = recipe(root.path(), &script);
    let killed = tokio::spawn({
        let (recipe, images) = (recipe.clone(), images.clone());
        async move { recipe.ensure(&HostRunner, &images).await }
    });
    wait_for(|| begun.exists()).await;
    // As when it is killed: the script is a process group of its own.
    killed.abort();
    assert!(killed.await.unwrap_err().is_cancelled());
    let draft = images.join(".app-draft");
    let Err(ImageError::UnderWay { image, holders }) = recipe.ensure(&HostRunner, &images).await
    else {
        panic!("two write to one draft");
    };
    let written = |id: &u32| fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
    assert!(image == "app" && holders.iter().any(|id| written(id).contains("rootfs/app/build")));
    assert_eq!(remove_other_images(&images, &[], &BTreeSet::new()).unwrap(), 0);
    assert!(draft.join("a").exists(), "it was removed below the script");
    fs::write(&go, "").unwrap();
    wait_for(|| super::holders(&lock_of(&draft)).is_empty()).await;
    assert!(draft.join("b").exists());
    assert_eq!(remove_other_images(&images, &[], &BTreeSet::new()).unwrap(), 1);
    recipe.ensure(&HostRunner, &images).await.unwrap();
    assert!(!draft.exists());
}

#[test]
fn who_holds_a_lock_that_was_handed_over_is_told() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("lock");
    let lock = lock_for_programs(&file).unwrap().unwrap();
    let mut program =
        Command::new("sleep").arg("60").stdin(lock.try_clone().unwrap()).spawn().unwrap();
    drop(lock);
    assert!(lock_for_programs(&file).unwrap().is_none());
    // Others are what a thread beside this one is just starting.
    assert!(holders(&file).contains(&program.id()));
    program.kill().unwrap();
    program.wait().unwrap();
}

async fn wait_for(mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(10), "it did not come to hold in 10 s");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
