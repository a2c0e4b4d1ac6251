//! A service's file: what an operator says of a service, validated.

pub(crate) mod figures;
mod policy;
mod raw;

use std::borrow::Cow;
use std::time::Duration;

pub use self::policy::PolicySpec;

use crate::bounds::{Bounds, BoundsError};
use crate::names::{ImageName, NameError, ServiceName};
use crate::paths::{HealthPath, PathError, PathPrefix};
use crate::rules::Rules;

/// A service, as described by its file in `services/`.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceSpec {
    /// Its name, unique on the host.
    pub name: ServiceName,
    /// The recipe in `rootfs/` that makes its image.
    pub image: ImageName,
    /// Requests whose path starts with this go to the service; the longest match wins.
    pub path_prefix: PathPrefix,
    /// What an instance is given.
    pub instance: InstanceSpec,
    /// What an instance can do.
    pub capacity: Capacity,
    /// How many ready instances there may be, until an operator sets others.
    pub bounds: Bounds,
    /// How the number of ready instances is chosen.
    pub policy: PolicySpec,
    /// What holds back more instances.
    pub scale_out: Rules,
    /// How instances leave.
    pub scale_in: ScaleIn,
    /// The service's own configuration, handed to each instance as `/etc/bellows/service.toml`.
    pub application: toml::Table,
}

/// What an instance of a service is given.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceSpec {
    /// TCP port that it serves HTTP on.
    pub port: u16,
    /// `GET` of this path answers 200 when the instance can serve.
    pub health_path: HealthPath,
    /// Memory limit in MiB.
    pub memory_mib: u32,
    /// Share of CPU time in cores.
    pub cpus: f64,
    /// Limit on processes and threads.
    pub processes: u32,
    /// Folders of the host that are mounted in it.
    pub mounts: Vec<Mount>,
}

/// A folder below the state directory, mounted in every instance of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Name of the folder below the state directory.
    pub source: String,
    /// Absolute path in the instance.
    pub target: String,
}

/// What one instance of a service can do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Capacity {
    /// Requests per second that it serves within the objective.
    pub requests_per_second: f64,
    /// Requests that it is given at once; the load balancer queues the rest.
    pub concurrency: u32,
}

/// How instances leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScaleIn {
    /// What holds back fewer instances.
    pub rules: Rules,
    /// How long a draining instance may take to finish its requests before it is stopped.
    pub drain_timeout: Duration,
}

/// Why a service's file cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SpecError {
    /// Not TOML, an unknown or missing key, or a value of the wrong type.
    #[error("{0}")]
    Syntax(String),
    /// A figure out of its range.
    #[error("{key} is {value}: use {allowed}")]
    Value {
        /// The key, with its tables.
        key: Cow<'static, str>,
        /// What the file says.
        value: String,
        /// What it may say.
        allowed: &'static str,
    },
    /// Two figures that do not fit each other.
    #[error(
        "{lower_key} is {}, {relation} {upper_key}, {}: lower one or raise the other",
        .values[0],
        .values[1]
    )]
    Crossed {
        /// How they lie to each other.
        relation: &'static str,
        /// The key of the one that should be lower.
        lower_key: Cow<'static, str>,
        /// The key of the one that should be higher.
        upper_key: Cow<'static, str>,
        /// What the file says of the two. In a box, for this error is part of many larger ones.
        values: Box<[String; 2]>,
    },
    /// A name of the wrong form.
    #[error("{key}: {error}")]
    Name {
        /// The key, with its tables.
        key: &'static str,
        /// What is wrong with the name.
        error: NameError,
    },
    /// A path of the wrong form.
    #[error("{key}: {error}")]
    Path {
        /// The key, with its tables.
        key: &'static str,
        /// What is wrong with the path.
        error: PathError,
    },
    /// Bounds that cannot hold.
    #[error(transparent)]
    Bounds(#[from] BoundsError),
    /// One of the others, in a text whose line is known.
    #[error("line {line}: {error}")]
    InLine {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong there.
        error: Box<Self>,
    },
}

impl ServiceSpec {
    /// Reads the text of a service's file.
    ///
    /// # Errors
    /// [`SpecError`] names the line, the key, the value and what is allowed; the caller knows the
    /// file.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        raw::parse(text)
    }
}

impl SpecError {
    /// The same about the item at `index` of a list.
    pub(crate) fn of_item(self, list: &str, index: usize) -> Self {
        let named = |key: Cow<'static, str>| {
            let figure = key.strip_prefix(list).and_then(|rest| rest.strip_prefix('.'));
            figure.map(|figure| format!("{list}[{index}].{figure}").into()).unwrap_or(key)
        };
        match self {
            Self::Value { key, value, allowed } => Self::Value { key: named(key), value, allowed },
            Self::Crossed { relation, lower_key, upper_key, values } => {
                let (lower_key, upper_key) = (named(lower_key), named(upper_key));
                Self::Crossed { relation, lower_key, upper_key, values }
            }
            other => other,
        }
    }

    /// The same with the line that it is about, where `text` has one.
    fn in_line_of(self, text: &str) -> Self {
        let key = match &self {
            Self::Value { key, .. } | Self::Crossed { lower_key: key, .. } => key.as_ref(),
            Self::Name { key, .. } | Self::Path { key, .. } => key,
            Self::Bounds(BoundsError::Crossed { .. }) => "bounds.min",
            Self::Bounds(_) => "bounds.max",
            Self::Syntax(_) | Self::InLine { .. } => return self,
        };
        // A policy's own file may have its keys at the top level.
        let alone = || toml_place::line_of(text, key.strip_prefix("policy.")?);
        match toml_place::line_of(text, key).or_else(alone) {
            Some(line) => Self::InLine { line, error: Box::new(self) },
            None => self,
        }
    }
}
