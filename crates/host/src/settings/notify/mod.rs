//! Who is told when something begins that an operator would want to know, and when it ends.

mod mail_address;
mod webhook_url;

use std::collections::BTreeSet;

use config_file::{Checked, Invalid};
use serde::{Deserialize, Serialize};
use strum::IntoEnumIterator as _;

pub use mail_address::MailAddress;
pub use webhook_url::WebhookUrl;

/// Each webhook has a connection, a queue and a place in the metrics.
const WEBHOOKS_MAX: usize = 8;

/// One message goes to all of them: a longer list is a mailing list's business.
const MAIL_TO_MAX: usize = 8;

/// What an episode is about. The words are those of `bellows.toml`, of the messages and of the metrics.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::EnumIter,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum EpisodeKind {
    /// A service stands at its upper bound and needs more.
    AtMaximum,
    /// Instances of a service die, or do not get ready, and are replaced again and again.
    RepeatedReplacement,
    /// A version of a service was given up.
    FailedDeploy,
    /// The file system of the state folder is nearly full.
    FullDisk,
}

impl EpisodeKind {
    /// The word for it.
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// `[notify]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifySettings {
    /// Where messages are posted.
    pub webhooks: Vec<WebhookUrl>,
    /// Whom they are mailed to.
    pub mail_to: Vec<MailAddress>,
    /// What is told.
    pub kinds: BTreeSet<EpisodeKind>,
}

impl Default for NotifySettings {
    fn default() -> Self {
        Self { webhooks: Vec::new(), mail_to: Vec::new(), kinds: EpisodeKind::iter().collect() }
    }
}

/// `[notify]` as it is written.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawNotify {
    webhooks: Vec<String>,
    mail_to: Vec<String>,
    kinds: Option<Vec<String>>,
}

impl Checked for NotifySettings {
    type Raw = RawNotify;

    fn from_raw(raw: RawNotify) -> Result<Self, Invalid> {
        at_most("notify.webhooks", raw.webhooks.len(), WEBHOOKS_MAX)?;
        at_most("notify.mail_to", raw.mail_to.len(), MAIL_TO_MAX)?;
        let kinds = raw.kinds.map_or_else(|| Ok(EpisodeKind::iter().collect()), kinds)?;
        // The value is not quoted: it may hold a secret.
        let webhooks = each("notify.webhooks", &raw.webhooks)?;
        Ok(Self { webhooks, mail_to: each("notify.mail_to", &raw.mail_to)?, kinds })
    }
}

impl From<&NotifySettings> for RawNotify {
    fn from(settings: &NotifySettings) -> Self {
        let kinds = settings.kinds.iter().map(|kind| kind.word().to_owned());
        Self {
            webhooks: settings.webhooks.iter().map(|url| url.reveal().to_owned()).collect(),
            mail_to: settings.mail_to.iter().map(ToString::to_string).collect(),
            kinds: Some(kinds.collect()),
        }
    }
}

fn at_most(key: &'static str, count: usize, most: usize) -> Result<(), Invalid> {
    let value = format!("a list of {count}");
    config_file::check(count <= most, key, value, format!("at most {most}"))
}

fn kinds(words: Vec<String>) -> Result<BTreeSet<EpisodeKind>, Invalid> {
    let parse = |word: String| {
        let known: Vec<_> = EpisodeKind::iter().map(EpisodeKind::word).collect();
        let wrong = |_| Invalid::new("notify.kinds", format!("{word:?}"), known.join(", "));
        word.parse().map_err(wrong)
    };
    words.into_iter().map(parse).collect()
}

fn each<T>(list: &'static str, texts: &[String]) -> Result<Vec<T>, Invalid>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    let parse = |(index, text): (usize, &String)| {
        text.parse().map_err(|error| Invalid::form(format!("{list}[{index}]"), &error))
    };
    texts.iter().enumerate().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    fn read(text: &str) -> Result<NotifySettings, String> {
        let read = config_file::from_toml::<Settings>("b.toml", &format!("[notify]\n{text}"));
        read.map(|settings| settings.notify).map_err(|error| error.to_string())
    }

    #[test]
    fn nobody_is_told_unless_the_file_says_so_and_then_of_everything_but_what_it_leaves_out() {
        assert_eq!(read("").unwrap(), NotifySettings::default());
        assert_eq!(NotifySettings::default().kinds.len(), 4);
        let text = "webhooks = [\"https://a.example/x\"]\nmail_to = [\"ops@example.org\"]\n\
                    kinds = [\"full_disk\"]";
        let settings = read(text).unwrap();
        assert_eq!(settings.webhooks[0].reveal(), "https://a.example/x");
        assert_eq!(settings.mail_to[0].to_string(), "ops@example.org");
        assert_eq!(settings.kinds, BTreeSet::from([EpisodeKind::FullDisk]));
        assert!(read("kinds = []").unwrap().kinds.is_empty());
    }

    #[test]
    fn what_cannot_be_told_is_refused_with_its_place_and_a_webhook_is_not_quoted() {
        let refused = |text: &str| read(text).unwrap_err();
        insta::assert_snapshot!(refused("kinds = [\"all\"]"), @r#"b.toml, line 2: notify.kinds is "all": use at_maximum, repeated_replacement, failed_deploy, full_disk"#);
        insta::assert_snapshot!(refused("mail_to = [\"ops\"]"), @"b.toml, line 2: notify.mail_to[0]: `ops` is no mail address: write one as ops@example.org, without a name before it");
        let text = "webhooks = [\"https://a.example\", \"http://b.example/SECRET\"]";
        insta::assert_snapshot!(refused(text), @"b.toml, line 2: notify.webhooks[1]: it is http:// to another host, by which everybody on the way reads what its path may hold as a secret: use https://, or http:// to localhost or to a loopback or private address");
        let text = format!("webhooks = {:?}", vec!["https://a.example"; 9]);
        insta::assert_snapshot!(refused(&text), @"b.toml, line 2: notify.webhooks is a list of 9: use at most 8");
    }
}
