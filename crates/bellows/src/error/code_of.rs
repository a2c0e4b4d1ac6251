//! Under which code each error is explained: the one place where types become codes.

use std::error::Error;
use std::io::{self, ErrorKind};

use application::{ReadError, Refusal};
use config_file::ConfigError;
use host::build::BuildError;
use host::command::CommandError;
use host::deployments::RollbackError;
use host::deploys::DeployError;
use host::haproxy::{CertificateError, HaproxyError, HaproxySettingsError};
use host::lock::LockError;
use host::lxc::{ContainerError, ImageError, TemplateError};
use host::network::NetworkError;
use host::rehearsal::RehearsalError;
use host::units::UnitError;
use model::service::{ReachError, SameRoute};
use scaler_client::ScalerError;

use super::{BadInput, Coded};
use crate::code::Code;

/// The code of what a command ended with.
pub(crate) fn code_of(error: &anyhow::Error) -> Code {
    known(error).unwrap_or(Code::Failed)
}

/// The code of an error, where one of its causes tells it.
fn known(error: &anyhow::Error) -> Option<Code> {
    let is_full = |cause: &(dyn Error + 'static)| {
        let kind = cause.downcast_ref().map(io::Error::kind);
        matches!(kind, Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded))
    };
    if error.chain().any(is_full) {
        return Some(Code::DiskFull);
    }
    error.chain().find_map(of_cause)
}

/// Only the first problem counts: it stands in the first line.
fn of_input(BadInput(problems): &BadInput) -> Code {
    problems.first().and_then(known).unwrap_or(Code::BadInput)
}

