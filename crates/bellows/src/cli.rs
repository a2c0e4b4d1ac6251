//! The command line: what may be typed, and what `--help` says of it.

mod arguments;

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use command_line::numbers;
use host::units::{Limits, ListenSocket};
use model::job::JobId;
use model::names::ServiceName;
use model::version::Version;

pub(crate) use self::arguments::{
    CompletedShell, Cost, Events, InstancesCommand, Logs, PolicyArgs, PolicyCommand, PreviewArgs,
    Scale, SecretCommand, TokenCommand, Way,
};

/// Exit codes, as `--help` shows them.
const EXIT_CODES: &str = "\
Exit codes:
  0  it worked
  1  it ran and failed; the message says what to do
  2  bad input: the command line, bellows.toml or a service's file; nothing was changed

A message begins with a code, such as error[scaler-away]; `bellows help CODE` explains it.";

/// Autoscaled web applications on one Linux host
#[derive(Debug, Parser)]
#[command(name = "bellows", version, about, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where the installation's own files are.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The folder that holds bellows.toml, services/ and rootfs/; default for `up`, `validate` and `doctor`: this one
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) tree: Option<PathBuf>,
    /// The host's settings; default: bellows.toml in the tree, and for all other commands those that are deployed
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
}

impl Place {
    /// The tree's folder: the current one, unless another one is named.
    pub(crate) fn tree(&self) -> &Path {
        self.tree.as_deref().unwrap_or(Path::new("."))
    }

