//! `bellows up`: brings the system up in steps, each of which does only what is not yet as it
//! should be. Run again, it changes nothing.

pub(crate) mod answer;
mod egress;
pub(crate) mod images;
pub(crate) mod reaches;
pub(crate) mod rollout;
mod room;
mod secrets;
mod steps;
pub(crate) mod sweep;
pub(crate) mod together;

use std::io::{IsTerminal as _, stdout};

use anyhow::anyhow;
use command_line::terminal;
use host::settings::Settings;
use model::service::Route;
use nix::unistd::geteuid;
use otlp::OtlpError;

use crate::cli::Place;
use crate::deployed;
use crate::doctor;
use crate::error::BadInput;
use crate::link::{self, Link};
use crate::operator;
use crate::programs::Programs;
use crate::progress::Progress;
use crate::release;
use crate::share;
use crate::tree::{ServiceFile, Tree};
use steps::Steps;

/// The image of the service that ships with Bellows: its examples are printed.
const OBJECT_STORE: &str = "object-store";

/// Reads and checks all input, then takes the steps, then waits for the first answer.
pub(crate) async fn run(place: &Place, no_boot: bool) -> anyhow::Result<()> {
    let tree = Tree::load(place)?;
    check(&tree).await?;
    doctor::require(&tree.settings, tree.needs_egress()).await?;
    let _lock = operator::lock(&tree.settings).await?;
    let before = tree.of_folders.clone();
    let tree = tree.read_again()?;
    if tree.of_folders != before {
        check(&tree).await?;
    }
    tell_of_unusable(&tree.settings);
    let mut progress = Progress::default();
    progress.step("release", async { release::install(&tree.root, &tree.settings) }).await?;
    progress.step("command", async { release::link(&tree.settings) }).await?;
    progress.step("manual", async { share::link(&tree.settings) }).await?;
    let programs = Programs::new(&tree.settings)?;
    let programs = if no_boot { programs.until_boot() } else { programs };
    let steps = Steps::new(&tree, &programs)?;
    let deployment = steps.take(&mut progress).await?;
    let trials = steps.try_out(&deployment, &mut progress).await;
    steps.served(deployment, trials.is_ok()).await?;
    trials?;
    let console = console(&tree.settings, stdout().is_terminal()).await;
    terminal::print(summary(&tree, progress.changes, &console));
    Ok(())
}

/// Where the console is. A code is shown on a terminal alone: what is written to a file or a journal others read, and it is
/// theirs for two minutes.
async fn console(settings: &Settings, is_terminal: bool) -> String {
    if !is_terminal {
        let address = link::console(settings);
        return format!("{address} (`bellows open` prints a link that logs in)");
    }
    let link = Link::ask(settings).await;
    match &link.code {
        Ok(_) => format!("{} (logs in once, within 2 minutes)", link.url()),
        Err(error) => format!("{} (no link that logs in: {error})", link.url()),
    }
}

/// Tells all that is wrong with a tree on this host, and whoever asks is told what he may know.
///
/// # Errors
/// [`BadInput`] with every problem; another where something could not be looked at.
pub(crate) async fn check(tree: &Tree) -> anyhow::Result<()> {
    let mut problems = BadInput::default();
    problems.add(check_traces(&tree.settings).map_err(Into::into))?;
    problems.add(refuse_what_cannot_move(&tree.settings).map_err(Into::into))?;
    problems.add(room::check(&tree.all_specs(), &tree.settings))?;
    problems.add(egress::check(&tree.specs(), &tree.settings.network).map_err(Into::into))?;
    problems.add(steps::check_applications(tree).await)?;
    // What is deployed, and which secrets are set, is root's alone to know.
    if geteuid().is_root() {
        problems.add(reaches::check(tree, &tree.settings).await)?;
        problems.add(secrets::check(tree).map_err(Into::into))?;
    }
    Ok(problems.or(())?)
}

/// Tells what is deployed from folders and cannot be used, which is no reason not to bring up the rest.
fn tell_of_unusable(settings: &Settings) {
    let (_, problems) = deployed::of_folders(settings);
    problems.iter().for_each(|problem| terminal::note(format_args!("warning: {problem}")));
}

