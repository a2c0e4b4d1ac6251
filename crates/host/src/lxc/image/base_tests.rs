use std::os::unix::fs::PermissionsExt;

use super::super::images::close_images;
use super::*;
use crate::command::HostRunner;

/// Writes a recipe whose script is this.
fn write(root: &Path, name: &str, keys: &str, script: &str) {
    let folder = root.join("rootfs").join(name);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("recipe.toml"), format!("{keys}\ncommand = [\"/app\"]\n")).unwrap();
    fs::write(folder.join("build"), format!("#!/bin/sh\nset -eu\n{script}\n")).unwrap();
    fs::set_permissions(folder.join("build"), fs::Permissions::from_mode(0o755)).unwrap();
}

fn load(root: &Path, name: &str) -> Result<Recipe, ImageError> {
    Recipe::load(&name.parse().unwrap(), &[root.join("rootfs")], root)
}

/// Three recipes, each of which stands on the next.
fn tower(root: &Path) {
    write(root, "top", "base = \"middle\"", "echo \"$BASES\" >\"$1/bases\"");
    write(root, "middle", "base = \"bottom\"", "cat \"$BASES/lib\" >\"$1/copy\"");
    write(root, "bottom", "", "echo one >\"$1/lib\"; test -z \"${BASES-}\"");
}

#[tokio::test]
async fn an_image_stands_on_others_which_are_made_before_it_and_once_for_all() {
    let root = tempfile::tempdir().unwrap();
    let images = root.path().join("images");
    tower(root.path());
    let top = load(root.path(), "top").unwrap().ensure(&HostRunner, &images).await.unwrap();
    let [middle, bottom] = &top.bases[..] else { panic!("{:?}", top.bases) };
    assert_eq!(fs::read_to_string(middle.join("copy")).unwrap(), "one\n");
    let told = format!("{}:{}\n", middle.display(), bottom.display());
    assert_eq!(fs::read_to_string(top.folder.join("bases")).unwrap(), told);
    assert!(!top.folder.join("copy").exists(), "an image holds what it adds");
    let alone = load(root.path(), "middle").unwrap().ensure(&HostRunner, &images).await.unwrap();
    assert_eq!((&alone.folder, &alone.bases[..]), (middle, std::slice::from_ref(bottom)));
    let entries = fs::read_dir(&images).unwrap().flatten();
    assert_eq!(entries.filter(|entry| entry.path().is_dir()).count(), 3);
    // Another bottom makes all that stands on it another one.
    write(root.path(), "bottom", "", "echo two >\"$1/lib\"");
    let other = load(root.path(), "top").unwrap().ensure(&HostRunner, &images).await.unwrap();
    assert_ne!(other.digest, top.digest);
    assert_eq!(fs::read_to_string(other.bases[0].join("copy")).unwrap(), "two\n");
}

#[tokio::test]
async fn what_a_recipe_or_a_template_stands_on_stays_and_the_rest_goes() {
    let root = tempfile::tempdir().unwrap();
    let images = root.path().join("images");
    tower(root.path());
    let old = load(root.path(), "top").unwrap().ensure(&HostRunner, &images).await.unwrap();
    write(root.path(), "middle", "base = \"bottom\"", "");
    let recipe = load(root.path(), "top").unwrap();
    let new = recipe.ensure(&HostRunner, &images).await.unwrap();
    let stood_on = old.bases.iter().cloned().collect();
    assert_eq!(remove_other_images(&images, std::slice::from_ref(&recipe), &stood_on).unwrap(), 1);
    assert!(!old.folder.exists() && old.bases.iter().all(|base| base.exists()));
    assert_eq!(remove_other_images(&images, &[recipe], &BTreeSet::new()).unwrap(), 1);
    assert!(!old.bases[0].exists() && new.stack().iter().all(|folder| folder.exists()));
}

