//! `bellows prune`: what nothing needs any more goes, once it was shown and somebody said yes.

mod found;
mod plan;
mod shown;

use command_line::terminal;
use explain::words::mib;
use host::build::{BuildError, Builds};
use host::command::HostRunner;
use host::deploys::{DeployError, Deploys};
use host::files::remove_tree;
use host::id_ranges::IdRanges;
use host::lock::SharedLock;
use host::lxc::{TemplateStore, remove_image};
use host::settings::Settings;

use self::plan::{Plan, What};
use self::shown::Shown;
use crate::ask::confirm;
use crate::doctor::require_root;
use crate::json;
use crate::operator;
use crate::up::images;

/// Shows what can be freed, asks, and frees it; as JSON, it only shows. With `caches`, what builds keep for services that are deployed goes as
/// well.
pub(crate) async fn run(
    settings: &Settings,
    yes: bool,
    caches: bool,
    json: bool,
) -> anyhow::Result<()> {
    require_root()?;
    let plan = Plan::new(found::read(settings)?, caches);
    if json {
        return json::print(&Shown::of(&plan));
    }
    terminal::print(&plan);
    if plan.items.is_empty() {
        terminal::print_line("Nothing to free.");
        return Ok(());
    }
    confirm("All of this is to go.", yes)?;
    let _lock = operator::lock(settings).await?;
    // Something of it may be needed since somebody thought about it.
    let plan = plan.and_still(&Plan::new(found::read(settings)?, caches));
    let mut freed = 0;
    for item in &plan.items {
        if free(settings, &item.what).await? {
            freed += item.bytes;
        } else {
            terminal::print_line(format_args!("{} stays: it is in use.", item.what));
        }
    }
    terminal::print_line(format_args!("{} are free.", mib(freed)));
    Ok(())
}

/// Frees one of it. Says whether it did: nothing that somebody has begun to use goes.
async fn free(settings: &Settings, what: &What) -> anyhow::Result<bool> {
    match what {
        What::Image(folder) => {
            let Some(_alone) = SharedLock::alone(&images::lock(settings))? else {
                return Ok(false);
            };
            Ok(remove_image(folder)?)
        }
        What::Cache(service) => match Builds::new(settings, HostRunner).forget(service).await {
            Err(BuildError::Busy { .. }) => Ok(false),
            forgotten => Ok(forgotten.map(|_| true)?),
        },
        What::Deploy(service) => match Deploys::new(&settings.paths.state).of(service).begin() {
            Err(DeployError::UnderWay { .. }) => Ok(false),
            begun => {
                begun?.remove_all()?;
                // One that was deployed has them by its template.
                IdRanges::new(settings).forget(service)?;
                Ok(true)
            }
        },
        What::Drafts => {
            TemplateStore::new(settings, HostRunner).remove_drafts()?;
            Ok(true)
        }
        What::Release(folder) => Ok(remove_tree(folder)?),
    }
}
