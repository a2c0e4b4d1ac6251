use clap::CommandFactory;

use super::*;

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

/// Read by its name, one would be taken for the other, which is found when the command runs.
#[test]
fn no_command_has_an_argument_of_the_name_of_one_that_all_have() {
    let cli = Cli::command();
    let all: Vec<_> =
        cli.get_arguments().filter(|it| it.is_global_set()).map(clap::Arg::get_id).collect();
    assert_eq!(all, ["tree", "settings"]);
    for command in cli.get_subcommands() {
        let taken = command.get_arguments().find(|own| all.contains(&own.get_id()));
        assert!(taken.is_none(), "{}: {taken:?}", command.get_name());
    }
}

#[test]
fn a_number_is_held_for_a_time_or_given_back_and_not_both() {
    let scale = |words: &[&str]| {
        let words = ["bellows", "scale", "shop"].iter().chain(words);
        match Cli::try_parse_from(words).map(|cli| cli.command) {
            Ok(Command::Scale(scale)) => Ok(scale),
            Ok(_) => panic!("another command"),
            Err(error) => Err(error.to_string()),
        }
    };
    let Scale { ready, lasts, auto, .. } = scale(&["4", "--for", "2h"]).unwrap();
    assert_eq!((ready, lasts.unwrap().span().as_secs(), auto), (Some(4), 7200, false));
    assert!(scale(&["--auto"]).unwrap().auto);
    assert_eq!(scale(&[]).unwrap().ready, None);
    for words in [
        &["4", "--auto"][..],
        &["--for", "2h"],
        &["-1"],
        &["four"],
        &["4", "--for", "-2h"],
        &["4", "--for", "9s"],
        &["--yes"],
    ] {
        assert!(scale(words).is_err(), "{words:?}");
    }
}

#[test]
fn instances_are_shown_added_and_removed_by_one_command() {
    let instances = |words: &[&str]| {
        let words = ["bellows", "instances"].iter().chain(words);
        match Cli::try_parse_from(words).map(|cli| cli.command) {
            Ok(Command::Instances { service, what, .. }) => {
                Ok(format!("{:?} {what:?}", service.map(|name| name.to_string())))
            }
            Ok(_) => panic!("another command"),
            Err(error) => Err(error.to_string()),
        }
    };
    assert_eq!(instances(&[]).unwrap(), "None None");
    assert_eq!(instances(&["shop", "--json"]).unwrap(), "Some(\"shop\") None");
    assert!(instances(&["add", "shop"]).unwrap().starts_with("None Some(Add"));
    assert!(instances(&["remove", "shop", "bw-shop-1-a"]).unwrap().contains("bw-shop-1-a"));
    assert!(instances(&["remove", "shop"]).unwrap().contains("instance: None"));
    assert!(instances(&["remove"]).is_err());
    assert!(instances(&["remove", "shop", "1"]).is_err(), "which has no such form");
    // A service of that name is asked for behind two dashes.
    assert_eq!(instances(&["--", "add"]).unwrap(), "Some(\"add\") None");
}

#[test]
fn a_policy_is_shown_set_and_checked_and_the_short_spelling_means_the_same() {
    let policy = |words: &[&str]| {
        let words = ["bellows", "policy"].iter().chain(words);
        match Cli::try_parse_from(words).map(|cli| cli.command) {
            Ok(Command::Policy(PolicyArgs { service, policy, what, .. })) => {
                Ok(format!("{:?} {policy:?} {what:?}", service.map(|name| name.to_string())))
            }
            Ok(_) => panic!("another command"),
            Err(error) => Err(error.to_string()),
        }
    };
    assert_eq!(policy(&["shop"]).unwrap(), "Some(\"shop\") None None");
    assert_eq!(policy(&["shop", "hpa"]).unwrap(), "Some(\"shop\") Some(\"hpa\") None");
    assert!(policy(&["get", "shop", "--json"]).unwrap().starts_with("None None Some(Get"));
    assert!(policy(&["set", "shop", "default"]).unwrap().contains("policy: \"default\""));
    assert!(policy(&["check", "shop", "mine.toml"]).unwrap().starts_with("None None Some(Check"));
    let preview = policy(&["preview", "shop", "hpa", "--for", "2h"]).unwrap();
    assert!(preview.contains("Preview(") && preview.contains("of: Hours(2)"), "{preview}");
    assert!(policy(&["preview", "shop", "hpa"]).unwrap().contains("of: Minutes(10)"));
    for words in [
        &[][..],
        &["get"],
        &["set", "shop"],
        &["check", "shop"],
        &["preview", "shop"],
        &["preview", "shop", "hpa", "--for", "90s"],
    ] {
        assert!(policy(words).is_err(), "{words:?}");
    }
    // A service of that name is asked for behind two dashes.
    assert_eq!(policy(&["--", "get"]).unwrap(), "Some(\"get\") None None");
}

