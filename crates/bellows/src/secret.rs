//! `bellows secret`: what instances of a service are told that nobody else is.

use std::io::{IsTerminal, Read, stdin};

use anyhow::{Context as _, anyhow, bail};
use command_line::terminal;
use host::accounts;
use host::deployments::Deployments;
use host::lock::Lock;
use host::secrets::SecretStore;
use host::settings::Settings;
use model::access::Who;
use model::names::{SecretName, ServiceName};
use model::secrets::{SECRET_MAX_BYTES, Secret, SecretChange, SecretValue};
use model::service::ServiceSpec;
use scaler_client::{Scaler, ScalerError};
use serde::Serialize;

use crate::changes::who;
use crate::cli::SecretCommand;
use crate::clock::{moment, now};
use crate::doctor::require_root;
use crate::error::BadInput;
use crate::json::{self, FORMAT};
use crate::run_folder;
use crate::scaler;

/// Removes values that are of no use to any version. Where that cannot be told, they stay, and it is said.
pub(crate) fn sweep(settings: &Settings) -> anyhow::Result<()> {
    for (service, error) in SecretStore::new(settings).sweep()? {
        let error = anyhow::Error::from(error);
        terminal::note(format_args!(
            "values of secrets of {service} that are of no use are left: {error:#}"
        ));
    }
    Ok(())
}

/// Does what is to be done with secrets: by the scaler, and where none runs, as before the first `up`, by
/// itself.
pub(crate) async fn run(settings: &Settings, what: SecretCommand) -> anyhow::Result<()> {
    let scaler = scaler::client(settings)?;
    match what {
        SecretCommand::Set { service, name } => {
            let value = read_value()?;
            let change = set(settings, &scaler, &service, &name, &value).await?;
            terminal::tell_line(told(&service, &name, change))?;
        }
        SecretCommand::List { service, json } => {
            let secrets = list(settings, &scaler, &service).await?;
            if json {
                return json::print(&List { format: FORMAT, service: &service, secrets: &secrets });
            }
            terminal::tell(table(&service, &secrets))?;
        }
        SecretCommand::Remove { service, name } => {
            remove(settings, &scaler, &service, &name).await?;
            terminal::tell_line(format_args!("The secret {name} of {service} is removed."))?;
        }
    }
    Ok(())
}

/// The secrets of a service without their values, as programs are told of them.
#[derive(Debug, Serialize)]
struct List<'a> {
    format: u32,
    service: &'a ServiceName,
    secrets: &'a [Secret],
}

/// The whole of standard input, as far as a secret may go.
fn read_value() -> anyhow::Result<SecretValue> {
    let input = stdin().lock();
    if input.is_terminal() {
        terminal::note("The secret, which can be seen here; Ctrl-D on a line of its own ends it:");
    }
    let mut bytes = Vec::new();
    let most = u64::try_from(SECRET_MAX_BYTES)? + 1;
    input.take(most).read_to_end(&mut bytes).context("standard input cannot be read")?;
    Ok(SecretValue::new(bytes).map_err(BadInput::new)?)
}

async fn set(
    settings: &Settings,
    scaler: &Scaler,
    service: &ServiceName,
    name: &SecretName,
    value: &SecretValue,
) -> anyhow::Result<SecretChange> {
    match scaler.set_secret(service, name, value).await {
        Err(ScalerError::Away { .. }) => {
            let (store, _lock) = alone(settings)?;
            let uid = 0;
            let root = Who::Operator { uid, user: accounts::user_name(uid) };
            Ok(store.set(service, name, value, (root, now()))?)
        }
        // One of this release sets secrets of any service.
        Err(ScalerError::Refused { status, .. }) if status.as_u16() == 404 => bail!(
            "the scaler that runs is of an earlier release, which knows no secrets: run `./just up` before \
             instance.secrets is in services/{service}.toml, and then set it"
        ),
        answer => Ok(answer?),
    }
}

async fn list(
    settings: &Settings,
    scaler: &Scaler,
    service: &ServiceName,
) -> anyhow::Result<Vec<Secret>> {
    match scaler.secrets(service).await {
        Err(ScalerError::Away { .. }) => {
            require_root()?;
            Ok(SecretStore::new(settings).list(service)?)
        }
        answer => Ok(answer?.secrets),
    }
}

