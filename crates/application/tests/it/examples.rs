//! The applications in `examples/` are what they are meant to be, without a file of ours.

use std::path::{Path, PathBuf};

use application::{Recipe, detect};

use crate::harness::found;

fn examples() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap().join("examples")
}

/// What is chosen, as the user is told.
fn told(name: &str) -> String {
    let found = found(&examples().join(name));
    assert_eq!(found.left_out.lines().collect::<Vec<_>>(), [""; 0]);
    let chosen = detect(&found, None).unwrap();
    chosen.notes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn each_example_is_known_for_what_it_is() {
    insta::assert_snapshot!(told("hello-flask"), @r#"
    requirements.txt: a Python application with the packages that it names.
    app.py: app is the application, started by `gunicorn --workers 1 --threads 8 app:app`; to change it, write: instance.command = ["gunicorn", "--workers", "1", "--threads", "8", "app:app"]
    gunicorn: installed too, since it is started and nothing names it.
    requests that an instance is given at once: 8; to change it, write: capacity.concurrency = 8
    "#);
    insta::assert_snapshot!(told("hello-asgi"), @r#"
    requirements.txt: a Python application with the packages that it names.
    main.py: app is the application, started by `exec uvicorn --host 0.0.0.0 --port "$PORT" main:app`; to change it, write: instance.command = ["/bin/sh", "-c", 'exec uvicorn --host 0.0.0.0 --port "$PORT" main:app']
    requests that an instance is given at once: 100; to change it, write: capacity.concurrency = 100
    "#);
    insta::assert_snapshot!(told("static"), @"
    index.html: files, served as they are.
    requests that an instance is given at once: 100; to change it, write: capacity.concurrency = 100
    ");
}

#[test]
fn what_serves_an_example_is_added_where_it_does_not_name_it() {
    let added = |name: &str| match detect(&found(&examples().join(name)), None).unwrap().recipe {
        Recipe::Python { added, .. } => added,
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(added("hello-flask"), ["gunicorn"]);
    assert_eq!(added("hello-asgi"), [""; 0]);
}
