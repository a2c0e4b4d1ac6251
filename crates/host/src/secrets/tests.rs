use std::os::unix::fs::PermissionsExt;

use super::*;

struct Fixture {
    root: tempfile::TempDir,
    store: SecretStore,
    service: ServiceName,
}

fn fixture() -> Fixture {
    let root = tempfile::tempdir().unwrap();
    let mut settings = Settings::default();
    settings.paths.state = root.path().join("state");
    settings.paths.lxc = root.path().join("lxc");
    fs::create_dir(&settings.paths.lxc).unwrap();
    let store = SecretStore::new(&settings);
    Fixture { root, store, service: "app".parse().unwrap() }
}

#[test]
fn a_service_that_has_too_many_secrets_takes_nothing_from_others() {
    let fixture = fixture();
    for number in 0..MOST_OF_A_SERVICE {
        fixture.set(&format!("s{number}"), b"x");
    }
    let value = SecretValue::new(b"x".to_vec()).unwrap();
    let set = |service: &ServiceName, name: &str| {
        fixture.store.set(service, &name.parse().unwrap(), &value, by_root(7))
    };
    let error = set(&fixture.service, "one-more").unwrap_err().to_string();
    assert!(error.starts_with("the service app has 64 secrets: remove one"), "{error}");
    assert!(set(&"other".parse().unwrap(), "first").is_ok());
    assert!(set(&fixture.service, "s1").is_ok(), "what is there may be set to another value");
}

impl Fixture {
    fn set(&self, name: &str, value: &[u8]) -> SecretChange {
        let value = SecretValue::new(value.to_vec()).unwrap();
        self.store.set(&self.service, &name.parse().unwrap(), &value, by_root(7)).unwrap()
    }

    fn value(&self, name: &str, generation: SecretGeneration) -> Option<Vec<u8>> {
        self.store.read(&self.service, &name.parse().unwrap(), generation).ok()
    }

    /// A template of a version that was given this.
    fn template(&self, name: &str, given: &[(&str, SecretGeneration)]) -> PathBuf {
        let folder = self.root.path().join("lxc").join(name);
        fs::create_dir(&folder).unwrap();
        let given: GivenSecrets =
            given.iter().map(|(name, value)| (name.parse().unwrap(), *value)).collect();
        fs::write(folder.join("config"), "").unwrap();
        fs::write(folder.join("secrets.json"), serde_json::to_string(&given).unwrap()).unwrap();
        folder
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.root.path().join("state")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files
    }
}

fn by_root(ms: u64) -> (Who, Timestamp) {
    (Who::Operator { uid: 0, user: Some("root".to_owned()) }, Timestamp::from_millis(ms))
}

fn spec(secrets: &str) -> ServiceSpec {
    let text = include_str!("../../../../services/object-store.toml");
    let text = text.replacen("name = \"object-store\"", "name = \"app\"", 1).replacen(
        "port = 8000",
        &format!("port = 8000\nsecrets = [{secrets}]"),
        1,
    );
    config_file::from_toml("app.toml", &text).unwrap()
}

#[test]
fn a_secret_is_kept_for_root_alone_with_when_and_by_whom_and_its_list_tells_no_value() {
    let fixture = fixture();
    let change = fixture.set("db", b"hunter2\n\xff");
    assert_eq!(change.before, None);
    assert_eq!(fixture.value("db", change.after).unwrap(), b"hunter2\n\xff");
    let (who, now) = by_root(7);
    let name = "db".parse().unwrap();
    let listed = fixture.store.list(&fixture.service).unwrap();
    assert_eq!(listed, [Secret { name, generation: change.after, set_at: now, set_by: who }]);
    assert!(!serde_json::to_string(&listed).unwrap().contains("hunter2"));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for file in fixture.files().iter().filter(|file| !file.ends_with(LOCK)) {
        assert_eq!(mode(file), 0o600, "{}", file.display());
        assert_eq!(mode(file.parent().unwrap()), 0o700, "{}", file.display());
    }
    assert_eq!(mode(&fixture.store.folder), 0o700);
    let state = mode(fixture.store.folder.parent().unwrap());
    assert_eq!(state & 0o011, 0o011, "instances pass through the state folder: {state:o}");
}

#[test]
fn the_same_value_again_changes_nothing_and_another_is_another_generation() {
    let fixture = fixture();
    let first = fixture.set("db", b"one");
    assert_eq!(fixture.set("db", b"one").after, first.after);
    let second = fixture.set("db", b"two");
    assert_eq!(second.before, Some(first.after));
    assert_ne!(second.after, first.after);
    assert_eq!(fixture.value("db", first.after), None, "no version was given it");
}