async fn remove(
    settings: &Settings,
    scaler: &Scaler,
    service: &ServiceName,
    name: &SecretName,
) -> anyhow::Result<()> {
    match scaler.remove_secret(service, name).await {
        Err(ScalerError::Away { .. }) => {
            let (store, _lock) = alone(settings)?;
            let spec = deployed(settings, service)?;
            let removed = store.remove(service, name, spec.as_ref()).map_err(BadInput::new)?;
            let none = || {
                format!(
                    "{service} has no secret {name}: `bellows secret list {service}` lists those it has"
                )
            };
            removed.map(drop).ok_or_else(|| BadInput::new(anyhow!(none())).into())
        }
        answer => Ok(answer?),
    }
}

/// The secrets, with no scaler beside us: it holds this lock for life, and notes at its start what was
/// changed here.
fn alone(settings: &Settings) -> anyhow::Result<(SecretStore, Lock)> {
    require_root()?;
    let run = &settings.paths.run;
    run_folder::ensure(run)?;
    let lock = Lock::acquire(&run.join("scaler.lock"));
    let lock = lock.context("the scaler runs and gives no answer yet: try again")?;
    Ok((SecretStore::new(settings), lock))
}

fn deployed(settings: &Settings, service: &ServiceName) -> anyhow::Result<Option<ServiceSpec>> {
    let deployed = Deployments::new(&settings.paths.state).load()?.readable().services;
    let specs = deployed.into_iter().map(|deployed| deployed.spec);
    Ok(specs.into_iter().find(|spec| spec.name == *service))
}

fn told(service: &ServiceName, name: &SecretName, change: SecretChange) -> String {
    let SecretChange { before, after } = change;
    if before == Some(after) {
        return format!("The secret {name} of {service} has this value already.");
    }
    format!(
        "The secret {name} of {service} is set. Instances are given it once {service} is deployed the next time, \
         where its file names it in instance.secrets."
    )
}

fn table(service: &ServiceName, secrets: &[Secret]) -> String {
    if secrets.is_empty() {
        return format!(
            "{service} has no secrets; `bellows secret set {service} NAME` reads one from standard input.\n"
        );
    }
    let longest = secrets.iter().map(|secret| secret.name.as_str().len()).max().unwrap_or(0).max(6);
    let line = |Secret { name, set_at, set_by, .. }: &Secret| {
        format!("{:<longest$}  {}  {}\n", name.as_str(), moment(*set_at), who(set_by))
    };
    let head = format!("{:<longest$}  {:<20}  BY\n", "SECRET", "SET");
    head + &secrets.iter().map(line).collect::<String>()
}

#[cfg(test)]
mod tests {
    use model::secrets::SecretGeneration;
    use model::time::Timestamp;

    use super::*;

    #[test]
    fn secrets_are_listed_with_when_and_by_whom() {
        let secret = |name: &str, set_by| Secret {
            name: name.parse().unwrap(),
            generation: SecretGeneration::new(7),
            set_at: Timestamp::from_millis(1_795_000_000_123),
            set_by,
        };
        let anna = Who::Operator { uid: 1000, user: Some("anna".to_owned()) };
        let ci = Who::Token { name: "ci".parse().unwrap() };
        let service = "shop".parse().unwrap();
        let secrets = [secret("db-password", anna), secret("tls.key", ci)];
        insta::assert_snapshot!(table(&service, &secrets), @r"
        SECRET       SET                   BY
        db-password  2026-11-18T11:06:40Z  anna
        tls.key      2026-11-18T11:06:40Z  token ci
        ");
        assert!(table(&service, &[]).starts_with("shop has no secrets; `bellows secret set shop"));
    }

    #[test]
    fn who_sets_a_secret_is_told_what_is_to_be_done_next() {
        let (one, two) = (SecretGeneration::new(1), SecretGeneration::new(2));
        let told = |before, after| {
            told(&"shop".parse().unwrap(), &"db".parse().unwrap(), SecretChange { before, after })
        };
        assert_eq!(told(Some(one), one), "The secret db of shop has this value already.");
        for before in [None, Some(one)] {
            assert!(told(before, two).contains("deployed the next time"));
        }
    }
}
