//! `bellows changes`: who changed what, and how it was before.

use command_line::terminal;
use host::settings::Settings;
use model::access::{Change, Changed, KeyChange, Token, Who};
use model::policies::PolicySpec;

use crate::clock::moment;
use crate::scaler;

/// Shows every change that is kept.
pub(crate) async fn run(settings: &Settings, json: bool) -> anyhow::Result<()> {
    let changes = scaler::client(settings)?.changes().await?;
    if json {
        terminal::tell_line(serde_json::to_string_pretty(&changes)?)?;
    } else if changes.is_empty() {
        terminal::tell_line("Nothing was changed yet.")?;
    } else {
        changes.iter().try_for_each(|change| terminal::tell_line(line(change)))?;
    }
    Ok(())
}

fn line(change: &Change) -> String {
    format!("{}  {:<20}  {}", moment(change.at), who(&change.who), changed(&change.changed))
}

/// Who somebody is, in a word or two.
pub(crate) fn who(who: &Who) -> String {
    who.to_string()
}

/// What was changed, and how it was before.
pub(crate) fn changed(changed: &Changed) -> String {
    match changed {
        Changed::Bounds { service, before, after } => format!(
            "{service}: bounds from {} {} to {} {}",
            before.min(),
            before.max(),
            after.min(),
            after.max()
        ),
        Changed::Policy { service, before, after } => {
            format!("{service}: policy from {} to {}", policy(before), policy(after))
        }
        Changed::Hold { service, after: Some(hold), .. } => {
            format!("{service}: held at {} until {}", hold.ready, moment(hold.until))
        }
        Changed::Hold { service, before: Some(hold), after: None } => {
            format!("{service}: held at {} no longer", hold.ready)
        }
        Changed::Hold { service, before: None, after: None } => format!("{service}: not held"),
        Changed::Removal { service, instance } => {
            format!("{service}: instance {instance} to be removed")
        }
        Changed::Membership { before, after } => format!("membership from {before} to {after}"),
        Changed::Deployment { service, before: None, after: Some(after) } => {
            format!("{service}: deployed as {after}")
        }
        Changed::Deployment { service, before: Some(before), after: Some(after) } => {
            format!("{service}: version from {before} to {after}")
        }
        Changed::Deployment { service, after: None, .. } => format!("{service}: withdrawn"),
        Changed::ServiceFile { service, keys: changed } => format!("{service}: {}", keys(changed)),
        Changed::Settings { keys: changed } => format!("bellows.toml: {}", keys(changed)),
        Changed::Secret { service, name, before: None, after: Some(_) } => {
            format!("{service}: secret {name} set")
        }
        Changed::Secret { service, name, before: Some(_), after: Some(_) } => {
            format!("{service}: secret {name} set to another value")
        }
        Changed::Secret { service, name, after: None, .. } => {
            format!("{service}: secret {name} removed")
        }
        Changed::Job { service: Some(service), id, job } => {
            format!("{service}: job {id} asked for, {job}")
        }
        Changed::Job { service: None, id, job } => format!("job {id} asked for, {job}"),
        Changed::Action { service, action, status: Some(status) } => {
            format!("{service}: action {action} sent, answered {status}")
        }
        Changed::Action { service, action, status: None } => {
            format!("{service}: action {action} sent, no answer")
        }
        Changed::Token { name, after: Some(token), .. } => {
            let until = token.expires_at.map(|end| format!(", until {}", moment(end)));
            format!("token {name} made, {}{}", rights(token), until.unwrap_or_default())
        }
        Changed::Token { name, after: None, .. } => format!("token {name} revoked"),
    }
}

fn keys(keys: &[KeyChange]) -> String {
    let none = || "nothing".to_owned();
    let line = |KeyChange { key, before, after }: &KeyChange| match (before, after) {
        (None, None) => key.clone(),
        (before, after) => format!(
            "{key} from {} to {}",
            before.clone().unwrap_or_else(none),
            after.clone().unwrap_or_else(none)
        ),
    };
    keys.iter().map(line).collect::<Vec<_>>().join(", ")
}

/// By its name; with `--json`, by all its figures.
fn policy(policy: &PolicySpec) -> String {
    policy.to_string()
}

