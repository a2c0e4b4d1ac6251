//! Python applications as their users have them, from a folder to an instance that answers, on real LXC.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod rig;
#[expect(dead_code, reason = "a part of it is for other tests")]
mod world;

use std::fs;
use std::time::Instant;

use host::build::BuildError;
use host::lxc::Image;
use rig::Rig;
use world::run;

/// A wheel of one module, as pip makes them.
const WHEEL: &str = r#"
import sys, zipfile
folder, text, *started = sys.argv[1:]
with zipfile.ZipFile(folder + "/greeting-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("greeting.py", f"TEXT = {text!r}\n")
    wheel.writestr("greeting-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
    wheel.writestr("greeting-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr("greeting-1.0.dist-info/RECORD", "")
    for line in started:
        wheel.writestr("greeting.pth", line + "\n")
"#;

/// A server without a package of anybody's.
const SERVER: &str = r#"
import http.server, os, pathlib, greeting
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = f"{greeting.TEXT} {pathlib.Path('data').read_text()}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
"#;

/// What an instance of this image answers.
async fn answer(rig: &Rig, image: &Image, path: &str) -> String {
    let lines = "root = \"read_only\"\nwritable = [{ path = \"/tmp\", size_mib = 8 }]";
    let memory = [("memory_mib = 48", "memory_mib = 128")];
    let template = rig.world.beside_with("test-app", image, lines, &memory).await;
    let instance = rig.world.launch_mute_from(&template, 242).await;
    let begun = Instant::now();
    loop {
        match rig.world.get(&instance, path) {
            Ok(body) => return body,
            Err(error) => assert!(begun.elapsed().as_secs() < 10, "{error}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// The times at which the parts of an image were made.
fn parts(image: &Image) -> [String; 2] {
    [&image.folder, &image.bases[0]].map(|folder| folder.display().to_string())
}

#[tokio::test]
async fn a_package_from_the_applications_own_folder_is_importable_in_an_instance_and_no_network_is_needed()
 {
    let requirements = "--no-index\n--find-links wheels\ngreeting==1.0\n";
    let rig = Rig::of(&[
        ("requirements.txt", requirements),
        ("Procfile", "web: python server.py\n"),
        ("server.py", SERVER),
        ("data", "one"),
        (".env", "SECRET=1"),
    ])
    .await;
    let wheels = rig.folder.join("wheels");
    fs::create_dir(&wheels).unwrap();
    run("python3", &["-c", WHEEL, wheels.to_str().unwrap(), "hello"]);
    let (image, lines) = rig.build_for("test-app").await;
    let image = image.unwrap_or_else(|error| panic!("{error}: {lines:#?}"));
    assert!(
        lines.iter().any(|line| line.starts_with("Successfully installed greeting")),
        "{lines:#?}"
    );
    assert_eq!(answer(&rig, &image, "/").await, "hello one");
    assert!(!image.folder.join("srv/app/.env").exists());
    assert!(image.bases[0].join("srv/venv/bin/python").is_symlink());
    // What is compiled is there, and is as new as its source.
    let compiled = run("find", &[image.bases[0].to_str().unwrap(), "-name", "greeting.*.pyc"]);
    assert_eq!(compiled.lines().count(), 1, "{compiled}");
    let left =
        run("find", &[rig.world.settings.paths.state.to_str().unwrap(), "-name", "bw-build.*"]);
    assert_eq!(left, "");
}

/// What runs whenever Python starts, and would have each Python say so that is copied from the cache.
const POISON: &str = "import os; folder = '/build/cache/venv/lib/python3.11/site-packages'; \
    os.makedirs(folder, exist_ok=True); open(folder + '/bad.pth', 'w').write('import sys; print(\"poisoned\")')";

#[tokio::test]
async fn what_a_package_leaves_in_the_cache_is_not_run_by_the_next_build_nor_is_a_file_of_the_folder()
 {
    let rig = Rig::of(&[
        ("requirements.txt", "--no-index\n--find-links wheels\ngreeting==1.0\n"),
        ("Procfile", "web: python server.py\n"),
        ("server.py", ""),
        // Which pip imports.
        ("optparse.py", "raise SystemExit('a file of the folder is run')"),
    ])
    .await;
    let wheels = rig.folder.join("wheels");
    fs::create_dir(&wheels).unwrap();
    run("python3", &["-c", WHEEL, wheels.to_str().unwrap(), "hello", POISON]);
    let (image, lines) = rig.build_for("test-app").await;
    let image = image.unwrap_or_else(|error| panic!("{error}: {lines:#?}"));
    let packages = image.bases[0].join("srv/venv/lib/python3.11/site-packages");
    assert!(packages.join("greeting.pth").exists());
    rig.write("requirements.txt", "--no-index\n");
    let (image, lines) = rig.build_for("test-app").await;
    let image = image.unwrap_or_else(|error| panic!("{error}: {lines:#?}"));
    assert!(!lines.iter().any(|line| line.contains("poisoned")), "{lines:#?}");
    let packages = image.bases[0].join("srv/venv/lib/python3.11/site-packages");
    assert!(!packages.join("bad.pth").exists());
    let names = ["pip", "setuptools", "pkg_resources"].map(|name| packages.join(name).is_dir());
    assert_eq!(names, [true; 3], "as `python3 -m venv` leaves them");
}

#[tokio::test]
async fn packages_are_installed_anew_when_what_names_them_changes_and_else_not() {
    let rig = Rig::of(&[
        ("requirements.txt", "--no-index\n"),
        ("Procfile", "web: python server.py\n"),
        ("server.py", "1"),
    ])
    .await;
    let (first, lines) = rig.build_for("test-app").await;
    let first = first.unwrap();
    assert!(!lines.is_empty());
    rig.write("server.py", "2");
    let (second, lines) = rig.build_for("test-app").await;
    let second = second.unwrap();
    assert_eq!(lines, [""; 0]);
    assert_eq!(parts(&second)[1], parts(&first)[1]);
    assert_ne!((&parts(&second)[0], &second.digest), (&parts(&first)[0], &first.digest));
    rig.write("server.py", "1");
    let (again, _) = rig.build_for("test-app").await;
    assert_eq!(again.unwrap(), first);
    rig.write("requirements.txt", "--no-index\n# another\n");
    let (third, lines) = rig.build_for("test-app").await;
    assert!(!lines.is_empty());
    assert_ne!(parts(&third.unwrap())[1], parts(&first)[1]);
}

#[tokio::test]
async fn a_requirement_that_is_not_there_is_told_in_pips_own_words() {
    let rig = Rig::of(&[
        ("requirements.txt", "--no-index\nno-such-package-of-anybody\n"),
        ("Procfile", "web: python server.py\n"),
    ])
    .await;
    let error = rig.build_for("test-app").await.0.unwrap_err().to_string();
    assert!(
        error.starts_with("the build ended with status 1: mend what its last lines name"),
        "{error}"
    );
    let told = "ERROR: No matching distribution found for no-such-package-of-anybody";
    assert!(error.contains(told), "{error}");
}

/// The package index is asked, and nobody else.
#[tokio::test]
async fn flask_comes_from_the_package_index_by_the_way_out_alone() {
    let rig = Rig::new().await.of_example("hello-flask");
    let begun = Instant::now();
    let (image, lines) = rig.build_for("test-app").await;
    let image = image.unwrap_or_else(|error| panic!("{error}: {lines:#?}"));
    println!("built in {:?}", begun.elapsed());
    let answer = answer(&rig, &image, "/").await;
    assert_eq!(answer, "Hello, world!\n");
    let installed = lines.iter().find(|line| line.starts_with("Successfully installed")).unwrap();
    assert!(
        installed.contains("gunicorn") && installed.to_lowercase().contains("flask"),
        "{installed}"
    );
}

#[tokio::test]
async fn what_needs_a_compiler_or_another_host_is_told_with_its_last_lines() {
    let setup = "from setuptools import Extension, setup\n\
                 setup(name='native', version='1', ext_modules=[Extension('native', ['native.c'])])\n";
    let rig = Rig::of(&[
        ("requirements.txt", "./native\n"),
        ("native/setup.py", setup),
        ("native/native.c", "int x;\n"),
        ("Procfile", "web: python server.py\n"),
    ])
    .await;
    let error = rig.build_for("test-app").await.0.unwrap_err().to_string();
    assert!(error.contains("gcc") && error.contains("No such file or directory"), "{error}");
    rig.write("requirements.txt", "--index-url https://index.example/simple\nflask\n");
    let (result, lines) = rig.build_for("test-app").await;
    assert!(matches!(result, Err(BuildError::Failed { .. })), "{result:?}");
    let cure = "add \"index.example:443\" to builds.egress in bellows.toml";
    assert!(lines.iter().any(|line| line.contains(cure)), "{lines:#?}");
}
