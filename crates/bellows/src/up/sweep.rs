//! What nobody uses any more goes: templates of versions that are not kept, secrets that only they were given, images
//! that no template stands on, earlier releases.

use command_line::terminal;
use host::command::HostRunner;
use host::deployments::Deployment;
use host::lock::SharedLock;
use host::lxc::{TemplateError, TemplateStore, remove_other_images};
use host::releases::Releases;
use host::settings::Settings;
use model::names::TemplateName;

use super::images;
use crate::progress::Outcome;
use crate::release;
use crate::secret;

/// Removes the templates of versions that are not kept and have no instance any more, or were never whole, with the
/// secrets that only they were given, and the images that neither a template stands on nor a recipe of the release in
/// force makes: the next application finds its userland. Images stay while somebody else makes one.
///
/// # Errors
/// When something cannot be removed.
pub(crate) async fn remove_unused(
    settings: &Settings,
    deployment: &Deployment,
) -> anyhow::Result<Outcome> {
    let templates = TemplateStore::new(settings, HostRunner);
    let kept: Vec<_> = deployment.templates().collect();
    let mut removed = Vec::new();
    for template in templates.list()? {
        if kept.contains(&template) {
            continue;
        }
        match templates.remove(&template).await {
            Ok(()) => removed.push(template.to_string()),
            // Its instances are being replaced: the next time it is found unused.
            Err(TemplateError::InUse { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    templates.remove_drafts()?;
    secret::sweep(settings)?;
    tell_of_unmounted(&templates, &kept);
    let images = remove_images(settings, &templates)?;
    let releases = Releases::new(&settings.paths.state).remove_old()?;
    for (count, what) in [(images, "image"), (releases, "release")] {
        match count {
            0 => {}
            1 => removed.push(format!("one {what}")),
            count => removed.push(format!("{count} {what}s")),
        }
    }
    let changed = !removed.is_empty();
    Ok(Outcome::changed_if(changed, format!("removed {}", removed.join(", "))))
}

/// Versions to which nobody can go back are no reason not to deploy another one.
fn tell_of_unmounted(templates: &TemplateStore<HostRunner>, kept: &[TemplateName]) {
    for template in kept {
        if let Err(error) = templates.check_mounted(template) {
            terminal::note(format_args!(
                "  {template} cannot be launched: {:#}",
                anyhow::Error::from(error)
            ));
        }
    }
}

fn remove_images(
    settings: &Settings,
    templates: &TemplateStore<HostRunner>,
) -> anyhow::Result<usize> {
    let Some(_alone) = SharedLock::alone(&images::lock(settings))? else { return Ok(0) };
    match templates.stood_on() {
        Ok(stood_on) => {
            let recipes = release::recipes(settings);
            Ok(remove_other_images(&images::folder(settings), &recipes, &stood_on)?)
        }
        Err(error) => {
            terminal::note(format_args!("  no image is removed: {:#}", anyhow::Error::from(error)));
            Ok(0)
        }
    }
}
