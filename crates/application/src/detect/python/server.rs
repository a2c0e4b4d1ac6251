//! The servers that call a Python application, as a command starts them.

use std::collections::BTreeSet;

use crate::detect::chosen::{Start, WAITING_AT_ONCE, Workers};

/// The arguments that say how many processes there are, and how many threads each of gunicorn's has.
const WORKERS: &[&str] = &["--workers", "-w"];
const THREADS: &[&str] = &["--threads"];

/// Which server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Gunicorn,
    Uvicorn,
    Hypercorn,
}

/// A server with the arguments that it is started with.
pub(super) struct Server {
    kind: Kind,
    arguments: Vec<String>,
}

/// The server that is started.
pub(super) fn of(start: &Start) -> Option<Server> {
    let words = match start {
        Start::Words(words) => words.clone(),
        // Where a line is more than words, the server stands among them.
        Start::Shell(line) => shlex::split(line)?,
    };
    let kind = |word: &str| match word.rsplit('/').next() {
        Some("gunicorn") => Some(Kind::Gunicorn),
        Some("uvicorn") => Some(Kind::Uvicorn),
        Some("hypercorn") => Some(Kind::Hypercorn),
        _ => None,
    };
    let (at, kind) = words.iter().enumerate().find_map(|(at, word)| Some((at, kind(word)?)))?;
    Some(Server { kind, arguments: words[at + 1..].to_vec() })
}

impl Server {
    /// The packages that it needs and that are not among `needed`.
    pub(super) fn packages(&self, needed: &BTreeSet<String>) -> Vec<&'static str> {
        let missing = |name: &str| !needed.contains(name);
        let mut packages = match self.kind {
            Kind::Gunicorn => vec!["gunicorn"],
            Kind::Hypercorn => vec!["hypercorn"],
            Kind::Uvicorn => vec![],
        };
        // Uvicorn answers no WebSocket without a library for them, which it does not ask for by itself.
        if (self.kind == Kind::Uvicorn || self.class().contains("uvicorn")) && missing("uvicorn") {
            packages.extend(["uvicorn", "websockets"]);
        }
        packages.retain(|name| missing(name));
        packages
    }

    /// How much it takes at once. `None` where an argument is no number, or where a file of gunicorn's may say
    /// what its arguments do not: `has_file` says whether there is one that it reads unasked.
    pub(super) fn workers(&self, has_file: bool) -> Option<Workers> {
        let has_file = has_file || self.value(&["--config", "-c"]).is_some();
        let is_told = |names| !has_file || self.value(names).is_some();
        let processes = self.number(WORKERS)?;
        let each = match self.kind {
            Kind::Uvicorn | Kind::Hypercorn => WAITING_AT_ONCE,
            Kind::Gunicorn if !is_told(WORKERS) => return None,
            Kind::Gunicorn if self.has_one_thread() => WAITING_AT_ONCE,
            Kind::Gunicorn if !is_told(THREADS) => return None,
            Kind::Gunicorn => self.number(THREADS)?,
        };
        Some(Workers { processes, each })
    }

    /// Gunicorn's class of workers.
    fn class(&self) -> &str {
        self.value(&["--worker-class", "-k"]).unwrap_or("sync")
    }

    /// Whether gunicorn's workers take many requests in one thread.
    fn has_one_thread(&self) -> bool {
        ["uvicorn", "gevent", "eventlet", "tornado"].iter().any(|name| self.class().contains(name))
    }

    /// A number among the arguments: 1 where it is not given.
    fn number(&self, names: &[&str]) -> Option<u32> {
        self.value(names).map_or(Some(1), |value| value.parse().ok().filter(|number| *number > 0))
    }

    /// The value of an argument: `--threads 8`, `--threads=8`, `-w 4` or `-w4`.
    fn value(&self, names: &[&str]) -> Option<&str> {
        let mut words = self.arguments.iter().map(String::as_str);
        while let Some(word) = words.next() {
            if names.contains(&word) {
                return words.next();
            }
            let joined = names.iter().find_map(|name| {
                let rest = word.strip_prefix(name)?;
                if name.starts_with("--") { rest.strip_prefix('=') } else { Some(rest) }
            });
            if joined.is_some() {
                return joined;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(line: &str) -> Option<Server> {
        of(&Start::Shell(line.to_owned()))
    }

    fn at_once(line: &str) -> Option<u32> {
        server(line).unwrap().workers(false).map(Workers::at_once)
    }

    #[test]
    fn the_arguments_tell_how_much_is_taken_at_once() {
        for (line, expected) in [
            ("gunicorn app:app", Some(1)),
            ("gunicorn -w 3 app:app", Some(3)),
            ("gunicorn -w3 --threads=4 app:app", Some(12)),
            ("python -m gunicorn --workers=2 --threads 5 app:app", Some(10)),
            ("gunicorn -k uvicorn.workers.UvicornWorker -w 2 app:app", Some(200)),
            ("gunicorn -w $WEB_CONCURRENCY app:app", None),
            ("gunicorn -w 0 app:app", None),
            ("gunicorn -c conf.py app:app", None),
            ("exec /venv/bin/uvicorn --workers 2 --port $PORT main:app", Some(200)),
            ("hypercorn main:app", Some(100)),
        ] {
            assert_eq!(at_once(line), expected, "{line}");
        }
        // Beside a file that may say more, arguments count that say all.
        let beside = |line: &str| server(line).unwrap().workers(true).map(Workers::at_once);
        assert_eq!(beside("gunicorn app:app"), None);
        assert_eq!(beside("gunicorn -w 2 app:app"), None);
        assert_eq!(beside("gunicorn -w 2 --threads 3 app:app"), Some(6));
        assert_eq!(beside("uvicorn app:app"), Some(100));
        assert!(server("python app.py").is_none());
    }

    #[test]
    fn a_server_that_is_started_and_not_needed_is_added() {
        let packages = |line: &str, needed: &[&str]| {
            let needed = needed.iter().map(ToString::to_string).collect();
            server(line).unwrap().packages(&needed).join(" ")
        };
        assert_eq!(packages("gunicorn a:a", &["flask"]), "gunicorn");
        assert_eq!(packages("gunicorn a:a", &["flask", "gunicorn"]), "");
        assert_eq!(packages("uvicorn a:a", &["fastapi"]), "uvicorn websockets");
        assert_eq!(packages("uvicorn a:a", &["websockets"]), "uvicorn");
        assert_eq!(packages("uvicorn a:a", &["uvicorn"]), "");
        let line = "gunicorn -k uvicorn.workers.UvicornWorker a:a";
        assert_eq!(packages(line, &[]), "gunicorn uvicorn websockets");
    }
}