fn of_cause(cause: &(dyn Error + 'static)) -> Option<Code> {
    let own = cause.downcast_ref().map(|it: &Coded| it.code);
    let own = own.or_else(|| cause.downcast_ref().map(of_input));
    own.or_else(|| of_what_was_given(cause)).or_else(|| of_the_host(cause))
}

/// The errors of what an operator or an application's author wrote.
fn of_what_was_given(cause: &(dyn Error + 'static)) -> Option<Code> {
    if cause.is::<HaproxySettingsError>() || cause.is::<CertificateError>() {
        return Some(Code::BadSettings);
    }
    if cause.is::<ConfigError>() || cause.is::<SameRoute>() || cause.is::<ReachError>() {
        return Some(Code::BadServiceFile);
    }
    if cause.is::<Refusal>() || cause.is::<ReadError>() {
        return Some(Code::BadApplication);
    }
    cause.downcast_ref().and_then(of_rollback)
}

/// The errors of the scaler and of this machine.
fn of_the_host(cause: &(dyn Error + 'static)) -> Option<Code> {
    let scaler = cause.downcast_ref().map(of_scaler);
    let lock = || cause.downcast_ref().and_then(of_lock);
    let build = || cause.downcast_ref().and_then(of_build);
    let image = || cause.downcast_ref().and_then(of_image);
    let template = || cause.downcast_ref().and_then(of_template);
    let container = || cause.downcast_ref().and_then(of_container);
    let others = || of_other_parts(cause);
    let command = || cause.downcast_ref().map(of_command);
    scaler
        .or_else(lock)
        .or_else(build)
        .or_else(image)
        .or_else(template)
        .or_else(container)
        .or_else(others)
        .or_else(command)
}

fn of_scaler(error: &ScalerError) -> Code {
    match error {
        ScalerError::Away { .. } | ScalerError::Silent { .. } => Code::ScalerAway,
        ScalerError::Strange { .. } => Code::ScalerStrange,
        ScalerError::Denied { .. } => Code::NotOperator,
        ScalerError::Refused { .. } => Code::Refused,
        ScalerError::Place(_) | ScalerError::Token => Code::BadInput,
        ScalerError::Client(_) => Code::Failed,
    }
}

fn of_rollback(error: &RollbackError) -> Option<Code> {
    match error {
        RollbackError::NoService(_) => Some(Code::NoSuchService),
        RollbackError::NotKept { .. } | RollbackError::NoneServed(_) => Some(Code::NoSuchVersion),
        _ => None,
    }
}

fn of_lock(error: &LockError) -> Option<Code> {
    matches!(error, LockError::Held { .. }).then_some(Code::UnderWay)
}

const fn of_command(error: &CommandError) -> Code {
    match error {
        CommandError::Start { .. } => Code::ProgramMissing,
        _ => Code::ToolFailed,
    }
}

fn of_build(error: &BuildError) -> Option<Code> {
    match error {
        BuildError::Failed { .. }
        | BuildError::Deadline { .. }
        | BuildError::Memory { .. }
        | BuildError::Disk { .. }
        | BuildError::Processes { .. } => Some(Code::ImageNotBuilt),
        BuildError::NoRoom { .. } | BuildError::NoRoomForPart { .. } => Some(Code::DiskFull),
        BuildError::Busy { .. } => Some(Code::UnderWay),
        BuildError::Image(error) => of_image(error),
        BuildError::Template(error) => of_template(error),
        BuildError::Container(error) => of_container(error),
        BuildError::Lock(error) => of_lock(error),
        BuildError::Command(error) => Some(of_command(error)),
        _ => None,
    }
}

fn of_image(error: &ImageError) -> Option<Code> {
    match error {
        ImageError::Build { .. } => Some(Code::ImageNotBuilt),
        ImageError::UnderWay { .. } => Some(Code::UnderWay),
        ImageError::Application(_) => Some(Code::BadServiceFile),
        _ => None,
    }
}

fn of_template(error: &TemplateError) -> Option<Code> {
    match error {
        TemplateError::Container(error) => of_container(error),
        TemplateError::UnderWay { .. } => Some(Code::UnderWay),
        TemplateError::MountPoint { .. }
        | TemplateError::NoUser(_)
        | TemplateError::NoShell(_)
        | TemplateError::Application { .. } => Some(Code::BadServiceFile),
        _ => None,
    }
}

fn of_container(error: &ContainerError) -> Option<Code> {
    match error {
        ContainerError::NoRoomForLayer { .. } => Some(Code::DiskFull),
        ContainerError::LaunchUnderWay { .. } => Some(Code::UnderWay),
        ContainerError::Locked(error) => of_lock(error),
        ContainerError::Command(error) => Some(of_command(error)),
        _ => None,
    }
}

/// The errors that hold another one as if it were themselves, so that no cause tells it.
fn of_other_parts(cause: &(dyn Error + 'static)) -> Option<Code> {
    if let Some(NetworkError::Command(error)) = cause.downcast_ref() {
        return Some(of_command(error));
    }
    if let Some(HaproxyError::Rejected { .. }) = cause.downcast_ref() {
        return Some(Code::ToolFailed);
    }
    if let Some(DeployError::UnderWay { .. }) = cause.downcast_ref() {
        return Some(Code::UnderWay);
    }
    match cause.downcast_ref() {
        Some(UnitError::Command(error)) => return Some(of_command(error)),
        Some(UnitError::Lock(error)) => return of_lock(error),
        _ => {}
    }
    match cause.downcast_ref() {
        Some(RehearsalError::Busy { .. }) => Some(Code::UnderWay),
        Some(RehearsalError::Lock(error)) => of_lock(error),
        Some(RehearsalError::Made(error)) => of_template(error),
        Some(RehearsalError::Left(error)) => of_container(error),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;
    use model::names::ServiceName;

    use super::*;

    fn code(error: impl Into<anyhow::Error>) -> Code {
        code_of(&error.into())
    }

    fn shop() -> ServiceName {
        "shop".parse().unwrap()
    }

    #[test]
    fn the_type_of_an_error_tells_its_code_wherever_it_is_in_the_chain() {
        let silent = || ScalerError::Silent { address: "a".to_owned() };
        assert_eq!(code(silent()), Code::ScalerAway);
        assert_eq!(code(anyhow!(silent()).context("a").context("b")), Code::ScalerAway);
        assert_eq!(code(RollbackError::NoService(shop())), Code::NoSuchService);
        assert_eq!(code(RollbackError::NoneServed(shop())), Code::NoSuchVersion);
        assert_eq!(code(Refusal::Nothing), Code::BadApplication);
        assert_eq!(code(anyhow!("of no type")), Code::Failed);
    }

    #[test]
    fn what_holds_another_error_as_if_it_were_itself_has_its_code() {
        let held = || LockError::Held { file: "/run/a".into(), holder: "7".to_owned() };
        assert_eq!(code(held()), Code::UnderWay);
        assert_eq!(code(UnitError::Lock(held())), Code::UnderWay);
        let missing = || CommandError::Start {
            command: "ip link".to_owned(),
            program: "ip".to_owned(),
            source: ErrorKind::NotFound.into(),
        };
        assert_eq!(code(NetworkError::Command(missing())), Code::ProgramMissing);
        let inner = TemplateError::Container(ContainerError::Command(missing()));
        assert_eq!(code(BuildError::Template(inner)), Code::ProgramMissing);
    }

    #[test]
    fn a_disk_that_is_full_is_told_whatever_wrote_to_it() {
        let full = io::Error::from(ErrorKind::StorageFull);
        let unwritten = HaproxyError::File { file: "/a".into(), doing: "written", source: full };
        assert_eq!(code(unwritten), Code::DiskFull);
        assert_eq!(code(BuildError::NoRoom { disk_mib: 1, free_mib: 0 }), Code::DiskFull);
    }

    #[test]
    fn of_several_problems_the_first_one_tells_the_code() {
        let coded = |code| anyhow::Error::from(Coded::new(code, anyhow!("b")));
        let both = vec![coded(Code::BadPolicy), coded(Code::BadSettings)];
        assert_eq!(code(BadInput(both)), Code::BadPolicy);
        assert_eq!(code(BadInput::new(anyhow!("of no type"))), Code::BadInput);
        assert_eq!(code(BadInput::new(RollbackError::NoService(shop()))), Code::NoSuchService);
    }
}
