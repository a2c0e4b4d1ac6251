//! The recipes of the justfile, with programs in place of ours that write down how they were called.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The tree of the project.
fn tree() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("crates/bellows lies in the tree").to_owned()
}

/// Writes a program that adds its name and its arguments to `calls`.
fn program(path: &Path, calls: &Path) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    let name = path.file_name().expect("a name").to_string_lossy();
    let text = format!(
        "#!/bin/sh\nprintf '%s' '{name}' >>'{0}'\nprintf ' <%s>' \"$@\" >>'{0}'\necho >>'{0}'\n",
        calls.display()
    );
    fs::write(path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("can be run");
}

/// A checkout in a folder with blanks in its name, whose programs write to the file beside it.
fn checkout(folder: &Path) -> (PathBuf, PathBuf) {
    let (checkout, calls) = (folder.join("my  own checkout"), folder.join("calls"));
    fs::create_dir(&checkout).expect("made");
    for name in ["just", "justfile", "Cargo.toml"] {
        fs::copy(tree().join(name), checkout.join(name)).expect("copied");
    }
    symlink(tree().join("scripts"), checkout.join("scripts")).expect("linked");
    // Where Debian has no `just`, the wrapper has put one into the tree.
    symlink(tree().join(".just"), checkout.join(".just")).expect("linked");
    let release = format!("target/{}-unknown-linux-gnu/release", std::env::consts::ARCH);
    for name in ["bellows", "loadgen", "simulator", "report"] {
        program(&checkout.join(&release).join(name), &calls);
    }
    program(&folder.join(".cargo/bin/cargo"), &calls);
    let rustc = folder.join(".cargo/bin/rustc");
    program(&rustc, &calls);
    fs::write(rustc, "#!/bin/sh\necho rustc 99.0.0\n").expect("written");
    (checkout, calls)
}

/// Who deploys a folder builds nothing for it, and a release has what was built.
#[test]
fn the_programs_of_the_images_that_applications_stand_on_are_built_with_the_system() {
    let justfile = fs::read_to_string(tree().join("justfile")).expect("read");
    let system = justfile.lines().find(|line| line.starts_with("system :=")).expect("is there");
    let mut programs = 0;
    for image in ["static-server", "program", "debian", "python"] {
        let recipe = tree().join("rootfs").join(image).join("recipe.toml");
        let recipe: toml::Table =
            fs::read_to_string(recipe).expect("read").parse().expect("is TOML");
        let binaries = recipe.get("binaries").and_then(toml::Value::as_array);
        for binary in binaries.into_iter().flatten() {
            let name = binary.as_str().expect("a name");
            assert!(system.contains(&format!("--package {name} ")), "{name}: {system}");
            programs += 1;
        }
    }
    assert_eq!(programs, 1);
}

#[test]
fn recipes_work_in_a_checkout_with_blanks_in_its_name_and_build_no_more_than_they_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let (checkout, calls) = checkout(folder.path());
    let system = "cargo <build> <--release> <--locked> <--package> <bellows> <--package> <scaler> \
                  <--package> <console@0.1.0> <--package> <egress> <--package> <object-store> \
                  <--package> <static-server> <--package> <init> <--package> <loadgen> \
                  <--package> <report>\n";
    let laboratory = |name| format!("cargo <build> <--release> <--locked> <--package> <{name}>\n");
    for (words, builds, called) in [
        (&["up", "--no-boot"][..], system.to_owned(), "bellows <--tree> <.> <up> <--no-boot>\n"),
        (&["down"], system.to_owned(), "bellows <--tree> <.> <down>\n"),
        (&["status", "--json"], system.to_owned(), "bellows <--tree> <.> <status> <--json>\n"),
        (&["policy", "a", "b c"], system.to_owned(), "bellows <--tree> <.> <policy> <a> <b c>\n"),
        (&["experiment", "ramp"], system.to_owned(), "loadgen <experiment> <ramp>\n"),
        (&["simulate", "ramp"], laboratory("simulator"), "simulator <run> <ramp>\n"),
        (&["report"], laboratory("report"), "report <results/latest>\n"),
    ] {
        let output = Command::new(checkout.join("just"))
            .args(words)
            .env("HOME", folder.path())
            .output()
            .expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {said}");
        let written = fs::read_to_string(&calls).expect("programs were called");
        assert_eq!(written, builds + called, "{words:?}");
        fs::remove_file(&calls).expect("removed");
    }
}
