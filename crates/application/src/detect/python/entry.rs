//! Which module of a folder holds the application, and under which name.

use std::collections::BTreeSet;

use super::{Interface, source};
use crate::folder::Found;

/// Where an application is looked for, in this order; then comes Django's.
const FILES: [&str; 6] =
    ["app.py", "main.py", "wsgi.py", "asgi.py", "app/__init__.py", "app/main.py"];

/// The names that it may have, in this order.
const VARIABLES: [&str; 2] = ["app", "application"];

/// Packages by which an application is called in one way, most telling first: with a framework of one way and a
/// server of the other, the framework tells.
const TELLING: [(Interface, &[&str]); 4] = [
    (Interface::Asgi, &["fastapi", "starlette", "quart", "litestar", "sanic", "blacksheep"]),
    (Interface::Wsgi, &["flask", "apiflask", "django", "bottle", "falcon", "pyramid"]),
    (Interface::Asgi, &["uvicorn", "hypercorn", "daphne"]),
    (Interface::Wsgi, &["gunicorn", "waitress", "uwsgi"]),
];

/// An application in a module.
pub(super) struct AppEntry {
    /// The file of the module.
    pub(super) file: String,
    /// The module, as Python imports it.
    pub(super) module: String,
    /// Its name in the module.
    pub(super) variable: &'static str,
    /// How it is called, where the module tells.
    told: Option<Interface>,
}

/// The first application that there is.
pub(super) fn find(found: &Found) -> Option<AppEntry> {
    let named = FILES.into_iter().map(str::to_owned);
    named.chain(djangos(found)).find_map(|file| {
        let bindings = source::bindings(found.text(&file)?);
        VARIABLES.into_iter().find_map(|variable| {
            let binding = bindings.iter().rev().find(|binding| binding.name == variable)?;
            let (file, module) = (file.clone(), module(&file));
            Some(AppEntry { file, module, variable, told: binding.interface })
        })
    })
}

/// A project of Django's has its application in a package beside `manage.py`.
fn djangos(found: &Found) -> impl Iterator<Item = String> {
    let has_manage = found.has_file("manage.py");
    let files = |name: &'static str| {
        let paths =
            found.texts.keys().filter(move |path| path.parent().is_some() && path.name() == name);
        paths.map(ToString::to_string)
    };
    files("wsgi.py").chain(files("asgi.py")).filter(move |_| has_manage)
}

fn module(file: &str) -> String {
    let path = file.strip_suffix(".py").unwrap_or(file);
    path.strip_suffix("/__init__").unwrap_or(path).replace('/', ".")
}

impl AppEntry {
    /// How it is called: as the module tells, else its name, else what is needed; WSGI, the older way, else.
    pub(super) fn interface(&self, needed: &BTreeSet<String>) -> Interface {
        let by_name = match self.module.rsplit('.').next() {
            Some("asgi") => Some(Interface::Asgi),
            Some("wsgi") => Some(Interface::Wsgi),
            _ => None,
        };
        let by_needs = || {
            let is_needed = |names: &[&str]| names.iter().any(|name| needed.contains(*name));
            TELLING.iter().find(|(_, names)| is_needed(names)).map(|(interface, _)| *interface)
        };
        self.told.or(by_name).or_else(by_needs).unwrap_or(Interface::Wsgi)
    }
}
