//! What is left of a service that is not deployed: one whose first deploy came to nothing, or that is gone.

use std::path::PathBuf;

use anyhow::anyhow;
use command_line::terminal;
use explain::words::mib;
use host::build::Builds;
use host::command::HostRunner;
use host::deployments::Deployments;
use host::deploys::{DeployFiles, Deploys};
use host::id_ranges::IdRanges;
use host::secrets::SecretStore;
use host::settings::Settings;
use model::names::ServiceName;

use super::{cache, data, output, secrets};
use crate::ask::confirm;
use crate::error::BadInput;
use crate::operator;
use crate::progress::Progress;
use crate::up::sweep;

/// What there is of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Left {
    /// Whether a deploy left something.
    has_deploy: bool,
    /// What its builds keep.
    cache: Option<u64>,
    secrets: usize,
    /// The folder of its own.
    data: Vec<PathBuf>,
}

/// Removes what is left, but for its data unless that is said.
///
/// # Errors
/// There is nothing of that name.
pub(super) async fn remove(
    settings: &Settings,
    service: &ServiceName,
    yes: bool,
    with_data: bool,
) -> anyhow::Result<()> {
    let left = Left::read(settings, service)?;
    confirm(&question(service, &left, with_data)?, yes)?;
    let files = Deploys::new(&settings.paths.state).of(service);
    let _beginning = files.begin()?;
    let _lock = operator::lock(settings).await?;
    terminal::print_line(remove_left(settings, &files, &left, with_data).await?);
    Ok(())
}

/// The same for a job, to which somebody has said yes; gives what stays.
///
/// # Errors
/// There is nothing of that name.
pub(super) async fn carry_out(
    settings: &Settings,
    files: &DeployFiles,
    with_data: bool,
) -> anyhow::Result<String> {
    let left = Left::read(settings, files.service())?;
    question(files.service(), &left, with_data)?;
    let _lock = operator::lock_within(settings).await?;
    remove_left(settings, files, &left, with_data).await
}

async fn remove_left(
    settings: &Settings,
    files: &DeployFiles,
    left: &Left,
    with_data: bool,
) -> anyhow::Result<String> {
    let service = files.service();
    let deployment = Deployments::new(&settings.paths.state).load()?;
    if deployment.names().any(|name| name == service) {
        return Err(anyhow!("{service} has been deployed meanwhile: nothing was removed"));
    }
    let mut progress = Progress::default();
    progress.step("secrets", async { secrets(settings, service) }).await?;
    progress.step("cache", cache(settings, service)).await?;
    progress.step("output", async { output(settings, service) }).await?;
    progress.step("images", sweep::remove_unused(settings, &deployment)).await?;
    if with_data {
        progress.step("data", data::remove(&left.data)).await?;
    }
    files.remove_all()?;
    IdRanges::new(settings).forget(service)?;
    let stays = data::told(settings, service, &data::own(settings, service));
    Ok(format!("{service} is not deployed. What was left of it is removed.{stays}"))
}

impl Left {
    fn read(settings: &Settings, service: &ServiceName) -> anyhow::Result<Self> {
        let deploys = Deploys::new(&settings.paths.state).services()?;
        let kept = Builds::new(settings, HostRunner).kept()?;
        Ok(Self {
            has_deploy: deploys.contains(service),
            cache: kept.into_iter().find(|kept| kept.service == *service).map(|kept| kept.bytes),
            secrets: SecretStore::new(settings).list(service)?.len(),
            data: data::own(settings, service),
        })
    }

    /// Whether anything says that somebody deployed it. Secrets are set before that, and data stays after it.
    fn is_known(&self) -> bool {
        self.has_deploy || self.cache.is_some()
    }

    /// In words.
    fn told(&self, with_data: bool) -> String {
        let deploy = self.has_deploy.then(|| "the words of its last deploy".to_owned());
        let cache = self.cache.map(|bytes| format!("{} of its builds", mib(bytes)));
        let secrets = match self.secrets {
            0 => None,
            1 => Some("one secret".to_owned()),
            count => Some(format!("{count} secrets")),
        };
        let has_data = with_data && !self.data.is_empty();
        let data = has_data.then(|| format!("ITS DATA in {}", data::listed(&self.data)));
        let all: Vec<_> = [deploy, cache, secrets, data].into_iter().flatten().collect();
        all.join(", ")
    }
}

/// What is asked before anything is removed.
fn question(service: &ServiceName, left: &Left, with_data: bool) -> Result<String, BadInput> {
    let has_data = !left.data.is_empty();
    match (left.is_known(), has_data, with_data) {
        (false, false, _) => Err(BadInput::new(anyhow!(
            "there is no service {service}, and nothing is left of one: `bellows status` shows those that are deployed"
        ))),
        (false, true, false) => Err(BadInput::new(anyhow!(
            "there is no service {service}; its data is in {}: say --data if it is to go",
            data::listed(&left.data)
        ))),
        _ => Ok(format!(
            "{service} is not deployed. What is left of it is to go: {}.",
            left.told(with_data)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(left: &Left, with_data: bool) -> String {
        let question = question(&"shop".parse().unwrap(), left, with_data);
        question.unwrap_or_else(|error| format!("refused: {error}"))
    }

    #[test]
    fn what_is_left_of_a_first_deploy_that_failed_is_told_and_not_that_there_is_no_service() {
        let left = Left { has_deploy: true, cache: Some(41 << 20), secrets: 2, data: Vec::new() };
        insta::assert_snapshot!(asked(&left, false), @"shop is not deployed. What is left of it is to go: the words of its last deploy, 41.0 MiB of its builds, 2 secrets.");
        let left = Left { secrets: 1, ..Left::default() };
        insta::assert_snapshot!(asked(&left, true), @"refused: there is no service shop, and nothing is left of one: `bellows status` shows those that are deployed");
    }

    #[test]
    fn data_of_a_service_that_is_gone_goes_only_where_that_is_said() {
        let data = vec![PathBuf::from("/var/lib/bellows/stateful/shop")];
        let left = Left { data, ..Left::default() };
        insta::assert_snapshot!(asked(&left, false), @"refused: there is no service shop; its data is in /var/lib/bellows/stateful/shop: say --data if it is to go");
        insta::assert_snapshot!(asked(&left, true), @"shop is not deployed. What is left of it is to go: ITS DATA in /var/lib/bellows/stateful/shop.");
        let left = Left { has_deploy: true, ..left };
        assert!(!asked(&left, false).contains("stateful"), "{}", asked(&left, false));
    }
}
