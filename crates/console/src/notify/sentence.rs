//! The sentences by which people are told.

use host::settings::EpisodeKind;
use model::names::ServiceName;
use model::time::Timestamp;

use super::episodes::Episode;
use super::sign::Evidence;

/// What begins, and what to do.
pub(super) fn began(episode: &Episode) -> String {
    let name = name(episode);
    match episode.evidence {
        Evidence::AtMaximum { bound } => format!(
            "{name} has been at its upper bound of {bound} instances for 30 s and needs more: see `bellows why-not \
             {name} {}`, or raise bounds.max.",
            bound.saturating_add(1)
        ),
        Evidence::RepeatedReplacement => format!(
            "{name} lost 5 instances within 10 minutes, which died, gave no sign of life or did not get ready: see \
             `bellows events {name}` and `bellows logs {name}`."
        ),
        Evidence::FailedDeploy { tried } => format!(
            "version {} of {name} was given up: see `bellows events {name}`, then deploy another one or go back.",
            tried.version
        ),
        Evidence::FullDisk { free_mib, size_mib } => format!(
            "the disk of the state folder is nearly full, {free_mib} of {size_mib} MiB are free, or few files can be \
             made: see `bellows prune`, or make room."
        ),
    }
}

/// What is over, and after which time.
pub(super) fn ended(episode: &Episode, now: Timestamp) -> String {
    let (name, lasted) = (name(episode), lasted(episode, now));
    match episode.kind {
        EpisodeKind::AtMaximum => {
            format!("{name} has needed no more than its upper bound for 60 s, after {lasted}.")
        }
        EpisodeKind::RepeatedReplacement => {
            format!("{name} has lost no instance for 10 minutes, after {lasted}.")
        }
        EpisodeKind::FailedDeploy => {
            format!("another deploy of {name} is under way or serves, after {lasted}.")
        }
        EpisodeKind::FullDisk => {
            format!("the disk of the state folder has room again, after {lasted}.")
        }
    }
}

/// What ended with its service.
pub(super) fn gone(episode: &Episode, now: Timestamp) -> String {
    format!("{} is not deployed any more, after {}.", name(episode), lasted(episode, now))
}

fn name(episode: &Episode) -> &str {
    episode.service.as_ref().map_or("the host", ServiceName::as_str)
}

/// A time for people, cut to two units.
fn lasted(episode: &Episode, now: Timestamp) -> String {
    let seconds = now.since(episode.since).as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use model::version::{Version, Wanted};

    use super::*;

    fn all() -> Vec<Episode> {
        let tried = Wanted { version: Version::new(0xbad), deployed_at: Timestamp::default() };
        let episode = |kind, service: Option<&str>, evidence| Episode {
            kind,
            service: service.map(|name| name.parse().unwrap()),
            since: Timestamp::from_millis(1_000),
            evidence,
        };
        let store = Some("store");
        vec![
            episode(EpisodeKind::AtMaximum, store, Evidence::AtMaximum { bound: 10 }),
            episode(EpisodeKind::RepeatedReplacement, store, Evidence::RepeatedReplacement),
            episode(EpisodeKind::FailedDeploy, store, Evidence::FailedDeploy { tried }),
            episode(
                EpisodeKind::FullDisk,
                None,
                Evidence::FullDisk { free_mib: 400, size_mib: 9_000 },
            ),
        ]
    }

    #[test]
    fn each_kind_says_what_it_is_and_what_to_do_and_its_end_how_long_it_was() {
        let texts: Vec<_> = all().iter().map(began).collect();
        insta::assert_snapshot!(texts.join("\n"), @"
        store has been at its upper bound of 10 instances for 30 s and needs more: see `bellows why-not store 11`, or raise bounds.max.
        store lost 5 instances within 10 minutes, which died, gave no sign of life or did not get ready: see `bellows events store` and `bellows logs store`.
        version 00000bad of store was given up: see `bellows events store`, then deploy another one or go back.
        the disk of the state folder is nearly full, 400 of 9000 MiB are free, or few files can be made: see `bellows prune`, or make room.
        ");
        let after = |seconds: u64| Timestamp::from_millis(1_000 + seconds * 1_000);
        let ends = [7, 67, 3_599, 7_260];
        let texts: Vec<_> =
            all().iter().zip(ends).map(|(episode, s)| ended(episode, after(s))).collect();
        insta::assert_snapshot!(texts.join("\n"), @"
        store has needed no more than its upper bound for 60 s, after 7 s.
        store has lost no instance for 10 minutes, after 1 min 7 s.
        another deploy of store is under way or serves, after 59 min 59 s.
        the disk of the state folder has room again, after 2 h 1 min.
        ");
        insta::assert_snapshot!(gone(&all()[0], after(86_400)), @"store is not deployed any more, after 24 h 0 min.");
    }
}
