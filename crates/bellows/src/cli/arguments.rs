//! What some of the commands are told.

use clap::{Args, Subcommand, ValueEnum};
use clap_complete::Shell;
use command_line::numbers;
use model::access::{Right, TokenTime};
use model::hold::HoldTime;
use model::names::{InstanceName, SecretName, ServiceName, TokenName};
use model::status::Membership;
use scaler_client::Lately;

use crate::{scale, set, token};

/// What to show of what happened.
#[derive(Debug, Args)]
pub(crate) struct Events {
    /// The service; without it, all, and what is the host's
    pub(crate) service: Option<ServiceName>,
    /// Only what happened since then: so long ago, such as 10m or 2h, or a time such as 2026-11-29T12:00:00Z; default: an
    /// hour ago
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    pub(crate) since: Option<String>,
    /// Go on with what happens, until it is ended
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// The same as JSON; with --follow, a line each
    #[arg(long)]
    pub(crate) json: bool,
}

/// Of which service to show what its instances ran and cost, and since when.
#[derive(Debug, Args)]
pub(crate) struct Cost {
    /// The service, deployed still or not; without it, all that had instances
    pub(crate) service: Option<ServiceName>,
    /// Only what ran since then: so long ago, such as 12h or 7d, or a time such as 2026-11-29T12:00:00Z; default: since the
    /// ledger begins
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    pub(crate) since: Option<String>,
    /// The same as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// The same as CSV, a line for each service
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
}

/// Which policy, of which service. `policy SERVICE` is `policy get`, and `policy SERVICE POLICY` is `policy set`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct PolicyArgs {
    /// The service
    #[arg(required = true)]
    pub(crate) service: Option<ServiceName>,
    /// A policy's name, that of a file in loadgen/policies, any file that ends in .toml, or
    /// `default` for what the service's own file says
    pub(crate) policy: Option<String>,
    /// Show it as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) what: Option<PolicyCommand>,
}

