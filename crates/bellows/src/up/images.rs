//! Where images lie, and who makes them.

use std::path::PathBuf;

use host::command::HostRunner;
use host::lxc::{TemplateStore, close_images};
use host::settings::Settings;

use crate::progress::Outcome;

/// The folder of built images.
pub(crate) fn folder(settings: &Settings) -> PathBuf {
    settings.paths.state.join("images")
}

/// The lock that all share who make images on which no template stands yet, and that who removes images has alone.
pub(crate) fn lock(settings: &Settings) -> PathBuf {
    settings.paths.run.join("images.lock")
}

/// Closes images to users of the host. Where a template does not say what it stands on, it may be any image.
///
/// # Errors
/// When one stood open that a template stands on.
pub(crate) fn close(settings: &Settings) -> anyhow::Result<Outcome> {
    let images = folder(settings);
    let stood_on = TemplateStore::new(settings, HostRunner).stood_on();
    let stood_on = stood_on.unwrap_or_else(|_| [images.clone()].into());
    let stood_open = close_images(&images, &stood_on)?;
    let told = "closed to users of the host, and removed, to be made anew";
    Ok(Outcome::changed_if(stood_open, told))
}