#[test]
fn help_tells_the_exit_codes_and_hides_what_is_internal() {
    insta::assert_snapshot!(Cli::command().render_help(), @r"
    Autoscaled web applications on one Linux host

    Usage: bellows [OPTIONS] <COMMAND>

    Commands:
      doctor       Say whether this machine can run Bellows: every problem at once, each with its cure
      validate     Say what is wrong with bellows.toml and the services' files: everything at once; nothing is changed
      up           Bring the system up; run again, it changes only what is not as it should be
      deploy       Deploy an application from its folder: make its image, prove it, bring it in, or go back
      destroy      Remove a service that was deployed from a folder or by the API, with its versions, secrets and caches
      prune        Free the disk of what nothing needs: images, caches, old releases, what failed deploys left
      init         Write what `deploy` would choose into a bellows.toml in an application's folder
      down         Take the system down and remove what Bellows made; stored objects stay
      status       Show the programs, services and instances, and the last decisions
      logs         Show what the instances of a service wrote, the newest last
      explain      Say what was observed of a service, what its policies asked for, and what became of it
      why-not      Say what stands between a service and so many ready instances, and what would have to change
      policy       Show the policy of a service as TOML, set it while it runs, or check or preview one that could be set
      bounds       Show the bounds of a service as TOML, or set them while it runs
      services     Show a line for each service: what is ready, what bounds it, what is held, and how it fares
      top          Show all of that as it changes, on the whole terminal: services, instances and what happens
      events       Show what happened, as sentences: decisions, launches, ends, and who changed what
      cost         Show what instances ran and cost: launches, the time that is charged, and its price
      scale        Show what holds for the number of a service's instances, or hold one for a time
      instances    Show the instances, of all services or of one; add one, or remove one
      membership   Show how HAProxy learns of instances, or set it while the system runs
      token        Make, list or revoke the tokens with which a program may ask the scaler for changes
      secret       Set, list or remove the secrets of a service
      versions     List the versions of a service that are kept, the one that was deployed last first
      rollback     Go back to the version of a service that served before, or to any that is kept
      record       Record a stretch of a service's turns, with every input of their decisions
      replay       Decide a recording again, and say whether each decision and plan is the same
      changes      Show who changed what, the newest last
      help         Say what a command does, or what the code of a message means and what to do
      open         Print the link that logs a browser in to the console, or the address of a service
      support      Write what a report of a fault needs into one file, without secrets
      completions  Print what completes this command in a shell; `up` installs it for all three

    Options:
          --tree <DIR>       The folder that holds bellows.toml, services/ and rootfs/; default for `up`, `validate` and `doctor`: this one
          --settings <FILE>  The host's settings; default: bellows.toml in the tree, and for all other commands those that are deployed
      -h, --help             Print help
      -V, --version          Print version

    Exit codes:
      0  it worked
      1  it ran and failed; the message says what to do
      2  bad input: the command line, bellows.toml or a service's file; nothing was changed

    A message begins with a code, such as error[scaler-away]; `bellows help CODE` explains it.
    ");
}
