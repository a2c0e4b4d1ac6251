//! What the first process of an instance is, what that starts, and as whom.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use model::secrets::SECRETS_FOLDER;
use model::service::{InstanceSpec, ReleaseCommand, SecretSpec};
use serde::Serialize;

use super::image::Image;
use super::merged;
use super::recipe_file::ImageStart;
use super::template_error::TemplateError;

/// Where our init is in an instance, and the file that says what it starts.
pub(super) const INIT: &str = "etc/bellows/bellows-init";
pub(super) const COMMAND_FILE: &str = "etc/bellows/command.json";

/// What every program finds in its environment unless the service's file says otherwise.
const ENVIRONMENT: [(&str, &str); 2] =
    [("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("LANG", "C.UTF-8")];

/// How an instance starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Start {
    /// The line by which LXC starts the first process.
    pub(super) init: String,
    /// Whom that runs as, within the instance.
    pub(super) user: User,
    /// What our init starts, as it reads it; `None` where the image's program is the first process.
    pub(super) command: Option<String>,
    /// What the first process finds in its environment beside `PATH` and `LANG`, where it is the image's
    /// program.
    pub(super) environment: BTreeMap<String, String>,
}

/// A user and its group, within an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// What our init reads: see `crates/init/src/program.rs`.
#[derive(Serialize)]
struct CommandFile<'a> {
    command: Vec<&'a str>,
    environment: BTreeMap<&'a str, &'a str>,
    /// Variables whose values are files in the instance.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    environment_files: BTreeMap<&'a str, String>,
    working_folder: &'a str,
    /// What is run before it where the launch says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    release: Option<&'a [String]>,
}

/// How an instance of this image starts, where the service's file says this, and `given` is what every program of
/// the service finds in its environment unless the file says otherwise. A program that is the first process by
/// itself is one no more as soon as the file says anything of it, or has a secret in its environment.
///
/// # Errors
/// [`TemplateError::NoUser`] where the image does not have the user, and [`TemplateError::NoShell`] where it has no shell
/// and the release command needs one.
pub(super) fn resolve(
    instance: &InstanceSpec,
    image: &Image,
    given: BTreeMap<String, String>,
) -> Result<Start, TemplateError> {
    match &image.start {
        ImageStart::Init(init)
            if instance.start.is_the_images()
                && environment_files(&instance.secrets).is_empty() =>
        {
            let own = Own::of(image, instance).environment;
            let environment = own.into_iter().chain(given).collect();
            Ok(Start { init: init.clone(), user: User::default(), command: None, environment })
        }
        _ => resolve_by_init(instance, image, given),
    }
}

