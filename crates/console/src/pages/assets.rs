//! What pages are made of beside their text: styles and scripts, which are in the program. Each has the digest of its content
//! in its address, so that a browser keeps it and never shows one release's page with another's.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bytes::Bytes;
use service::path::Path;
use service::problem::Problem;
use sha2::{Digest as _, Sha256};

const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

/// The script that each page has, which loads the others.
pub(super) const PAGE: &str = "page.js";

/// Name, type and content.
const FILES: [(&str, &str, &str); 26] = [
    ("style.css", STYLE, include_str!("../../assets/style.css")),
    ("uplot.css", STYLE, include_str!("../../assets/vendor/uplot/uPlot.min.css")),
    ("uplot.js", SCRIPT, include_str!("../../assets/vendor/uplot/uPlot.iife.min.js")),
    ("page.js", SCRIPT, include_str!("../../assets/page.js")),
    ("storage.js", SCRIPT, include_str!("../../assets/storage.js")),
    ("session.js", SCRIPT, include_str!("../../assets/session.js")),
    ("follow.js", SCRIPT, include_str!("../../assets/follow.js")),
    ("morph.js", SCRIPT, include_str!("../../assets/morph.js")),
    ("actions.js", SCRIPT, include_str!("../../assets/actions.js")),
    ("charts.js", SCRIPT, include_str!("../../assets/charts.js")),
    ("help.js", SCRIPT, include_str!("../../assets/help.js")),
    ("points.js", SCRIPT, include_str!("../../assets/points.js")),
    ("zoom.js", SCRIPT, include_str!("../../assets/zoom.js")),
    ("moments.js", SCRIPT, include_str!("../../assets/moments.js")),
    ("panels.js", SCRIPT, include_str!("../../assets/panels.js")),
    ("plot.js", SCRIPT, include_str!("../../assets/plot.js")),
    ("policy.js", SCRIPT, include_str!("../../assets/policy.js")),
    ("figures.js", SCRIPT, include_str!("../../assets/figures.js")),
    ("preview.js", SCRIPT, include_str!("../../assets/preview.js")),
    ("instance.js", SCRIPT, include_str!("../../assets/instance.js")),
    ("logs.js", SCRIPT, include_str!("../../assets/logs.js")),
    ("job.js", SCRIPT, include_str!("../../assets/job.js")),
    ("versions.js", SCRIPT, include_str!("../../assets/versions.js")),
    ("experiments.js", SCRIPT, include_str!("../../assets/experiments.js")),
    ("results.js", SCRIPT, include_str!("../../assets/results.js")),
    ("icon.svg", PICTURE, include_str!("../../assets/icon.svg")),
];

/// The digest of all of them: scripts name each other by their folder, so they change as one.
static DIGEST: LazyLock<String> = LazyLock::new(|| {
    let mut digest = Sha256::new();
    FILES.iter().for_each(|(name, _, content)| {
        digest.update(name.as_bytes());
        digest.update(content.as_bytes());
    });
    let mut text = String::new();
    for byte in &digest.finalize()[..8] {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
});

/// The script of every page and all that it imports: a browser asks for them as it reads the page, and not for each when it has read
/// the one before.
pub(super) static MODULES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let mut found = vec![PAGE];
    let mut read = 0;
    while let Some(name) = found.get(read) {
        let new: Vec<_> = imports(name).filter(|name| !found.contains(name)).collect();
        found.extend(new);
        read += 1;
    }
    found
});

/// What a script imports by `from`; what it loads later is asked for by a call.
fn imports(name: &str) -> impl Iterator<Item = &'static str> {
    let content = FILES.iter().find(|(own, ..)| *own == name).map_or("", |(.., content)| content);
    content.split(" from './").skip(1).filter_map(|rest| Some(rest.split_once('\'')?.0))
}

/// Where a file is.
pub(super) fn address(name: &str) -> String {
    format!("/assets/{}/{name}", *DIGEST)
}

pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/assets/{digest}/{name}", get(file))
}

async fn file(Path((digest, name)): Path<(String, String)>) -> Result<Response, Problem> {
    let found = FILES.iter().find(|(own, ..)| *own == name).filter(|_| digest == *DIGEST);
    let (_, kind, content) = found.ok_or_else(|| {
        let message = "There is no such file in this release: load the page again.";
        Problem::new(StatusCode::NOT_FOUND, "no_such_file", message)
    })?;
    let headers = [
        (header::CONTENT_TYPE, *kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((headers, Bytes::from_static(content.as_bytes())).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_page_runs_is_known_down_to_the_last_import_and_what_few_run_is_not_in_it() {
        let mut modules = MODULES.clone();
        modules.sort_unstable();
        let wanted = [
            "actions.js",
            "follow.js",
            "moments.js",
            "morph.js",
            "page.js",
            "session.js",
            "storage.js",
        ];
        assert_eq!(modules, wanted);
    }

    #[test]
    fn what_a_script_imports_is_there() {
        for (name, ..) in FILES {
            for import in imports(name) {
                assert!(FILES.iter().any(|(own, ..)| *own == import), "{name}: {import}");
            }
        }
        assert_eq!(imports("panels.js").collect::<Vec<_>>(), ["plot.js"]);
    }
}
