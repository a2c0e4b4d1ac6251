//! The runs of a results folder: one run, repetitions of one, or some with each way of membership.

use std::path::{Path, PathBuf};

use run::repetitions::Repetitions;
use run::{ReadError, Run};

/// The runs of a folder.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ExperimentFolder {
    /// The run, or the first of several.
    pub(crate) run: Run,
    /// The further ones of the same experiment.
    pub(crate) repetitions: Vec<Run>,
    /// The first run of the same load with `membership = "reload"`, beside one with `runtime`.
    pub(crate) beside: Option<Run>,
}

impl ExperimentFolder {
    /// Reads `FOLDER`; or `FOLDER/1`, `FOLDER/2`, ..., which are repetitions; or `FOLDER/runtime` and
    /// `FOLDER/reload`, each of which is one or the other. An experiment that was interrupted before
    /// the second of these has the first alone.
    ///
    /// # Errors
    /// Names the file that is not what a run writes.
    pub(crate) fn read(folder: &Path) -> Result<Self, ReadError> {
        let alone = |run: Run| Self { run, repetitions: Vec::new(), beside: None };
        if is_run(folder) {
            return Ok(alone(Run::read(folder)?));
        }
        let numbered = (1..).map(|n: u32| folder.join(n.to_string()));
        let several: Vec<PathBuf> = match Repetitions::read(folder)? {
            // It leaves out runs that were interrupted.
            Some(repetitions) => repetitions.folders(folder),
            None => numbered.take_while(|path| is_run(path)).collect(),
        };
        if let [first, further @ ..] = several.as_slice() {
            let repetitions = further.iter().map(|f| Run::read(f)).collect::<Result<_, _>>()?;
            return Ok(Self { run: Run::read(first)?, repetitions, beside: None });
        }
        let (runtime, reload) = (folder.join("runtime"), folder.join("reload"));
        if runtime.is_dir() {
            let beside = reload.is_dir().then(|| Self::read(&reload)).transpose()?;
            let beside = beside.map(|reload| reload.run);
            return Ok(Self { beside, ..Self::read(&runtime)? });
        }
        // The error says what is missing.
        Ok(alone(Run::read(folder)?))
    }
}

fn is_run(folder: &Path) -> bool {
    folder.join("summary.json").is_file()
}
