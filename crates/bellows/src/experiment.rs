//! An experiment that was asked for by the API: the load generator offers the load as a user without rights, who sets with
//! a token of this experiment's own what whoever asked for it may set.

mod end;
mod load;
mod token;
mod verdict;

use anyhow::Context as _;
use command_line::terminal;
use host::deployments::Deployments;
use host::experiments::{ExperimentFiles, Experiments};
use host::settings::Settings;
use model::experiment::{Experiment, ExperimentRecord};
use model::job::{Outcome, Stage};
use model::names::ServiceName;

pub(crate) use self::end::end;
use self::load::Load;
use self::token::OfExperiment;
use crate::clock::now;
use crate::job::Running;
use crate::scaler;

/// What of a service's file is nobody's business who offers load: what its programs are told.
const UNTOLD: [&str; 2] = ["application", "instance.environment"];

/// Carries it out, and keeps how it ended; gives what is so then.
pub(crate) async fn carry_out(
    settings: &Settings,
    running: &mut Running,
    asked: Experiment,
    of_host: bool,
) -> anyhow::Result<String> {
    let service = running.service()?;
    let mut record = ExperimentRecord {
        id: running.job.id,
        service: service.clone(),
        experiment: asked,
        begun_at: running.job.begun_at,
        ended_at: None,
        outcome: None,
    };
    let files = Experiments::new(settings.experiments_folder()).begin(&record)?;
    running.enter(Stage::Load)?;
    let done = offer(settings, running, &files, &record, of_host).await;
    let (is_well, verdict) = match &done {
        Ok(verdict) => (true, verdict.clone()),
        Err(error) => (false, format!("{error:#}")),
    };
    (record.outcome, record.ended_at) = (Some(Outcome { is_well, verdict }), Some(now()));
    files.write(&record)?;
    done
}

async fn offer(
    settings: &Settings,
    running: &Running,
    files: &ExperimentFiles,
    record: &ExperimentRecord,
    of_host: bool,
) -> anyhow::Result<String> {
    lay_out(settings, files, &record.service)?;
    let scaler = scaler::client(settings)?;
    let services = (!of_host).then(|| record.service.clone());
    let token = OfExperiment::make(&scaler, record.id, services).await?;
    let load = Load { settings, files, asked: &record.experiment, secret: token.secret() };
    let ended = load.offer(&running.files).await;
    token.revoke(&scaler).await;
    let verdict = verdict::of(ended?, &files.results(), &running.files.log());
    if let Err(error) = load.report().await {
        terminal::note(format_args!("no report is made: {error:#}"));
    }
    files.remove_services()?;
    verdict
}

/// Lays out what the load generator reads of the service's file.
fn lay_out(
    settings: &Settings,
    files: &ExperimentFiles,
    service: &ServiceName,
) -> anyhow::Result<()> {
    let deployment = Deployments::new(&settings.paths.state).load()?;
    let file =
        deployment.file(service).with_context(|| format!("there is no service {service}"))?;
    let told = without(file, &UNTOLD)
        .with_context(|| format!("the file of {service} cannot be read: run `bellows up`"))?;
    Ok(files.lay_out_service(service.as_str(), &told)?)
}

/// A file without these keys.
fn without(file: &str, keys: &[&str]) -> anyhow::Result<String> {
    let mut file: toml::Table = file.parse()?;
    for key in keys {
        match key.split_once('.') {
            None => drop(file.remove(*key)),
            Some((table, key)) => {
                let table = file.get_mut(table).and_then(toml::Value::as_table_mut);
                table.and_then(|table| table.remove(key));
            }
        }
    }
    Ok(toml::to_string(&file)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_generator_reads_nothing_of_what_a_services_programs_are_told() {
        let file = "name = \"shop\"\nimage = \"program\"\n[route]\npath_prefix = \"/\"\n\
                    [instance]\nport = 80\n[instance.environment]\nKEY = \"hush\"\n\
                    [application]\nkey = \"hush\"\n[capacity]\nrequests_per_second = 9\n";
        let told = without(file, &UNTOLD).unwrap();
        assert!(!told.contains("hush") && told.contains("requests_per_second = 9"), "{told}");
        assert!(told.contains("port = 80"), "{told}");
        assert!(without("name =", &UNTOLD).is_err());
    }
}
