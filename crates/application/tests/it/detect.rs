//! What folders are taken for.

use application::{Chosen, Declared, Recipe, Refusal, Start, detect};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::elf::{AARCH64, HERE, S390, X86_64, dynamic_program, static_program};
use crate::harness::{allow_to_run, folder, found, write};

const FLASK: &str = "from flask import Flask\napp = Flask(__name__)\n";

fn judged(files: &[(&str, &str)]) -> Result<Chosen, Refusal> {
    detect(&found(folder(files).path()), None)
}

/// What is started, and how much that takes at once.
fn started(files: &[(&str, &str)]) -> String {
    let chosen = judged(files).unwrap();
    let at_once = chosen.workers.map_or("?".to_owned(), |workers| workers.at_once().to_string());
    format!("{} ({at_once})", chosen.start.unwrap())
}

fn refused(files: &[(&str, &str)]) -> String {
    judged(files).unwrap_err().to_string()
}

/// A folder with a program that may be run.
fn with_program(name: &str, program: &[u8]) -> TempDir {
    let folder = folder(&[("config.toml", ""), ("pages/index.html", "")]);
    allow_to_run(&write(folder.path(), name, program));
    folder
}

#[test]
fn the_start_of_a_python_application_is_found() {
    let flask = ("requirements.txt", "flask\n");
    let fast = ("requirements.txt", "fastapi\nuvicorn\n");
    let starts = [
        started(&[flask, ("app.py", FLASK)]),
        started(&[flask, ("main.py", "application = make()")]),
        started(&[fast, ("main.py", "app = make()")]),
        started(&[flask, ("main.py", "app = make()"), ("app.py", "x = 1")]),
        started(&[flask, ("wsgi.py", "from shop import app"), ("shop.py", "")]),
        started(&[fast, ("app/__init__.py", ""), ("app/main.py", "app = FastAPI()")]),
        started(&[("requirements.txt", ""), ("asgi.py", "app = make()")]),
        started(&[
            ("requirements.txt", "django"),
            ("manage.py", ""),
            ("shop/wsgi.py", "application = get_wsgi_application()"),
            ("shop/asgi.py", "application = get_asgi_application()"),
        ]),
        started(&[
            ("pyproject.toml", "[project]\ndependencies = ['quart']"),
            ("app.py", "app = make()"),
        ]),
        started(&[
            flask,
            ("app.py", FLASK),
            ("Procfile", "web: gunicorn -w 2 --threads 3 app:app"),
        ]),
        started(&[flask, ("Procfile", "web: python serve.py --port $PORT")]),
    ];
    insta::assert_snapshot!(starts.join("\n"), @r#"
    gunicorn --workers 1 --threads 8 app:app (8)
    gunicorn --workers 1 --threads 8 main:application (8)
    exec uvicorn --host 0.0.0.0 --port "$PORT" main:app (100)
    gunicorn --workers 1 --threads 8 main:app (8)
    gunicorn --workers 1 --threads 8 wsgi:app (8)
    exec uvicorn --host 0.0.0.0 --port "$PORT" app.main:app (100)
    exec uvicorn --host 0.0.0.0 --port "$PORT" asgi:app (100)
    gunicorn --workers 1 --threads 8 shop.wsgi:application (8)
    exec uvicorn --host 0.0.0.0 --port "$PORT" app:app (100)
    gunicorn -w 2 --threads 3 app:app (6)
    exec env python serve.py --port $PORT (?)
    "#);
}

#[test]
fn what_is_needed_is_read_from_requirements_before_a_project() {
    let files = [
        ("requirements.txt", "-r requirements/base.txt\n"),
        ("requirements/base.txt", "-r more.txt\nflask-cors\n"),
        ("requirements/more.txt", "fastapi\n-r base.txt\n"),
        ("pyproject.toml", "[project]\ndependencies = ['flask', 'gunicorn']"),
        ("main.py", "app = make()"),
    ];
    let chosen = judged(&files).unwrap();
    let Recipe::Python { declared, added } = &chosen.recipe else { panic!("{chosen:?}") };
    assert_eq!((*declared, &added[..]), (Declared::Requirements, &["uvicorn", "websockets"][..]));
    assert_eq!(chosen.environment["PYTHONUNBUFFERED"], "1");
    // flask-cors alone is not Flask, and says nothing.
    let cors =
        started(&[("requirements.txt", "fastapi-users\nflask-cors"), ("app.py", "app = x()")]);
    assert!(cors.starts_with("gunicorn "), "{cors}");
}

#[test]
fn a_command_of_the_users_own_takes_the_place_of_a_search() {
    let folder = folder(&[("requirements.txt", "gunicorn"), ("Procfile", "no Procfile")]);
    let command = ["gunicorn".to_owned(), "shop:make()".to_owned()];
    let chosen = detect(&found(folder.path()), Some(&command)).unwrap();
    assert_eq!(chosen.start, Some(Start::Words(command.to_vec())));
    assert_eq!(chosen.recipe, Recipe::Python { declared: Declared::Requirements, added: vec![] });
}

/// `detect` once served the pages beside it, and left the command out.
#[test]
fn what_the_user_starts_is_started_or_refused_and_never_left_out() {
    let page = ("index.html", "");
    let with = |files: &[(&str, &str)], command: &[&str]| {
        let command: Vec<String> = command.iter().map(ToString::to_string).collect();
        let chosen = detect(&found(folder(files).path()), Some(&command));
        chosen.map(|chosen| assert_eq!(chosen.start, Some(Start::Words(command))))
    };
    assert_eq!(with(&[page, ("requirements.txt", "")], &["python3", "serve.py"]), Ok(()));
    let refusals = [
        with(&[page], &["node", "server.js"]),
        with(&[page, ("serve.py", "")], &["python3", "serve.py"]),
        with(&[("public/index.html", "")], &["caddy", "file-server"]),
        with(&[], &["caddy"]),
        judged(&[page, ("Procfile", "web: node server.js --port $PORT")]).map(drop),
    ];
    let told = refusals.map(|refusal| refusal.unwrap_err().to_string());
    insta::assert_snapshot!(told.join("\n"), @"
    instance.command starts `node server.js`, and the folder has nothing that it runs in: start one static program that lies in the folder, by ./NAME; write a requirements.txt where it is Python; or take instance.command away, for pages to be served as they are
    serve.py is there, but no requirements.txt: write one with the packages that it needs, one a line, or with none; where it is no part of the application, name it in .gitignore
    instance.command starts `caddy file-server`, and the folder has nothing that it runs in: start one static program that lies in the folder, by ./NAME; write a requirements.txt where it is Python; or take instance.command away, for pages to be served as they are
    instance.command starts `caddy`, and the folder has nothing that it runs in: start one static program that lies in the folder, by ./NAME; write a requirements.txt where it is Python; or take instance.command away, for pages to be served as they are
    Procfile starts `exec env node server.js --port $PORT`, and the folder has nothing that it runs in: start one static program that lies in the folder, by ./NAME; write a requirements.txt where it is Python; or take Procfile away, for pages to be served as they are
    ");
    let server = with_program("server", &static_program(HERE));
    write(server.path(), "index.html", b"");
    let command = ["./server".to_owned(), "--fast".to_owned()];
    let chosen = detect(&found(server.path()), Some(&command)).unwrap();
    assert_eq!(chosen.start, Some(Start::Words(command.to_vec())));
}

#[test]
fn a_program_of_the_folder_is_started_by_its_path_or_by_its_name_alone() {
    let folder = with_program("server", &static_program(HERE));
    let command = ["server".to_owned(), "--fast".to_owned()];
    let chosen = detect(&found(folder.path()), Some(&command)).unwrap();
    assert_eq!(chosen.start, Some(Start::Words(command.to_vec())));
    assert_eq!(chosen.image(), "program");
    for line in ["web: ./server", "web: server", "web: server --port $PORT", "web: A=b server && c"]
    {
        write(folder.path(), "Procfile", line.as_bytes());
        let chosen = detect(&found(folder.path()), None).unwrap();
        assert!(matches!(chosen.recipe, Recipe::Program { .. }), "{line}");
    }
}

#[test]
fn a_program_beside_python_is_started_by_its_path_as_whoever_starts_it_finds_it() {
    let folder = with_program("server", &static_program(HERE));
    write(folder.path(), "requirements.txt", b"");
    let started = |command: &str| {
        let command = [command.to_owned()];
        detect(&found(folder.path()), Some(&command)).map_err(|refusal| refusal.to_string())
    };
    assert!(started("./server").is_ok());
    insta::assert_snapshot!(started("server").unwrap_err(), @"instance.command starts `server` by its name alone, which is looked for on the PATH and not in the folder: write ./server");
}

#[test]
fn what_may_not_be_run_is_told_with_the_line_that_lets_it() {
    let folder = folder(&[("requirements.txt", ""), ("bin/run it.sh", "#!/bin/sh\n")]);
    let started = |command: &str| detect(&found(folder.path()), Some(&[command.to_owned()]));
    let refusal = started("./bin/run it.sh").unwrap_err().to_string();
    assert!(refusal.contains("chmod +x 'bin/run it.sh';"), "{refusal}");
    allow_to_run(&folder.path().join("bin/run it.sh"));
    assert!(started("./bin/run it.sh").is_ok());
    let program = crate::harness::folder(&[("index.html", "")]);
    write(program.path(), "-server", &static_program(HERE));
    let refusal = detect(&found(program.path()), None).unwrap_err().to_string();
    insta::assert_snapshot!(refusal, @"-server may not be run: chmod +x ./-server; a program that is there to be downloaded belongs into a folder of its own");
}

#[test]
fn one_static_program_is_started_and_a_command_says_which_of_several() {
    let folder = with_program("server", &static_program(HERE));
    let chosen = detect(&found(folder.path()), None).unwrap();
    assert_eq!(chosen.start, Some(Start::Words(vec!["./server".to_owned()])));
    assert!(matches!(&chosen.recipe, Recipe::Program { program } if program.as_str() == "server"));
    allow_to_run(&write(folder.path(), "other", &static_program(HERE)));
    let several = detect(&found(folder.path()), None).unwrap_err();
    insta::assert_snapshot!(several, @r#"other and server are programs: say which to start in bellows.toml: instance.command = ["./other"]"#);
    for line in ["./server --port $PORT", "A=b ./server", "exec ./server", "./server"] {
        write(folder.path(), "Procfile", format!("web: {line}").as_bytes());
        let chosen = detect(&found(folder.path()), None).unwrap();
        assert!(chosen.start.unwrap().to_string().ends_with(line), "{line}");
    }
}

/// The image that a program stands on where it is started so, and what is told.
fn image(folder: &TempDir, line: &str) -> (&'static str, String) {
    write(folder.path(), "Procfile", format!("web: {line}").as_bytes());
    let chosen = detect(&found(folder.path()), None).unwrap();
    let notes = chosen.notes.iter().map(ToString::to_string);
    (chosen.image(), notes.collect::<Vec<_>>().join("\n"))
}

#[test]
fn what_needs_a_shell_stands_on_debians_userland_and_a_program_alone_on_next_to_nothing() {
    let folder = with_program("server", &static_program(HERE));
    for line in ["server", "./server", "./server --port 8000"] {
        let (image, notes) = image(&folder, line);
        assert!(image == "program" && !notes.contains("Debian"), "{line}: {notes}");
    }
    for line in ["./server --port $PORT", "A=b ./server", "env A=b ./server", "./server && true"] {
        assert_eq!(image(&folder, line).0, "debian", "{line}");
    }
    insta::assert_snapshot!(image(&folder, "./server --port $PORT").1, @r#"
    server: one static program, started by Procfile.
    started by /bin/sh, so the image stands on Debian's userland (186 MB, on disk once for all services); a program that reads PORT by itself needs none; to change it, write: instance.command = ["./server"]
    requests that an instance is given at once: 100; to change it, write: capacity.concurrency = 100
    "#);
    let python = judged(&[("requirements.txt", "flask"), ("app.py", FLASK)]).unwrap();
    let pages = judged(&[("index.html", "")]).unwrap();
    assert_eq!((python.image(), pages.image()), ("python", "static-server"));
}

/// It is looked for in the folder too, so it was told by the instance alone.
#[test]
fn a_program_that_may_not_be_run_is_told_also_where_its_name_has_no_slash() {
    let folder = folder(&[("Procfile", "web: server --fast")]);
    write(folder.path(), "server", &static_program(HERE));
    let refusal = detect(&found(folder.path()), None).unwrap_err().to_string();
    assert!(refusal.starts_with("server may not be run: chmod +x server;"), "{refusal}");
}

#[test]
fn places_in_the_load_balancer_are_what_takes_requests_at_once() {
    let flask = ("requirements.txt", "flask\ngunicorn\nuvicorn\n");
    let of = |line: &str| {
        let line = format!("web: {line}");
        judged(&[flask, ("app.py", FLASK), ("Procfile", &line)]).unwrap().concurrency()
    };
    assert_eq!(of("gunicorn app:app"), Some(1));
    assert_eq!(of("gunicorn --workers 1 --threads 8 app:app"), Some(8));
    assert_eq!(of("uvicorn app:app"), Some(100));
    assert_eq!(of("python app.py"), None, "it is the 8 of every service's file");
    // More than HAProxy has for a service; and `bellows validate` would refuse 4,294,967,295.
    assert_eq!(of("gunicorn -w 100000 --threads 100000 app:app"), Some(2_000));
    let program = detect(&found(with_program("server", &static_program(HERE)).path()), None);
    let pages = judged(&[("index.html", "")]);
    assert_eq!([program, pages].map(|chosen| chosen.unwrap().concurrency()), [Some(100); 2]);
}

#[test]
fn programs_that_would_not_run_are_refused() {
    let refusal = |program: &[u8]| {
        let folder = with_program("server", program);
        detect(&found(folder.path()), None).unwrap_err().to_string()
    };
    let other = if HERE == X86_64 { AARCH64 } else { X86_64 };
    let other = refusal(&static_program(other));
    assert!(other.starts_with("server is built for "), "{other}");
    assert!(other.contains(&format!("and this host is {}", std::env::consts::ARCH)), "{other}");
    assert!(refusal(&static_program(S390)).starts_with("server is built for another machine"));
    let cut = refusal(&static_program(HERE)[..100]);
    insta::assert_snapshot!(cut, @"server begins as a program does, and is none: its headers are cut off, or lead beyond its end; build it, or copy it, again");
    insta::assert_snapshot!(refusal(&dynamic_program()), @"server needs libraries of the machine that it was built on: link it statically, with Rust by a target of musl, with Go by CGO_ENABLED=0, with C by -static");
}

#[test]
fn a_program_that_lies_deeper_and_a_script_are_files_as_any_other() {
    let folder = folder(&[]);
    write(folder.path(), "downloads/server", &static_program(HERE));
    allow_to_run(&write(folder.path(), "tools/server", &static_program(HERE)));
    allow_to_run(&write(folder.path(), "server.sh", b"#!/bin/sh\n"));
    assert_eq!(detect(&found(folder.path()), None), Err(Refusal::Nothing));
}

#[test]
fn files_are_served_where_nothing_is_to_be_run() {
    let chosen = judged(&[("index.html", ""), ("a/index.html", "")]).unwrap();
    assert_eq!((chosen.recipe, chosen.start), (Recipe::Files, None));
}

#[test]
fn what_is_not_known_is_refused_with_what_to_write() {
    let refusals = [
        refused(&[]),
        refused(&[("README.md", ""), ("index.js", "")]),
        refused(&[("Dockerfile", "FROM scratch")]),
        refused(&[("requirements.txt", "flask"), ("shop.py", "shop = Flask(__name__)")]),
        refused(&[("app.py", FLASK)]),
        refused(&[("app.py", FLASK), ("index.html", "")]),
        refused(&[("pyproject.toml", "[tool.ruff]")]),
        refused(&[("pyproject.toml", "[project")]),
        refused(&[("index.html", ""), ("package.json", "{}")]),
        refused(&[("public/index.html", ""), ("package.json", "{}")]),
        refused(&[("dist/index.html", "")]),
        refused(&[("index.html", ""), ("Procfile", "web gunicorn")]),
    ];
    insta::assert_snapshot!(refusals.join("\n"), @r#"
    nothing in the folder tells what it is: an application in Python has requirements.txt or pyproject.toml, one in another language is one static program, and pages begin with index.html
    nothing in the folder tells what it is: an application in Python has requirements.txt or pyproject.toml, one in another language is one static program, and pages begin with index.html
    a Dockerfile is not read: put what it copies into the folder, write what it installs with pip into requirements.txt, and its CMD into bellows.toml: instance.command = ["PROGRAM", "ARGUMENT"]; a compiled program is deployed as one static file
    nothing says what starts the application: assign it to `app` in app.py or main.py, or write into bellows.toml: instance.command = ["PROGRAM", "ARGUMENT"]; for gunicorn that is instance.command = ["gunicorn", "MODULE:VARIABLE"]
    app.py is there, but no requirements.txt: write one with the packages that it needs, one a line, or with none; where it is no part of the application, name it in .gitignore
    app.py is there, but no requirements.txt: write one with the packages that it needs, one a line, or with none; where it is no part of the application, name it in .gitignore
    nothing in the folder tells what it is: an application in Python has requirements.txt or pyproject.toml, one in another language is one static program, and pages begin with index.html
    pyproject.toml cannot be read: TOML parse error at line 1, column 9
      |
    1 | [project
      |         ^
    unclosed table, expected `]`
    package.json says that the pages are built first: build them, and deploy the folder that this makes, such as dist
    package.json says that the pages are built first: build them, and deploy the folder that this makes, such as dist
    index.html is in dist: deploy that folder
    Procfile, line 1: write NAME: COMMAND, as in web: gunicorn app:app
    "#);
}

/// Serving the source of an application, with its secrets, would be the worst way to start it.
#[test]
fn a_python_application_is_never_taken_for_files() {
    for needs in ["requirements.txt", "pyproject.toml"] {
        let text = if needs == "pyproject.toml" { "[project]" } else { "" };
        let refusal = judged(&[("index.html", ""), ("shop.py", ""), (needs, text)]);
        assert_eq!(refusal, Err(Refusal::NoStart), "{needs}");
    }
}

#[test]
fn sources_of_programs_are_never_served() {
    for source in [
        "shop.py",
        "tools/deep/er/shop.py",
        "main.go",
        "go.mod",
        "Cargo.toml",
        "src/main.rs",
        "index.php",
        "wp-content/INDEX.PHP",
        "app.rb",
        "Gemfile",
        "pom.xml",
    ] {
        let refusal = judged(&[("index.html", ""), (source, "")]).unwrap_err();
        let is_python = std::path::Path::new(source).extension().is_some_and(|it| it == "py");
        match refusal {
            Refusal::NoRequirements(path) if is_python => assert_eq!(path.as_str(), source),
            Refusal::Source(path) if !is_python => assert_eq!(path.as_str(), source),
            other => panic!("{source}: {other}"),
        }
        let ignored = [("index.html", ""), (source, ""), (".gitignore", source)];
        assert_eq!(judged(&ignored).unwrap().recipe, Recipe::Files, "{source}");
    }
}

/// A file that names itself twice was read 2^8 times, and one of 200 such lines for as long as anybody waited.
#[test]
fn a_file_of_requirements_is_read_once_however_often_it_is_named() {
    let itself = "-r requirements.txt\n-r ./requirements/a.txt\n".repeat(200) + "fastapi\n";
    let each_other = "-r a.txt\n-r b.txt\n-r nowhere.txt\n".repeat(200) + "gunicorn\n";
    let files = [
        ("requirements.txt", itself.as_str()),
        ("requirements/a.txt", each_other.as_str()),
        ("requirements/b.txt", each_other.as_str()),
        ("main.py", "app = make()"),
    ];
    assert!(started(&files).starts_with("exec uvicorn "));
}

#[test]
fn what_was_found_beside_is_told() {
    let files = [
        ("requirements.txt", "flask"),
        ("app.py", FLASK),
        ("Dockerfile", ""),
        (".python-version", "3.13"),
        ("Procfile", "worker: celery\nrelease: flask db upgrade\nweb: flask x; gunicorn app:app"),
    ];
    let notes: Vec<_> = judged(&files).unwrap().notes.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(notes.join("\n"), @"
    requirements.txt: a Python application with the packages that it names.
    Procfile: started by `flask x; gunicorn app:app`.
    gunicorn: installed too, since it is started and nothing names it.
    .python-version: not read, Python is the one of the image.
    requests that an instance is given at once: 1; to change it, write: capacity.concurrency = 1
    the shell stays in front of what it runs and passes no signal on: write exec before the last command, so that it can end what it has under way.
    Dockerfile: not read, the image is made of the folder itself.
    Procfile: only its line web is run, not worker, release.
    ");
}

proptest! {
    /// What a user's files hold is read, and never trusted to be what its name says.
    #[test]
    fn whatever_the_texts_hold_they_are_judged(
        requirements in proptest::option::of(any_text()),
        source in any_text(),
        procfile in proptest::option::of(any_text()),
    ) {
        let folder = folder(&[("app.py", &source), ("pyproject.toml", &source)]);
        for (name, text) in [("requirements.txt", requirements), ("Procfile", procfile)] {
            if let Some(text) = text {
                write(folder.path(), name, text.as_bytes());
            }
        }
        if let Ok(chosen) = detect(&found(folder.path()), None) {
            let command = chosen.start.unwrap().command();
            prop_assert!(!command.is_empty() && !command[0].is_empty(), "{command:?}");
        }
    }
}

/// Lines of the signs that mean something to one of the readers, and others.
fn any_text() -> impl Strategy<Value = String> {
    let sign = prop_oneof![
        Just("app"),
        Just(" = "),
        Just("Flask("),
        Just("web:"),
        Just("from x import "),
        Just("\n"),
        Just("\"\"\""),
        Just("'"),
        Just("\\"),
        Just("#"),
        Just("-r "),
        Just("$A"),
        Just("\u{1F600}"),
        Just("("),
        Just(")"),
        Just(":"),
        Just("="),
        Just("[project]\n"),
        Just("def "),
        Just("\r\n"),
    ];
    prop::collection::vec(sign, 0..30).prop_map(|signs| signs.concat())
}
