//! The secrets that an instance is given: which, and under which variables of its environment.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::places::lies_in;
use super::start::is_variable;
use super::{Mount, WritableFolder};
use crate::names::SecretName;
use crate::secrets::SECRETS_FOLDER;
use crate::value::{Invalid, check};

/// Secrets of one service at most: with 64 KiB each, all that its version is given is 2 MiB.
const MOST: usize = 32;

/// A secret that an instance is given, as a file in [`SECRETS_FOLDER`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretSpec {
    /// Its name, which is that of the file.
    pub name: SecretName,
    /// The variable of its environment that holds it as well, if one does.
    pub environment: Option<String>,
}

/// The same as it is written.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawSecret {
    /// Its name, under which it is set.
    name: String,
    /// The variable that holds it.
    environment: Option<String>,
}

/// Checks each secret, and that they fit the rest of the table `[instance]`.
pub(super) fn check_all(
    raw: Vec<RawSecret>,
    environment: &BTreeMap<String, String>,
    mounts: &[Mount],
    writable: &[WritableFolder],
) -> Result<Vec<SecretSpec>, Invalid> {
    let allowed = format!("{MOST} secrets at most");
    check(raw.len() <= MOST, "instance.secrets", raw.len(), allowed)?;
    let (mut names, mut variables) = (BTreeSet::new(), BTreeSet::new());
    let mut secrets = Vec::new();
    for (index, raw) in raw.into_iter().enumerate() {
        let checked = raw.checked().and_then(|secret| {
            let is_new = names.insert(secret.name.clone());
            check(is_new, "instance.secrets.name", &secret.name, "each name once")?;
            let Some(variable) = &secret.environment else { return Ok(secret) };
            let is_new = variables.insert(variable.clone()) && !environment.contains_key(variable);
            let allowed = "a variable that neither another secret nor instance.environment has";
            check(is_new, "instance.secrets.environment", variable, allowed)?;
            Ok(secret)
        });
        secrets.push(checked.map_err(|error| error.of_item("instance.secrets", index))?);
    }
    let targets = mounts.iter().map(|mount| ("instance.mounts", &mount.target));
    let paths = writable.iter().map(|folder| ("instance.writable", &folder.path));
    for (key, path) in targets.chain(paths) {
        let apart = secrets.is_empty() || !lies_in(path, SECRETS_FOLDER);
        check(apart, key, path, "another folder: there are the secrets of instance.secrets")?;
    }
    Ok(secrets)
}

impl RawSecret {
    fn checked(self) -> Result<SecretSpec, Invalid> {
        let name = self.name.parse();
        let name = name.map_err(|error| Invalid::form("instance.secrets.name", &error))?;
        if let Some(variable) = &self.environment {
            let allowed = "a name of A-Z, a-z, 0-9 and `_` that does not begin with a digit";
            let good = is_variable(variable);
            check(good, "instance.secrets.environment", format!("{variable:?}"), allowed)?;
        }
        Ok(SecretSpec { name, environment: self.environment })
    }
}

#[cfg(test)]
mod tests {
    use super::super::raw::tests::{GOOD, parse};

    fn with(lines: &str) -> Result<Vec<super::SecretSpec>, String> {
        let lines = format!("processes = 64\n{lines}");
        parse(&GOOD.replacen("processes = 64", &lines, 1)).map(|spec| spec.instance.secrets)
    }

    #[test]
    fn a_secret_is_a_file_and_where_the_file_says_so_a_variable() {
        assert!(with("").unwrap().is_empty());
        let secrets = with(
            "secrets = [{ name = \"db\", environment = \"DB_PASSWORD\" }, { name = \"tls.key\" }]",
        )
        .unwrap();
        let told: Vec<_> =
            secrets.iter().map(|it| (it.name.as_str(), it.environment.as_deref())).collect();
        assert_eq!(told, [("db", Some("DB_PASSWORD")), ("tls.key", None)]);
    }

    #[test]
    fn a_wrong_secret_is_named_with_its_key_and_what_is_allowed() {
        let many = (0..33).map(|n| format!("{{ name = \"s{n}\" }}")).collect::<Vec<_>>().join(",");
        for (list, told) in [
            (
                "{ name = \"../key\" }",
                "instance.secrets[0].name: `../key` is not the name of a secret",
            ),
            ("{ name = \"a\" }, { name = \"\" }", "instance.secrets[1].name: `` is not the name"),
            (
                "{ name = \"a\" }, { name = \"a\" }",
                "instance.secrets[1].name is a: use each name once",
            ),
            (
                "{ name = \"a\", environment = \"1A\" }",
                "instance.secrets[0].environment is \"1A\": use a name of",
            ),
            (
                "{ name = \"a\", environment = \"B\" }",
                "instance.secrets[0].environment is B: use a variable that neither",
            ),
            (
                "{ name = \"a\", environment = \"A\" }, { name = \"b\", environment = \"A\" }",
                "instance.secrets[1].environment is A: use a variable that neither",
            ),
            ("{ name = \"a\", file = true }", "unknown field `file`"),
            (&many, "instance.secrets is 33: use 32 secrets at most"),
        ] {
            let error =
                with(&format!("environment = {{ B = \"\" }}\nsecrets = [{list}]")).unwrap_err();
            assert!(error.contains(told), "{list}: {error}");
        }
    }

    #[test]
    fn nothing_else_is_mounted_where_the_secrets_are() {
        let writable = |path: &str| {
            format!(
                "writable = [{{ path = \"{path}\", size_mib = 1 }}]\nsecrets = [{{ name = \"a\" }}]"
            )
        };
        assert!(with(&writable("/run")).is_ok());
        for path in ["/run/secrets", "/run/secrets/more"] {
            let error = with(&writable(path)).unwrap_err();
            assert!(
                error.contains(&format!("instance.writable is {path}: use another")),
                "{error}"
            );
        }
        let mount = "secrets = [{ name = \"a\" }]";
        let text = GOOD
            .replacen("processes = 64", &format!("processes = 64\n{mount}"), 1)
            .replacen("\"/objects\"", "\"/run/secrets/x\"", 1);
        assert!(
            parse(&text).unwrap_err().contains("instance.mounts is /run/secrets/x: use another")
        );
    }
}