    /// Whether somebody said where the settings are. The current folder may be anybody's, such as that of an
    /// application, whose bellows.toml is a service's file.
    pub(crate) const fn is_named(&self) -> bool {
        self.tree.is_some() || self.settings.is_some()
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say whether this machine can run Bellows: every problem at once, each with its cure
    Doctor {
        /// The same as JSON
        #[arg(long)]
        json: bool,
    },
    /// Say what is wrong with bellows.toml and the services' files: everything at once; nothing is changed
    Validate {
        /// The same as JSON
        #[arg(long)]
        json: bool,
    },
    /// Bring the system up; run again, it changes only what is not as it should be
    Up {
        /// Start nothing when the machine boots
        #[arg(long)]
        no_boot: bool,
    },
    /// Deploy an application from its folder: make its image, prove it, bring it in, or go back
    ///
    /// Nothing has to be written for it: what is found and chosen is told, with the line of a bellows.toml in the
    /// folder that would change it. It goes on when the terminal is closed, and `status` shows it.
    Deploy {
        /// The application's folder
        folder: PathBuf,
        /// What the service is called; default: as its bellows.toml says, or as the folder is called
        #[arg(long)]
        name: Option<ServiceName>,
    },
    /// Remove a service that was deployed from a folder or by the API, with its versions, secrets and caches
    ///
    /// What it keeps in folders of the host stays unless --data is there. Of a service whose deploy came to nothing, and of
    /// one that is gone, what is left is removed.
    Destroy {
        /// The service
        service: ServiceName,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Remove its data as well: the folder of its own, and those that it mounts and no other service does
        #[arg(long)]
        data: bool,
    },
    /// Free the disk of what nothing needs: images, caches, old releases, what failed deploys left
    ///
    /// It shows first what it would free, and asks. What is in use stays.
    Prune {
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Remove what builds keep for services that are deployed, too: the next ones take longer
        #[arg(long)]
        caches: bool,
        /// Show what could be freed as JSON, and free nothing
        #[arg(long, conflicts_with = "yes")]
        json: bool,
    },
    /// Write what `deploy` would choose into a bellows.toml in an application's folder
    Init {
        /// The application's folder
        folder: PathBuf,
        /// What the service is called; default: as the folder is called
        #[arg(long)]
        name: Option<ServiceName>,
    },
    /// Take the system down and remove what Bellows made; stored objects stay
    Down,
    /// Show the programs, services and instances, and the last decisions
    Status {
        /// The same as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what the instances of a service wrote, the newest last
    Logs(Logs),
    /// Say what was observed of a service, what its policies asked for, and what became of it
    ///
    /// Of its last turn, or with --at of the last one that is kept up to then. A turn is kept when something changed,
    /// or was to change and could not.
    Explain {
        /// The service
        service: ServiceName,
        /// So long ago, such as 10m or 2h, or a time such as 2026-11-29T12:00:00Z
        #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
        at: Option<String>,
        /// The same as JSON
        #[arg(long)]
        json: bool,
    },
    /// Say what stands between a service and so many ready instances, and what would have to change
    WhyNot {
        /// The service
        service: ServiceName,
        /// How many ready instances, 0 to 750
        #[arg(value_name = "N", value_parser = numbers::whole::<u32>)]
        ready: u32,
        /// The same as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the policy of a service as TOML, set it while it runs, or check or preview one that could be set
    Policy(PolicyArgs),
    /// Show the bounds of a service as TOML, or set them while it runs
    Bounds {
        /// The service
        service: ServiceName,
        /// The fewest and the most ready instances, or `default` for what the service's own file
        /// says
        #[arg(value_names = ["MIN", "MAX"], num_args = 0..=2, allow_negative_numbers = true)]
        bounds: Vec<String>,
        /// Show them as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a line for each service: what is ready, what bounds it, what is held, and how it fares
    Services {
        /// The same as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show all of that as it changes, on the whole terminal: services, instances and what happens
    Top,
    /// Show what happened, as sentences: decisions, launches, ends, and who changed what
    Events(Events),
    /// Show what instances ran and cost: launches, the time that is charged, and its price
    ///
    /// It is as the ledger has it, over restarts of the scaler and of the host. Every second that an instance begins is charged,
    /// at the price of its size or of its service's file, in whatever currency that is.
    Cost(Cost),
    /// Show what holds for the number of a service's instances, or hold one for a time
    Scale(Scale),
    /// Show the instances, of all services or of one; add one, or remove one
    #[command(args_conflicts_with_subcommands = true)]
    Instances {
        /// The service; without it, all
        service: Option<ServiceName>,
        /// The same as JSON
        #[arg(long)]
        json: bool,
        #[command(subcommand)]
        what: Option<InstancesCommand>,
    },
    /// Show how HAProxy learns of instances, or set it while the system runs
    Membership {
        /// The way
        way: Option<Way>,
        /// Show it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Make, list or revoke the tokens with which a program may ask the scaler for changes
    Token {
        #[command(subcommand)]
        what: TokenCommand,
    },
    /// Set, list or remove the secrets of a service
    Secret {
        #[command(subcommand)]
        what: SecretCommand,
    },
    /// List the versions of a service that are kept, the one that was deployed last first
    Versions {
        /// The service
        service: ServiceName,
        /// The same as JSON
        #[arg(long)]
        json: bool,
    },
    /// Go back to the version of a service that served before, or to any that is kept
    ///
    /// Its template is kept, so nothing is built, and it is proved and rolled out as any version. Its instances
    /// are given what they were given then, secrets included. What Bellows alone reads (route, bounds, policy
    /// and the like) stays as it is, unless --revision is there. The next `bellows up` deploys what the
    /// service's file says.
    Rollback {
        /// The service
        service: ServiceName,
        /// One that `versions` lists
        version: Option<Version>,
        /// Take back all that the service's file said then
        #[arg(long)]
        revision: bool,
    },
    /// Record a stretch of a service's turns, with every input of their decisions
    ///
    /// It holds what was observed, decided and planned, and nothing that programs are told or write. `replay` decides
    /// it again, on any machine. Ctrl-C ends it sooner, and what was recorded by then is kept.
    Record {
        /// The service
        service: ServiceName,
        /// Where it is written; no file that is there is written over
        file: PathBuf,
        /// For how long, such as 60s or 10m
        #[arg(
            long = "for",
            value_name = "TIME",
            default_value = "60s",
            allow_hyphen_values = true
        )]
        span: String,
    },
    /// Decide a recording again, and say whether each decision and plan is the same
    ///
    /// It ends with 1 where one is not, and says which and how. With another policy it shows what that would have asked
    /// for beside what was decided, of the load and the instances that there were.
    Replay {
        /// What `record` wrote
        file: PathBuf,
        /// `policy=NAME`: a policy's name, that of a file in loadgen/policies, or any file that ends in .toml
        #[arg(value_name = "policy=NAME")]
        policy: Option<String>,
        /// The same as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show who changed what, the newest last
    Changes {
        /// The same as JSON
        #[arg(long)]
        json: bool,
    },
    /// Say what a command does, or what the code of a message means and what to do
    Help {
        /// A command, or a code such as scaler-away; `codes` lists the codes
        #[arg(value_name = "COMMAND|CODE")]
        words: Vec<String>,
    },
    /// Print the link that logs a browser in to the console, or the address of a service
    ///
    /// The link is of use once, within two minutes, and for whoever has it; who is no operator is given one that logs nobody
    /// in. Where there is a desktop and no code in it, a browser shows the address.
    Open {
        /// The service; without it, the console
        service: Option<ServiceName>,
        /// The same as JSON
        #[arg(long)]
        json: bool,
    },
    /// Write what a report of a fault needs into one file, without secrets
    ///
    /// It works while the scaler is away, and says what is in it and what is not. Root sees more than others.
    Support {
        /// Where it is written; no file that is there is written over; default: bellows-support-TIME.tar.gz
        file: Option<PathBuf>,
        /// Put in what instances wrote, which may hold anything
        #[arg(long)]
        output: bool,
    },
    /// Print what completes this command in a shell; `up` installs it for all three
    Completions {
        /// The shell
        shell: CompletedShell,
    },
    /// Carry out a job that was asked for
    #[command(hide = true)]
    Job {
        /// Its id
        id: JobId,
    },
    /// Make the host ready after a boot, for what is started then
    #[command(hide = true)]
    Boot,
    /// Keep a program running: used by `up` where there is no systemd
    #[command(hide = true)]
    Supervise {
        /// The run folder, where its lock and its log are
        #[arg(long, value_name = "DIR")]
        run: PathBuf,
        /// Whom the program runs as; root unless it is named
        #[arg(long, value_name = "USER")]
        user: Option<String>,
        /// What the program may take, such as 256MiB,64tasks,2048files
        #[arg(long, value_name = "LIMITS")]
        limits: Option<Limits>,
        /// What the program inherits open: a socket that it listens on, as VARIABLE=ADDRESS:PORT, or a pipe, as VARIABLE=/PATH
        #[arg(long = "socket", value_name = "SOCKET")]
        sockets: Vec<ListenSocket>,
        /// The unit's name
        name: String,
        /// The program and its arguments
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
}

#[cfg(test)]
mod tests;
