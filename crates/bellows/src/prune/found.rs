//! What lies on the disk that may not be needed, as it is at this moment.

use std::collections::BTreeSet;
use std::path::PathBuf;

use host::build::Builds;
use host::command::HostRunner;
use host::deployments::{Deployment, Deployments};
use host::deploys::Deploys;
use host::disk_use::DiskUse;
use host::lock::SharedLock;
use host::lxc::{TemplateStore, other_images};
use host::releases::Releases;
use host::settings::Settings;
use model::names::ServiceName;

use crate::release;
use crate::up::images;

/// What is said where an image is being made.
const MADE: &str = "images stay while one is being made: wait until the deploy that `bellows status` shows has ended, and \
                    run this again";

/// What a plan is made of.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The services that are deployed.
    pub(super) deployed: BTreeSet<ServiceName>,
    /// The images that nothing stands on.
    pub(super) images: Vec<(PathBuf, u64)>,
    /// Why nobody can tell which those are; `None` where somebody can.
    pub(super) images_unknown: Option<String>,
    /// What builds keep.
    pub(super) caches: Vec<OfService>,
    /// What the last deploy of each service left.
    pub(super) deploys: Vec<OfService>,
    /// What half made templates take; `None` where there are none.
    pub(super) drafts: Option<u64>,
    /// The old releases.
    pub(super) releases: Vec<(PathBuf, u64)>,
}

/// What is kept of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OfService {
    pub(super) service: ServiceName,
    pub(super) bytes: u64,
    /// Whether a process is at it.
    pub(super) is_busy: bool,
}

/// Looks at all of it.
///
/// # Errors
/// When something of it cannot be read.
pub(super) fn read(settings: &Settings) -> anyhow::Result<Found> {
    let state = &settings.paths.state;
    let deployment = Deployments::new(state).load()?;
    let mut disk_use = DiskUse::default();
    let mut measured = |folders: Vec<PathBuf>| {
        let sized = |folder: PathBuf| (disk_use.of(&folder), folder);
        folders.into_iter().map(sized).map(|(bytes, folder)| (folder, bytes)).collect::<Vec<_>>()
    };
    let (images, images_unknown) = match images_of_nobody(settings, &deployment)? {
        Ok(images) => (measured(images), None),
        Err(why) => (Vec::new(), Some(why)),
    };
    let drafts = measured(TemplateStore::new(settings, HostRunner).drafts()?);
    let releases = measured(Releases::new(state).old());
    Ok(Found {
        deployed: deployment.names().cloned().collect(),
        images,
        images_unknown,
        caches: caches(settings)?,
        deploys: deploys(settings)?,
        drafts: (!drafts.is_empty()).then(|| drafts.iter().map(|(_, bytes)| bytes).sum()),
        releases,
    })
}

/// The images that no template stands on, and that no service which is deployed would be made of again.
fn images_of_nobody(
    settings: &Settings,
    deployment: &Deployment,
) -> anyhow::Result<Result<Vec<PathBuf>, String>> {
    if are_made(settings)? {
        return Ok(Err(MADE.to_owned()));
    }
    let stays = |error: anyhow::Error| Ok(Err(format!("images stay: {error:#}")));
    let stood_on = match TemplateStore::new(settings, HostRunner).stood_on() {
        Ok(stood_on) => stood_on,
        Err(error) => return stays(error.into()),
    };
    let deployed = match deployment.deployed() {
        Ok(deployed) => deployed,
        Err(error) => return stays(error.into()),
    };
    let images = deployed.iter().map(|it| &it.spec.image);
    let recipes: Vec<_> =
        images.filter_map(|image| release::recipe(image, settings).ok()).collect();
    Ok(Ok(other_images(&images::folder(settings), &recipes, &stood_on)?))
}

/// Whether somebody makes an image on which no template stands yet.
fn are_made(settings: &Settings) -> anyhow::Result<bool> {
    let lock = images::lock(settings);
    Ok(lock.exists() && SharedLock::alone(&lock)?.is_none())
}

fn caches(settings: &Settings) -> anyhow::Result<Vec<OfService>> {
    let builds = Builds::new(settings, HostRunner);
    let kept = builds.kept()?.into_iter().map(|kept| OfService {
        is_busy: builds.is_busy(&kept.service),
        service: kept.service,
        bytes: kept.bytes,
    });
    Ok(kept.collect())
}

fn deploys(settings: &Settings) -> anyhow::Result<Vec<OfService>> {
    let deploys = Deploys::new(&settings.paths.state);
    let left = deploys.services()?.into_iter().map(|service| {
        let files = deploys.of(&service);
        let bytes = DiskUse::default().of(files.folder());
        OfService { is_busy: files.is_under_way(), service, bytes }
    });
    Ok(left.collect())
}