fn rights(token: &Token) -> String {
    token.rights.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use model::bounds::Bounds;
    use model::hold::Hold;
    use model::secrets::SecretGeneration;
    use model::time::Timestamp;

    use super::*;

    const HOLD: Hold = Hold {
        ready: 4,
        since: Timestamp::from_millis(1_795_000_000_000),
        until: Timestamp::from_millis(1_795_003_600_000),
    };

    #[test]
    fn a_change_says_when_who_and_what_before_and_after() {
        let bounds = |min, max| Bounds::new(min, max).unwrap();
        let change = |who, changed| Change {
            sequence: 1,
            at: Timestamp::from_millis(1_795_000_000_123),
            who,
            changed,
        };
        let service = || "store".parse().unwrap();
        let anna = Who::Operator { uid: 1000, user: Some("anna".to_owned()) };
        let ci = || Who::Token { name: "ci".parse().unwrap() };
        let lines = [
            change(
                anna,
                Changed::Bounds { service: service(), before: bounds(1, 4), after: bounds(2, 9) },
            ),
            change(
                ci(),
                Changed::Policy {
                    service: service(),
                    before: PolicySpec::default(),
                    after: model::policies::PolicyKind::Hpa.into(),
                },
            ),
            change(
                Who::Up,
                Changed::Deployment {
                    service: service(),
                    before: None,
                    after: Some(model::version::Version::new(0xab)),
                },
            ),
            change(
                Who::Operator { uid: 0, user: Some("root".to_owned()) },
                Changed::ServiceFile {
                    service: service(),
                    keys: [("egress", None, Some("[\"any\"]")), ("and 3 more", None, None)]
                        .map(|(key, before, after): (&str, Option<&str>, Option<&str>)| KeyChange {
                            key: key.to_owned(),
                            before: before.map(str::to_owned),
                            after: after.map(str::to_owned),
                        })
                        .to_vec(),
                },
            ),
            change(
                Who::Operator { uid: 7, user: None },
                Changed::Token { name: "ci".parse().unwrap(), before: None, after: None },
            ),
            change(
                ci(),
                Changed::Secret {
                    service: service(),
                    name: "db".parse().unwrap(),
                    before: Some(SecretGeneration::new(7)),
                    after: Some(SecretGeneration::new(8)),
                },
            ),
        ];
        insta::assert_snapshot!(lines.each_ref().map(line).join("\n"), @r#"
        2026-11-18T11:06:40Z  anna                  store: bounds from 1 4 to 2 9
        2026-11-18T11:06:40Z  token ci              store: policy from target_tracking to hpa
        2026-11-18T11:06:40Z  up                    store: deployed as 000000ab
        2026-11-18T11:06:40Z  root                  store: egress from nothing to ["any"], and 3 more
        2026-11-18T11:06:40Z  user 7                token ci revoked
        2026-11-18T11:06:40Z  token ci              store: secret db set to another value
        "#);
    }

    #[test]
    fn a_token_is_told_with_its_rights_and_its_end() {
        let name = || "browser-of-root-3fa85f".parse().unwrap();
        let made = |expires_at| {
            let made_at = Timestamp::from_millis(1_795_000_000_000);
            let rights = [model::access::Right::All].into();
            let token = Token { name: name(), rights, services: None, made_at, expires_at };
            changed(&Changed::Token { name: name(), before: None, after: Some(token) })
        };
        assert_eq!(made(None), "token browser-of-root-3fa85f made, all");
        let end = Timestamp::from_millis(1_795_043_200_000);
        let told = "token browser-of-root-3fa85f made, all, until 2026-11-18T23:06:40Z";
        assert_eq!(made(Some(end)), told);
    }

    #[test]
    fn a_job_and_an_action_are_told_with_who_they_are_of() {
        let (id, job) = (model::job::JobId::new(0xab), model::job::JobKind::Rollback);
        let asked = |service| changed(&Changed::Job { service, id, job });
        let service = || "store".parse().unwrap();
        assert_eq!(asked(Some(service())), "store: job 00000000000000ab asked for, rollback");
        assert_eq!(asked(None), "job 00000000000000ab asked for, rollback");
        let action = || "delete-all".parse().unwrap();
        let sent =
            |status| changed(&Changed::Action { service: service(), action: action(), status });
        assert_eq!(sent(Some(204)), "store: action delete-all sent, answered 204");
        assert_eq!(sent(None), "store: action delete-all sent, no answer");
    }

    #[test]
    fn a_hold_its_end_and_a_removal_are_told() {
        let service = || "store".parse().unwrap();
        let held = |before, after| changed(&Changed::Hold { service: service(), before, after });
        assert_eq!(held(None, Some(HOLD)), "store: held at 4 until 2026-11-18T12:06:40Z");
        assert_eq!(held(Some(HOLD), None), "store: held at 4 no longer");
        assert_eq!(who(&Who::Time), "time");
        let instance = "bw-store-3-a".parse().unwrap();
        let removal = changed(&Changed::Removal { service: service(), instance });
        assert_eq!(removal, "store: instance bw-store-3-a to be removed");
    }
}