#[test]
fn a_version_keeps_the_value_that_it_was_given_until_its_template_is_gone() {
    let fixture = fixture();
    let first = fixture.set("db", b"one").after;
    let template = fixture.template("bw-app-t00000001", &[("db", first)]);
    fixture.template("bw-other-t00000002", &[]);
    let second = fixture.set("db", b"two").after;
    assert_eq!(fixture.value("db", first).unwrap(), b"one");
    let name = "db".parse().unwrap();
    let removed = fixture.store.remove(&fixture.service, &name, None).unwrap();
    assert_eq!(removed, Some(second));
    assert_eq!(fixture.store.remove(&fixture.service, &name, None).unwrap(), None);
    assert_eq!((fixture.value("db", second), fixture.value("db", first).is_some()), (None, true));
    fs::remove_dir_all(template).unwrap();
    fixture.store.sweep().unwrap();
    assert_eq!(fixture.value("db", first), None);
    let left = fixture.files();
    assert!(left.iter().all(|file| file.ends_with(LOCK)), "{left:?}");
}

#[test]
fn what_a_crash_left_is_swept_and_the_newest_value_stays() {
    let fixture = fixture();
    let held = fixture.set("db", b"one").after;
    let folder = fixture.store.folder.join("app/db");
    fs::write(folder.join("00000000000000ff"), "of a crash").unwrap();
    fs::write(folder.join(".tmp123"), "of a crash").unwrap();
    fixture.store.sweep().unwrap();
    assert_eq!(fixture.value("db", held).unwrap(), b"one");
    assert_eq!(fs::read_dir(folder).unwrap().count(), 2);
}

#[test]
fn a_spoilt_note_of_one_template_keeps_that_services_values_and_holds_up_no_other() {
    let fixture = fixture();
    let first = fixture.set("db", b"one").after;
    let template = fixture.template("bw-app-t00000001", &[("db", first)]);
    fixture.set("db", b"two");
    let later: ServiceName = "later".parse().unwrap();
    let value = SecretValue::new(b"three".to_vec()).unwrap();
    fixture.store.set(&later, &"key".parse().unwrap(), &value, by_root(7)).unwrap();
    let crashed = fixture.store.folder.join("later/key/00000000000000ff");
    fs::write(&crashed, "of a crash").unwrap();
    fs::write(template.join("secrets.json"), "{").unwrap();
    let left = fixture.store.sweep().unwrap();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0].0, fixture.service);
    assert!(left[0].1.to_string().contains("secrets.json"), "{}", left[0].1);
    assert_eq!(fixture.value("db", first).unwrap(), b"one");
    assert!(!crashed.exists());
}

#[test]
fn what_a_service_names_and_is_not_set_is_told_at_once_with_what_to_do() {
    let fixture = fixture();
    let spec =
        spec("{ name = \"db\", environment = \"DB\" }, { name = \"key\" }, { name = \"tls\" }");
    fixture.set("db", b"a\0b");
    let given = fixture.set("tls", b"\0").after;
    let told: Vec<String> = fixture.store.problems(&spec).iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    service app: its secret `db` has a NUL, which no variable can hold: leave `environment` out of instance.secrets, and have the program read the file
    service app: its secret `key` is not set: `bellows secret set app key` reads it from standard input
    ");
    assert!(fixture.store.given(&spec).unwrap_err().to_string().contains("`key` is not set"));
    let good = self::spec("{ name = \"tls\" }");
    assert!(fixture.store.problems(&good).is_empty());
    assert_eq!(fixture.store.given(&good).unwrap(), [("tls".parse().unwrap(), given)].into());
}

#[test]
fn a_secret_that_the_services_file_names_stays() {
    let fixture = fixture();
    fixture.set("db", b"one");
    let remove = |spec| fixture.store.remove(&fixture.service, &"db".parse().unwrap(), Some(&spec));
    let error = remove(spec("{ name = \"db\" }")).unwrap_err().to_string();
    let told =
        "the file of the service app names the secret `db`: remove it there, and deploy that first";
    assert_eq!(error, told);
    assert!(remove(spec("")).unwrap().is_some());
}

#[test]
fn one_that_was_spoilt_is_told_and_can_be_set_again() {
    let fixture = fixture();
    fixture.set("db", b"one");
    fixture.set("key", b"two");
    fs::write(fixture.store.folder.join("app/db").join(NEWEST), "{").unwrap();
    let error = fixture.store.list(&fixture.service).unwrap_err().to_string();
    assert!(
        error.contains("app/db/newest.json is spoilt") && error.contains("set the secret again")
    );
    fixture.set("key", b"three");
    let again = fixture.set("db", b"four");
    assert_eq!(fixture.value("db", again.after).unwrap(), b"four");
    assert_eq!(fixture.store.list(&fixture.service).unwrap().len(), 2);
}

#[test]
fn a_version_that_was_made_while_its_secret_was_set_anew_is_told_apart() {
    let fixture = fixture();
    let spec = spec("{ name = \"db\" }");
    fixture.set("db", b"one");
    let given = fixture.store.given(&spec).unwrap();
    fixture.store.ensure_kept(&fixture.service, &given).unwrap();
    fixture.set("db", b"two");
    let error = fixture.store.ensure_kept(&fixture.service, &given).unwrap_err().to_string();
    let told = "service app: the value of `db` that its version was given is gone: deploy it again, which \
                gives it the newest";
    assert_eq!(error, told);
}
