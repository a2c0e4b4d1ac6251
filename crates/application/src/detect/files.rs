//! Pages and pictures, as they are.

use super::chosen::{Choice, Chosen, Recipe, Workers};
use super::refusal::Refusal;
use crate::folder::Found;

/// Chooses files where there is `index.html`.
pub(super) fn choose(found: &Found) -> Result<Option<Chosen>, Refusal> {
    let is_built = found.has_file("package.json");
    if found.has_file("index.html") {
        // Builders of pages have an index.html of their own, which without them shows nothing.
        if is_built {
            return Err(Refusal::Unbuilt);
        }
        let note = Choice::of("index.html: files, served as they are");
        let mut chosen = Chosen::new(Recipe::Files, note);
        chosen.notes.push(Choice::of_workers(Workers::WAITING));
        return Ok(Some(Chosen { workers: Some(Workers::WAITING), ..chosen }));
    }
    let below = found
        .contents
        .iter()
        .map(|(path, _)| path)
        .find(|path| path.as_str().matches('/').count() == 1 && path.name() == "index.html");
    match below.and_then(|path| path.parent()) {
        Some(_) if is_built => Err(Refusal::Unbuilt),
        Some(folder) => Err(Refusal::PagesBelow(folder)),
        None => Ok(None),
    }
}