/// The same where our init starts whatever the image has.
///
/// # Errors
/// As those of [`resolve`].
pub(super) fn resolve_by_init(
    instance: &InstanceSpec,
    image: &Image,
    given: BTreeMap<String, String>,
) -> Result<Start, TemplateError> {
    let (spec, environment_files) = (&instance.start, environment_files(&instance.secrets));
    let own = Own::of(image, instance);
    let command: Vec<&str> = match (&spec.command, &image.start) {
        (None, ImageStart::Init(init)) => init.split(' ').filter(|word| !word.is_empty()).collect(),
        (None, ImageStart::Command(command) | ImageStart::Application { command, .. })
        | (Some(command), _) => command.iter().map(String::as_str).collect(),
    };
    let accounts = Accounts::read(image);
    let (user, home) = match &spec.user {
        None => (User::default(), accounts.home(0)),
        Some(text) => {
            let user = accounts.find(text).ok_or_else(|| TemplateError::NoUser(text.clone()))?;
            (user, accounts.home(user.uid))
        }
    };
    let mut environment: BTreeMap<_, _> = ENVIRONMENT.into();
    environment.insert("HOME", &home);
    environment.extend(own.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    environment.extend(given.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    environment
        .extend(spec.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let working_folder = spec.working_folder.as_deref().unwrap_or(own.working_folder);
    check_release(spec.release.as_ref(), image)?;
    let release = spec.release.as_ref().map(ReleaseCommand::words);
    let file = CommandFile { command, environment, environment_files, working_folder, release };
    // Texts and maps of texts are JSON whatever they say.
    let json = serde_json::to_string(&file).unwrap_or_default();
    let init = format!("/{INIT}");
    Ok(Start { init, user, command: Some(json), environment: BTreeMap::new() })
}

/// Checks that an image has a shell where the release command needs one: it would fail in each trial.
fn check_release(release: Option<&ReleaseCommand>, image: &Image) -> Result<(), TemplateError> {
    let Some(line) = release.and_then(ReleaseCommand::shell_line) else { return Ok(()) };
    // A link is followed by the image's own: that of Debian's userland is one of `/bin`, beside that of `sh`.
    let places = ["bin/sh", "usr/bin/sh"];
    let has_shell = places.iter().any(|place| merged::find(&image.stack(), place).is_some());
    if has_shell { Ok(()) } else { Err(TemplateError::NoShell(line.to_owned())) }
}

/// What an image itself says of how its program runs, unless the service's file says otherwise.
struct Own<'a> {
    environment: BTreeMap<String, String>,
    working_folder: &'a str,
}

impl<'a> Own<'a> {
    fn of(image: &'a Image, instance: &InstanceSpec) -> Self {
        let (mut environment, working_folder) = match &image.start {
            ImageStart::Application { environment, working_folder, .. } => {
                (environment.clone(), working_folder.as_str())
            }
            ImageStart::Init(_) | ImageStart::Command(_) => (BTreeMap::new(), "/"),
        };
        environment.insert("PORT".to_owned(), instance.port.to_string());
        Self { environment, working_folder }
    }
}

/// The variables that hold secrets, with the files that hold them in the instance.
fn environment_files(secrets: &[SecretSpec]) -> BTreeMap<&str, String> {
    let file = |secret: &SecretSpec| format!("{SECRETS_FOLDER}/{}", secret.name);
    secrets.iter().filter_map(|it| Some((it.environment.as_deref()?, file(it)))).collect()
}

/// The users and groups of an image.
struct Accounts {
    passwd: String,
    group: String,
}

impl Accounts {
    fn read(image: &Image) -> Self {
        // A link of the image could lead to a file of the host.
        let is_file =
            |file: &PathBuf| fs::symlink_metadata(file).is_ok_and(|found| found.is_file());
        let read = |name: &str| {
            let file = merged::find(&image.stack(), name).filter(is_file);
            let text = file.and_then(|file| fs::read(file).ok()).unwrap_or_default();
            String::from_utf8_lossy(&text).into_owned()
        };
        Self { passwd: read("etc/passwd"), group: read("etc/group") }
    }

    /// A user, by name or number, and its group, or the one behind a colon. A number need have no name.
    fn find(&self, text: &str) -> Option<User> {
        let (user, group) =
            text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
        let entry = entries(&self.passwd).find(|fields| fields[0] == user || fields[2] == user);
        let number = |text: &str| text.parse().ok();
        let uid = entry.as_ref().and_then(|fields| number(fields[2])).or_else(|| number(user))?;
        let own = || entry.as_ref().and_then(|fields| number(fields[3])).unwrap_or(uid);
        let gid = match group {
            None => own(),
            Some(group) => {
                let entry = entries(&self.group).find(|fields| fields[0] == group);
                entry.and_then(|fields| number(fields[2])).or_else(|| number(group))?
            }
        };
        Some(User { uid, gid })
    }

    /// A user's home; `/` where none is known.
    fn home(&self, uid: u32) -> String {
        let uid = uid.to_string();
        let entry = entries(&self.passwd).find(|fields| fields[2] == uid);
        entry
            .and_then(|fields| fields.get(5).map(|home| (*home).to_owned()))
            .unwrap_or("/".to_owned())
    }
}

/// The lines of `/etc/passwd` or `/etc/group` that have fields as such lines have.
fn entries(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.filter(|fields| fields.len() >= 4)
}

#[cfg(test)]
mod tests {
    use model::service::{ServiceSpec, StartSpec};

    use super::*;

    fn instance(start: StartSpec) -> InstanceSpec {
        let text = include_str!("../../../../services/object-store.toml");
        let spec: ServiceSpec = config_file::from_toml("store.toml", text).unwrap();
        InstanceSpec { start, ..spec.instance }
    }

    fn image(start: ImageStart) -> (tempfile::TempDir, Image) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("etc")).unwrap();
        let passwd = "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:w:/var/www:/bin/false\n";
        fs::write(folder.path().join("etc/passwd"), passwd).unwrap();
        fs::write(folder.path().join("etc/group"), "www-data:x:33:\ntape:x:26:\n").unwrap();
        let image = Image {
            folder: folder.path().to_owned(),
            bases: Vec::new(),
            digest: String::new(),
            start,
        };
        (folder, image)
    }

    fn user(text: &str) -> Result<User, TemplateError> {
        let (_folder, image) = image(ImageStart::Command(vec!["/app".to_owned()]));
        let spec = StartSpec { user: Some(text.to_owned()), ..StartSpec::default() };
        resolve(&instance(spec), &image, BTreeMap::new()).map(|start| start.user)
    }

    #[test]
    fn a_user_is_one_of_the_image_by_name_or_number() {
        let found = |text: &str| user(text).map(|user| (user.uid, user.gid)).unwrap();
        assert_eq!(found("www-data"), (33, 33));
        assert_eq!(found("33:tape"), (33, 26));
        assert_eq!(found("1000"), (1000, 1000));
        assert_eq!(found("1000:5"), (1000, 5));
        let error = user("nobody").unwrap_err().to_string();
        assert!(error.contains("instance.user"), "{error}");
        assert!(user("www-data:nogroup").is_err() && user("4294967296").is_err());
    }

    #[test]
    fn a_user_may_be_one_of_what_the_image_stands_on() {
        let (base, mut image) = image(ImageStart::Command(vec!["/app".to_owned()]));
        let above = tempfile::tempdir().unwrap();
        image.folder = above.path().to_owned();
        image.bases = vec![base.path().to_owned()];
        let user = |image: &Image, text: &str| {
            let spec = StartSpec { user: Some(text.to_owned()), ..StartSpec::default() };
            resolve(&instance(spec), image, BTreeMap::new()).map(|start| start.user.uid)
        };
        assert_eq!(user(&image, "www-data").unwrap(), 33);
        fs::create_dir(above.path().join("etc")).unwrap();
        fs::write(above.path().join("etc/passwd"), "app:x:500:501::/srv:\n").unwrap();
        assert_eq!(user(&image, "app").unwrap(), 500);
        assert!(user(&image, "www-data").is_err(), "the base's is seen no more");
    }

    #[test]
    fn a_program_that_is_the_first_process_stays_it_until_the_file_says_something_of_it() {
        let (_folder, image) = image(ImageStart::Init("/bin/store --fast".to_owned()));
        let given: BTreeMap<_, _> = [("A".to_owned(), "x".to_owned())].into();
        let alone = resolve(&instance(StartSpec::default()), &image, given.clone()).unwrap();
        assert_eq!((alone.init.as_str(), alone.command), ("/bin/store --fast", None));
        let port = ("PORT".to_owned(), "8000".to_owned());
        assert_eq!(alone.environment, given.into_iter().chain([port]).collect());
        let spec = StartSpec { user: Some("www-data".to_owned()), ..StartSpec::default() };
        let start = resolve(&instance(spec), &image, BTreeMap::new()).unwrap();
        assert_eq!(start.init, "/etc/bellows/bellows-init");
        insta::assert_snapshot!(start.command.unwrap(), @r#"{"command":["/bin/store","--fast"],"environment":{"HOME":"/var/www","LANG":"C.UTF-8","PATH":"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","PORT":"8000"},"working_folder":"/"}"#);
    }

    #[test]
    fn the_services_file_has_the_last_word_on_the_environment() {
        let (_folder, image) = image(ImageStart::Command(vec!["/app".to_owned()]));
        let environment = [("PATH", "/opt"), ("A", "\"x\"\n")];
        let environment =
            environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let spec = StartSpec { environment, ..StartSpec::default() };
        let given = [("A", "the host's"), ("B", "the host's")];
        let given = given.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let start = resolve(&instance(spec), &image, given).unwrap();
        assert!(start.environment.is_empty());
        let json = start.command.unwrap();
        insta::assert_snapshot!(json, @r#"{"command":["/app"],"environment":{"A":"\"x\"\n","B":"the host's","HOME":"/root","LANG":"C.UTF-8","PATH":"/opt","PORT":"8000"},"working_folder":"/"}"#);
    }

    #[test]
    fn an_application_finds_its_port_its_folder_and_its_programs() {
        let (_folder, image) = image(ImageStart::Application {
            command: vec!["gunicorn".to_owned()],
            environment: [("PATH".to_owned(), "/srv/venv/bin:/bin".to_owned())].into(),
            working_folder: "/srv/app".to_owned(),
        });
        let json = resolve(&instance(StartSpec::default()), &image, BTreeMap::new());
        let json = json.unwrap().command.unwrap();
        insta::assert_snapshot!(json, @r#"{"command":["gunicorn"],"environment":{"HOME":"/root","LANG":"C.UTF-8","PATH":"/srv/venv/bin:/bin","PORT":"8000"},"working_folder":"/srv/app"}"#);
        let environment = [("PORT".to_owned(), "1".to_owned())].into();
        let spec =
            StartSpec { environment, working_folder: Some("/".to_owned()), ..StartSpec::default() };
        let json = resolve(&instance(spec), &image, BTreeMap::new()).unwrap().command.unwrap();
        assert!(
            json.contains(r#""PORT":"1""#) && json.contains(r#""working_folder":"/"}"#),
            "{json}"
        );
    }

    #[test]
    fn a_release_command_is_run_by_our_init_and_makes_another_version() {
        let text = include_str!("../../../../services/object-store.toml");
        let text = format!("release = \"./migrate\"\n{text}");
        let spec: ServiceSpec = config_file::from_toml("store.toml", &text).unwrap();
        let (_folder, image) = image(ImageStart::Init("/bin/store".to_owned()));
        let json = resolve(&spec.instance, &image, BTreeMap::new()).unwrap().command.unwrap();
        assert!(json.ends_with(r#","release":["./migrate"]}"#), "{json}");
        let without = InstanceSpec { start: StartSpec::default(), ..spec.instance };
        assert_eq!(resolve(&without, &image, BTreeMap::new()).unwrap().command, None);
    }

    #[test]
    fn a_release_command_that_needs_a_shell_is_refused_where_the_image_has_none() {
        let text = include_str!("../../../../services/object-store.toml");
        let text = format!("release = \"./migrate && ./seed\"\n{text}");
        let spec: ServiceSpec = config_file::from_toml("store.toml", &text).unwrap();
        let (folder, image) = image(ImageStart::Init("/bin/store".to_owned()));
        let resolved = || resolve(&spec.instance, &image, BTreeMap::new());
        let told = resolved().unwrap_err().to_string();
        assert!(told.starts_with("release is `./migrate && ./seed`, which is a line"), "{told}");
        // As Debian's userland has it: `bin` is a link to `usr/bin`.
        fs::create_dir_all(folder.path().join("usr/bin")).unwrap();
        std::os::unix::fs::symlink("dash", folder.path().join("usr/bin/sh")).unwrap();
        assert!(resolved().is_ok());
    }

    #[test]
    fn a_secret_in_the_environment_is_read_from_its_file_by_our_init() {
        let (_folder, image) = image(ImageStart::Init("/bin/store".to_owned()));
        let secret = |name: &str, environment: Option<&str>| SecretSpec {
            name: name.parse().unwrap(),
            environment: environment.map(str::to_owned),
        };
        let with = |secrets| InstanceSpec { secrets, ..instance(StartSpec::default()) };
        let file_alone =
            resolve(&with(vec![secret("key", None)]), &image, BTreeMap::new()).unwrap();
        assert_eq!(file_alone.command, None);
        let both = with(vec![secret("key", None), secret("db", Some("DB"))]);
        let start = resolve(&both, &image, BTreeMap::new());
        let json = start.unwrap().command.unwrap();
        assert!(json.contains(r#","environment_files":{"DB":"/run/secrets/db"},"#), "{json}");
    }
}