/// Refuses settings that want traces of a build that sends none.
fn check_traces(settings: &Settings) -> Result<(), BadInput> {
    match settings.traces {
        Some(_) if !otlp::CAN_SEND => Err(BadInput::new(OtlpError::NotBuilt)),
        _ => Ok(()),
    }
}

/// While the system is up, its network, folders and ids stay where they are.
fn refuse_what_cannot_move(settings: &Settings) -> Result<(), BadInput> {
    let Some(deployed) = deployed::settings(settings) else {
        return Ok(());
    };
    let moved = [
        ("network", deployed.network != settings.network),
        ("paths", deployed.paths != settings.paths),
        ("id_map", deployed.id_map != settings.id_map),
    ];
    let problems = moved.into_iter().filter(|(_, moved)| *moved).map(|(table, _)| {
        anyhow!(
            "[{table}] of bellows.toml differs from what the running system has: run `./just down` \
             first"
        )
    });
    BadInput(problems.collect()).or(())
}

fn summary(tree: &Tree, changes: usize, console: &str) -> String {
    let listen = &tree.settings.listen;
    let changed = match changes {
        0 => "nothing had to be changed".to_owned(),
        1 => "1 step changed something".to_owned(),
        count => format!("{count} steps changed something"),
    };
    let services: String = tree.services.iter().map(|file| service_lines(file, tree)).collect();
    format!(
        "Bellows is up: {changed}.\n\n\
         {services}\
         console       {console}\n\
         statistics    http://{}/stats\n\
         API           http://{}/v1/services{}\n\
         command       {}\n",
        listen.statistics,
        listen.api,
        if listen.api.ip().is_loopback() { "" } else { " (with a token: bellows token make)" },
        release::command(&tree.settings),
    )
}

fn service_lines(file: &ServiceFile, tree: &Tree) -> String {
    let spec = &file.spec;
    let Some(Route { host, path_prefix, .. }) = spec.route() else {
        let asked = match spec.requests() {
            Some(_) => "(for services that reach it)",
            None => "(gets no requests)",
        };
        return format!("{:<13} {asked}\n", spec.name.as_str());
    };
    let route = format!("http://{}{path_prefix}", tree.settings.listen.services);
    let (shown, curl) = match host {
        None => (String::new(), "curl".to_owned()),
        Some(host) => (format!(" (Host: {host})"), format!("curl -H 'Host: {host}'")),
    };
    let examples = if spec.image.as_str() == OBJECT_STORE {
        let base = route.trim_end_matches('/');
        vec![
            format!("{curl} -X PUT --data-binary 'hello' {base}/objs/greeting"),
            format!("{curl} {base}/objs/greeting"),
            format!("{curl} {base}/"),
        ]
    } else {
        vec![format!("{curl} {route}")]
    };
    let examples: String = examples.iter().map(|example| format!("    {example}\n")).collect();
    format!("{:<13} {route}{shown}\n{examples}", spec.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_scaler::FakeScaler;

    #[tokio::test]
    async fn a_code_is_asked_for_where_it_is_shown_on_a_terminal_alone() {
        let scaler = FakeScaler::new(|path: &str| {
            let code = r#"{"code":"0123","expires_at_ms":1795000120000}"#;
            (path == "/v1/logins").then(|| code.to_owned())
        });
        let mut settings = Settings::default();
        settings.paths.run = scaler.folder().to_owned();
        let told = console(&settings, false).await;
        assert_eq!(told, "http://127.0.0.1:8090/ (`bellows open` prints a link that logs in)");
        assert_eq!(scaler.asked(), [""; 0]);
        let told = console(&settings, true).await;
        assert_eq!(told, "http://127.0.0.1:8090/#code=0123 (logs in once, within 2 minutes)");
        // It is up, whatever becomes of the link.
        settings.paths.run = scaler.folder().join("nothing");
        let told = console(&settings, true).await;
        assert!(
            told.starts_with("http://127.0.0.1:8090/ (no link that logs in: the scaler"),
            "{told}"
        );
    }
}