/// What to do with a policy.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Show the policy in force as TOML that a file can hold
    Get {
        /// The service
        service: ServiceName,
        /// Show it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Set another one while the service runs
    Set {
        /// The service
        service: ServiceName,
        /// A policy's name, that of a file in loadgen/policies, any file that ends in .toml, or
        /// `default` for what the service's own file says
        policy: String,
        /// Show it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Say what would be refused of one, and where; nothing is changed
    Check {
        /// The service
        service: ServiceName,
        /// A policy's name, that of a file in loadgen/policies, any file that ends in .toml, or
        /// `default` for what the service's own file says
        policy: String,
        /// Show it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Say what one would have run under the load that was, beside what ran; nothing is changed
    ///
    /// It is computed by the console, of the load that it remembers: the scaler's own loop on a simulated host.
    Preview(PreviewArgs),
}

/// What a policy is to be tried on.
#[derive(Debug, Args)]
pub(crate) struct PreviewArgs {
    /// The service
    pub(crate) service: ServiceName,
    /// A policy's name, that of a file in loadgen/policies, any file that ends in .toml, or
    /// `default` for what the service's own file says
    pub(crate) policy: String,
    /// The load of the last minutes, 1m to 30m, or of the last hours, 1h to 24h
    #[arg(long = "for", value_name = "TIME", default_value = "10m", value_parser = set::policy::lately, allow_hyphen_values = true)]
    pub(crate) of: Lately,
    /// Show it as JSON, step by step
    #[arg(long)]
    pub(crate) json: bool,
}

/// How many ready instances to hold.
#[derive(Debug, Args)]
pub(crate) struct Scale {
    /// The service
    pub(crate) service: ServiceName,
    /// How many ready instances to hold, within its bounds, whatever its policy says
    #[arg(value_name = "N", value_parser = numbers::whole::<u32>, allow_negative_numbers = true)]
    pub(crate) ready: Option<u32>,
    /// For how long: 10s to 30d, such as 90s, 2h or 7d; default: an hour
    #[arg(long = "for", value_name = "TIME", requires = "ready", value_parser = scale::hold_time, allow_hyphen_values = true)]
    pub(crate) lasts: Option<HoldTime>,
    /// Give it back to its policy
    #[arg(long, conflicts_with = "ready")]
    pub(crate) auto: bool,
    /// Do not ask before a service that may have no instance is held at none
    #[arg(long, requires = "ready")]
    pub(crate) yes: bool,
    /// Show it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to do with the number of instances, or with one of them.
#[derive(Debug, Subcommand)]
pub(crate) enum InstancesCommand {
    /// Hold the service at one more than is decided now, for an hour
    Add {
        /// The service
        service: ServiceName,
    },
    /// Hold the service at one fewer for an hour, so that the idlest leaves; or have this one removed
    ///
    /// With an instance's name the number stays what it is: that one drains and is stopped, once another has taken its
    /// place where it is needed.
    Remove {
        /// The service
        service: ServiceName,
        /// The instance, as `instances` names it
        instance: Option<InstanceName>,
    },
}

/// Which lines to show.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// The service
    pub(crate) service: ServiceName,
    /// One of its instances, as `status` names it, also one that ended; without it, all
    pub(crate) instance: Option<InstanceName>,
    /// How many lines, 5000 at most
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 100, value_parser = numbers::whole::<usize>)]
    pub(crate) lines: usize,
    /// Only those since then: so long ago, such as 10m or 2h, or a time such as 2026-11-29T12:00:00Z
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    pub(crate) since: Option<String>,
    /// Go on with those that come, until it is ended
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// The same as JSON; with --follow, a line each
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token, and print its secret, which is not shown again
    Make {
        /// What it is for: 1 to 31 of a-z, 0-9 and `-`
        name: TokenName,
        /// What it may be used for: read, operate, deploy, all
        #[arg(long, value_delimiter = ',', required = true)]
        rights: Vec<Right>,
        /// The services that it is for; without it, the whole host
        #[arg(long, value_delimiter = ',', value_name = "SERVICE")]
        services: Option<Vec<ServiceName>>,
        /// For how long, such as 12h or 90d; without it, until it is revoked
        #[arg(long = "for", value_name = "TIME", value_parser = token::token_time, allow_hyphen_values = true)]
        lasts: Option<TokenTime>,
    },
    /// List the tokens with their ends, without their secrets
    List {
        /// The same as JSON
        #[arg(long)]
        json: bool,
    },
    /// Revoke a token: it is of no use from then on
    Revoke {
        /// Its name
        name: TokenName,
    },
}

/// What to do with secrets.
#[derive(Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// Set a secret to what comes on standard input
    ///
    /// It is kept as it comes, 65536 bytes at most, and in the instance it is the file /run/secrets/NAME. A
    /// variable of its environment that holds it has it without the end of the last line: after
    /// `echo hunter2 | bellows secret set shop db-password` the file ends with the line, and the variable
    /// does not. `printf %s hunter2` writes no end of a line. Instances are given it with the next
    /// `bellows up`, or the next deploy of its folder.
    Set {
        /// The service, which need not be deployed yet
        service: ServiceName,
        /// Its name: 1 to 64 of a-z, A-Z, 0-9, `-`, `_` and `.`
        name: SecretName,
    },
    /// List the secrets of a service with when and by whom they were set, without their values
    List {
        /// The service
        service: ServiceName,
        /// The same as JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a secret that the service's file does not name
    Remove {
        /// The service
        service: ServiceName,
        /// Its name
        name: SecretName,
    },
}

/// A shell that can complete the command.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum CompletedShell {
    Bash,
    Zsh,
    Fish,
}

impl CompletedShell {
    /// It, as what makes completions knows it.
    pub(crate) const fn shell(self) -> Shell {
        match self {
            Self::Bash => Shell::Bash,
            Self::Zsh => Shell::Zsh,
            Self::Fish => Shell::Fish,
        }
    }
}

/// How HAProxy learns of instances.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Way {
    /// Commands on its admin socket
    Runtime,
    /// A reload for every change
    Reload,
    /// What bellows.toml says
    Default,
}

impl Way {
    /// What is set; `None` for what the settings say.
    pub(crate) const fn membership(self) -> Option<Membership> {
        match self {
            Self::Runtime => Some(Membership::Runtime),
            Self::Reload => Some(Membership::Reload),
            Self::Default => None,
        }
    }
}
