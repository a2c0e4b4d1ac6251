//! The parts of an archive: what is read, and from where. Each stands alone, so that one that cannot be read is left out.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use host::command::{CommandLine, HostRunner, Runner};
use host::deployments::Deployments;
use host::haproxy::HaproxySettings;
use host::releases::Releases;
use host::settings::Settings;
use model::access::Change;
use model::names::ServiceName;
use model::output::OutputLine;
use model::status::HostStatus;
use model::tick::Tick;
use model::time::Timestamp;
use scaler_client::{Scaler, TickFilter};
use serde::Serialize;

use super::mask::Mask;
use crate::programs::Programs;
use crate::{doctor, events, instances, scaler, services, status};

/// So many of the last turns that changed something: some 750 kB.
const TICKS: usize = 500;

/// So many of the last lines that instances of a service wrote.
const OUTPUT_LINES: usize = 500;

/// A part: its name, and what it holds or why it is left out.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) text: Result<String, String>,
}

impl Part {
    fn new(name: impl Into<String>, text: anyhow::Result<String>) -> Self {
        Self { name: name.into(), text: text.map_err(|error| format!("{error:#}")) }
    }
}

/// Everything, masked. `output` is whether what instances wrote goes in.
pub(super) async fn gather(settings: &Settings, output: bool) -> Vec<Part> {
    let mut mask = Mask::default();
    let mut parts = files(settings, &mut mask);
    parts.push(Part::new("versions.txt", Ok(versions(settings).await)));
    parts.push(Part::new("machine.txt", Ok(machine(settings).await)));
    parts.push(Part::new("doctor.txt", Ok(doctor::told(settings).await)));
    parts.push(Part::new("status.json", status::as_json(settings).await));
    parts.push(Part::new("logs.txt", logs(settings).await));
    parts.extend(of_scaler(settings, output).await);
    for part in &mut parts {
        part.text = part.text.as_ref().map(|text| mask.text(text)).map_err(|why| mask.text(why));
    }
    parts
}

/// The files that people wrote or that are made of them. What must not leave the host is learnt here.
fn files(settings: &Settings, mask: &mut Mask) -> Vec<Part> {
    mask.add_files(&settings.paths.state.join("secrets"));
    let tls = settings.tls.iter().flat_map(|tls| tls.key.iter().chain([&tls.certificate]));
    tls.for_each(|file| mask.add_file(file));
    let deployments = Deployments::new(&settings.paths.state);
    let text = masked_file(&deployments.settings_file(), mask);
    let mut parts = vec![Part::new("bellows.toml", text)];
    match deployments.load() {
        Ok(deployment) => parts.extend(deployment.files().map(|(service, file)| {
            let text = mask.toml(file).context("it is no TOML");
            Part::new(format!("services/{service}.toml"), text)
        })),
        Err(error) => parts.push(Part::new("services", Err(error.into()))),
    }
    let config = HaproxySettings::of_host(settings).map_err(Into::into);
    let config = config.and_then(|haproxy| read(haproxy.config_file.as_path()));
    parts.push(Part::new("haproxy.cfg", config));
    parts
}

fn masked_file(file: &Path, mask: &mut Mask) -> anyhow::Result<String> {
    mask.toml(&read(file)?).with_context(|| format!("{} is no TOML", file.display()))
}

fn read(file: &Path) -> anyhow::Result<String> {
    fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
}

/// What runs here, in which version.
async fn versions(settings: &Settings) -> String {
    let release = Releases::new(&settings.paths.state).in_force();
    let release = release.map_or_else(|| "none".to_owned(), |folder| folder.display().to_string());
    let head = format!("bellows {}\nrelease {release}\n", env!("CARGO_PKG_VERSION"));
    let os = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let tools = [
        &["uname", "-srvm"][..],
        &["lxc-copy", "--version"],
        &["haproxy", "-v"],
        &["nft", "--version"],
        &["systemctl", "--version"],
    ];
    head + &printed(&tools).await + "\n/etc/os-release\n" + &os
}

/// How full it is.
async fn machine(settings: &Settings) -> String {
    let folders = [&settings.paths.state, &settings.paths.lxc, &settings.paths.run];
    let folders = folders.map(|folder| folder.display().to_string());
    let mut disk = vec!["df", "-h"];
    disk.extend(folders.iter().map(String::as_str));
    let tools = [disk.as_slice(), &["free", "-m"], &["uptime"], &["nproc"]];
    let pressure = ["cpu", "memory", "io"].map(|what| format!("/proc/pressure/{what}"));
    let pressure = pressure.map(|file| {
        let text = fs::read_to_string(&file).unwrap_or_default();
        format!("\n{file}\n{text}")
    });
    printed(&tools).await + &pressure.concat()
}

/// What each of these commands prints.
async fn printed(commands: &[&[&str]]) -> String {
    let mut text = String::new();
    for words in commands {
        let Some((program, arguments)) = words.split_first() else { continue };
        let ran = HostRunner.run(&CommandLine::new(program).args(arguments)).await;
        let told = ran.map_or_else(|error| format!("{error}\n"), |output| output.stdout);
        text.push_str(&format!("\n$ {}\n{told}", words.join(" ")));
    }
    text
}

async fn logs(settings: &Settings) -> anyhow::Result<String> {
    doctor::require_root()?;
    Ok(Programs::new(settings)?.last_lines().await)
}

/// What the scaler tells.
async fn of_scaler(settings: &Settings, output: bool) -> Vec<Part> {
    let told = match scaler::client(settings) {
        Ok(scaler) => Told::ask(&scaler, output).await,
        Err(error) => Err(error.into()),
    };
    let told = match told {
        Ok(told) => told,
        Err(error) => return vec![Part::new("what the scaler tells", Err(error))],
    };
    let mut parts = vec![
        Part::new("services.json", services::as_json(&told.host.services)),
        Part::new("instances.json", instances::as_json(&told.host.services)),
        Part::new("scaler.json", json(&told.host)),
        Part::new("ticks.json", json(&told.ticks)),
        Part::new("changes.json", json(&told.changes)),
        Part::new("events.txt", Ok(events::told(&told.ticks, &told.changes))),
    ];
    parts.extend(told.output.iter().map(|(service, lines)| {
        let lines = lines.as_ref().map_err(|why| anyhow::anyhow!("{why}"));
        Part::new(format!("output/{service}.json"), lines.and_then(json))
    }));
    parts
}

/// What the scaler tells, without what instances wrote unless that is asked for.
struct Told {
    host: HostStatus,
    ticks: Vec<Tick>,
    changes: Vec<Change>,
    output: Vec<(ServiceName, Result<Vec<OutputLine>, String>)>,
}

impl Told {
    async fn ask(scaler: &Scaler, output: bool) -> anyhow::Result<Self> {
        let mut host = scaler.services().await?;
        let mut ticks = scaler.newest_ticks(&TickFilter::default(), TICKS).await?.0;
        let changes = scaler.changes().await?;
        let mut lines = Vec::new();
        if output {
            for service in host.services.iter().map(|status| &status.name) {
                let told = scaler.output(service, None, Timestamp::default(), OUTPUT_LINES).await;
                lines.push((service.clone(), told.map_err(|error| error.to_string())));
            }
        } else {
            host.services.iter_mut().for_each(model::status::ServiceStatus::hide_output);
            ticks.iter_mut().for_each(Tick::hide_output);
        }
        Ok(Self { host, ticks, changes, output: lines })
    }
}

fn json(value: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)?)
}