#[test]
fn a_base_that_is_not_there_or_stands_on_the_image_is_refused_with_file_and_key() {
    let root = tempfile::tempdir().unwrap();
    let refused = |name: &str, expected: &str| {
        let error = load(root.path(), name).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    write(root.path(), "lonely", "base = \"nobody\"", "");
    refused(
        "lonely",
        "rootfs/lonely/recipe.toml: base is `nobody`, and rootfs/nobody is not there",
    );
    write(root.path(), "own", "base = \"own\"", "");
    refused("own", "rootfs/own/recipe.toml: base is `own`, which stands on this image itself");
    write(root.path(), "one", "base = \"two\"", "");
    write(root.path(), "two", "base = \"one\"", "");
    refused("one", "rootfs/two/recipe.toml: base is `one`, which stands on this image itself");
    write(root.path(), "odd", "needs = { \"/bin/sh\" = \"dash\" }", "");
    refused("odd", "rootfs/odd/recipe.toml, line 1: needs is {\"/bin/sh\": \"dash\"}: use names");
    write(root.path(), "odd", "base = \"../odd\"", "");
    refused("odd", "`../odd` is not a name: use 1 to 31 of a-z");
}

#[tokio::test]
async fn a_base_is_looked_for_where_recipes_are_looked_for() {
    let root = tempfile::tempdir().unwrap();
    let (tree, release) = (root.path().join("tree"), root.path().join("release"));
    write(&tree, "app", "base = \"debian\"", "");
    write(&release, "debian", "", "echo the releases >\"$1/file\"");
    let folders = [tree.join("rootfs"), release.join("rootfs")];
    let recipe = Recipe::load(&"app".parse().unwrap(), &folders, root.path()).unwrap();
    let image = recipe.ensure(&HostRunner, &root.path().join("images")).await.unwrap();
    assert_eq!(fs::read_to_string(image.bases[0].join("file")).unwrap(), "the releases\n");
}

#[tokio::test]
async fn what_a_killed_script_left_mounted_outlives_its_draft() {
    let root = tempfile::tempdir().unwrap();
    let (images, devices) = (root.path().join("images"), root.path().join("dev"));
    fs::create_dir(&devices).unwrap();
    fs::write(devices.join("null"), "the host's").unwrap();
    close_images(&images, &BTreeSet::new()).unwrap();
    let leave = |draft: &str| {
        let place = images.join(draft).join("dev");
        fs::create_dir_all(&place).unwrap();
        rustix::mount::mount_bind(&devices, &place).unwrap();
    };
    write(root.path(), "app", "", "");
    let recipe = load(root.path(), "app").unwrap();
    leave(".app-draft");
    recipe.ensure(&HostRunner, &images).await.unwrap();
    leave(".app-draft");
    assert_eq!(remove_other_images(&images, &[recipe], &BTreeSet::new()).unwrap(), 1);
    assert_eq!(fs::read_to_string(devices.join("null")).unwrap(), "the host's");
}

#[tokio::test]
async fn a_program_that_a_recipe_needs_is_named_with_its_package() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "app", "needs = { sh = \"dash\", no-such-program = \"the-package\" }", "");
    let images = root.path().join("images");
    let error = load(root.path(), "app").unwrap().ensure(&HostRunner, &images).await.unwrap_err();
    insta::assert_snapshot!(error, @"the recipe of image app needs `no-such-program`: apt-get install --no-install-recommends the-package");
    // Nor when it is what the image stands on that needs it, and has not been made.
    write(root.path(), "top", "base = \"app\"", "");
    let top = load(root.path(), "top").unwrap();
    assert!(top.check_needs(&images).unwrap_err().to_string().contains("image app needs"));
    write(root.path(), "app", "needs = { sh = \"dash\" }", "");
    let made = load(root.path(), "app").unwrap().ensure(&HostRunner, &images).await;
    made.unwrap();
    top.check_needs(&images).unwrap();
}
