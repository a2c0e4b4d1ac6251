//! `bellows policy`, `bellows bounds` and `bellows membership`: what an operator sets while the
//! system runs.

pub(crate) mod policy;

use anyhow::anyhow;
use command_line::numbers;
use command_line::policies::DEFAULT;
use command_line::terminal;
use host::settings::Settings;
use model::bounds::Bounds;
use model::names::ServiceName;
use model::output::harmless;
use model::status::{MembershipStatus, ServiceStatus};
use scaler_client::Setting;
use serde::Serialize;

use crate::cli::Way;
use crate::error::BadInput;
use crate::json::{self, FORMAT};
use crate::scaler;

/// Shows the bounds of a service, once they are what the words say.
pub(crate) async fn bounds(
    settings: &Settings,
    service: &ServiceName,
    words: &[String],
    json: bool,
) -> anyhow::Result<()> {
    let setting = bounds_setting(service, words)?;
    let status = carry_out(settings, service, setting).await?;
    let shown = Shown::of(Some(service), &status.bounds, status.set.bounds.as_ref());
    if json {
        return json::print(&shown);
    }
    let command = format!("bounds {service}");
    let set = Origin::of(shown.set, shown.in_force);
    let origin = origin(&command, &file_of(service), set);
    terminal::tell(format_args!(
        "{origin}min = {}\nmax = {}\n",
        status.bounds.min(),
        status.bounds.max()
    ))?;
    Ok(())
}

/// Shows how HAProxy learns of members, once it is what the word says.
pub(crate) async fn membership(
    settings: &Settings,
    way: Option<Way>,
    json: bool,
) -> anyhow::Result<()> {
    let scaler = scaler::client(settings)?;
    if let Some(way) = way {
        scaler.set(&Setting::Membership(way.membership())).await?;
    }
    let MembershipStatus { membership, set } = scaler.membership().await?;
    if json {
        return json::print(&Shown::of(None, &membership, set.as_ref()));
    }
    let origin = origin("membership", "bellows.toml", Origin::of(set.as_ref(), &membership));
    terminal::tell_line(format_args!("{origin}membership = \"{membership}\""))?;
    Ok(())
}

/// What is in force, as programs are told of it.
#[derive(Debug, Serialize)]
struct Shown<'a, T> {
    format: u32,
    /// Null for what is the whole host's.
    service: Option<&'a ServiceName>,
    in_force: &'a T,
    /// What was set while it runs; null where nothing was. Where it is not what is in force, it waits.
    set: Option<&'a T>,
}

impl<'a, T> Shown<'a, T> {
    const fn of(service: Option<&'a ServiceName>, in_force: &'a T, set: Option<&'a T>) -> Self {
        Self { format: FORMAT, service, in_force, set }
    }
}

/// Where what is in force comes from.
#[derive(Debug, Clone, Copy)]
enum Origin {
    File,
    Set,
    /// From the file, since what was set does not go with that.
    FileInstead,
}

impl Origin {
    fn of<T: PartialEq>(set: Option<&T>, in_force: &T) -> Self {
        match set {
            None => Self::File,
            Some(set) if set == in_force => Self::Set,
            Some(_) => Self::FileInstead,
        }
    }
}

/// A line of TOML above what is in force; `command` is the one that sets it.
fn origin(command: &str, file: &str, origin: Origin) -> String {
    let back = format!("`bellows {command} {DEFAULT}`");
    match origin {
        Origin::File => format!("# as {file} says\n"),
        Origin::Set => format!("# set while it runs; {back} goes back to what {file} says\n"),
        Origin::FileInstead => format!(
            "# as {file} says: what was set while it runs does not go with that and waits; {back} forgets it\n"
        ),
    }
}

fn file_of(service: &ServiceName) -> String {
    format!("the file of {service}")
}

async fn carry_out(
    settings: &Settings,
    service: &ServiceName,
    setting: Option<Setting<'_>>,
) -> anyhow::Result<ServiceStatus> {
    let scaler = scaler::client(settings)?;
    scaler::known(&scaler, service).await?;
    if let Some(setting) = setting {
        scaler.set(&setting).await?;
    }
    Ok(scaler.service(service.as_str()).await?)
}

/// The bounds that the words stand for; `None` without words.
fn bounds_setting<'a>(
    service: &'a ServiceName,
    words: &[String],
) -> Result<Option<Setting<'a>>, BadInput> {
    let form = || {
        BadInput::new(anyhow!(
            "the bounds are `{}`: use MIN MAX, such as 1 10, or `{DEFAULT}` for what the service's \
             own file says",
            harmless(&words.join(" "))
        ))
    };
    let bounds = match words {
        [] => return Ok(None),
        [word] if word == DEFAULT => None,
        [min, max] => {
            let number = |word: &String| numbers::whole(word).map_err(|_| form());
            Some(Bounds::new(number(min)?, number(max)?).map_err(BadInput::new)?)
        }
        _ => return Err(form()),
    };
    Ok(Some(Setting::Bounds(service.as_str(), bounds)))
}

#[cfg(test)]
mod tests {
    use model::status::Membership;

    use super::*;

    fn store() -> ServiceName {
        "store".parse().unwrap()
    }

    #[test]
    fn what_was_set_names_the_way_back() {
        let told = origin("policy store", &file_of(&store()), Origin::of(Some(&2), &2));
        let back = "# set while it runs; `bellows policy store default` goes back to what the file of \
                    store says\n";
        assert_eq!(told, back);
        let of_file = origin("membership", "bellows.toml", Origin::of(None, &2));
        assert_eq!(of_file, "# as bellows.toml says\n");
        let waits = origin("policy store", &file_of(&store()), Origin::of(Some(&1), &2));
        let told = "# as the file of store says: what was set while it runs does not go with that and waits; \
                    `bellows policy store default` forgets it\n";
        assert_eq!(waits, told);
    }

    #[test]
    fn programs_are_told_what_is_in_force_and_what_was_set() {
        let (store, bounds) = (store(), Bounds::new(1, 4).unwrap());
        let told = |shown| serde_json::to_string(&shown).unwrap();
        let set = told(Shown::of(Some(&store), &bounds, Some(&bounds)));
        let bounds = r#"{"min":1,"max":4}"#;
        let expected =
            format!(r#"{{"format":1,"service":"store","in_force":{bounds},"set":{bounds}}}"#);
        assert_eq!(set, expected);
        let way = Membership::Runtime;
        let of_host = serde_json::to_string(&Shown::of(None, &way, None)).unwrap();
        assert_eq!(of_host, r#"{"format":1,"service":null,"in_force":"runtime","set":null}"#);
    }

    #[test]
    fn bounds_are_two_numbers_or_those_of_the_file() {
        let store = store();
        let setting = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            bounds_setting(&store, &words).map_err(|error| error.to_string())
        };
        let bounds = Bounds::new(2, 4).unwrap();
        assert_eq!(setting(&[]), Ok(None));
        assert_eq!(setting(&["default"]), Ok(Some(Setting::Bounds("store", None))));
        assert_eq!(setting(&["2", "4"]), Ok(Some(Setting::Bounds("store", Some(bounds)))));
        for words in [&["2"][..], &["file"], &["a", "4"], &["-1", "4"], &["+3", "5"]] {
            let told = format!("the bounds are `{}`: use MIN MAX", words.join(" "));
            assert!(setting(words).unwrap_err().contains(&told), "{words:?}");
        }
        assert!(setting(&["5", "4"]).unwrap_err().contains("bounds.min is 5, above bounds.max, 4"));
    }
}
