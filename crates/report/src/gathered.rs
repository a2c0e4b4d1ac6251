//! The runs of a results folder: one run, repetitions of one, or one with each way of membership.

use std::path::{Path, PathBuf};

use crate::run::{Run, RunFolderError};

/// The runs of a folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Gathered {
    /// The run, or the first of several.
    pub run: Run,
    /// The further ones of the same experiment.
    pub repetitions: Vec<Run>,
    /// The same load with `membership = "reload"`, beside one with `runtime`.
    pub beside: Option<Run>,
}

impl Gathered {
    /// Reads `FOLDER`, or the folders `FOLDER/1`, `FOLDER/2`, ... of repetitions, or
    /// `FOLDER/runtime` and `FOLDER/reload`.
    ///
    /// # Errors
    /// Names the file that is not what a run writes.
    pub fn read(folder: &Path) -> Result<Self, RunFolderError> {
        let is_run = |path: &PathBuf| path.join("summary.json").is_file();
        let several: Vec<PathBuf> =
            (1..).map(|n: u32| folder.join(n.to_string())).take_while(is_run).collect();
        let ways = [folder.join("runtime"), folder.join("reload")];
        if is_run(&folder.to_owned()) {
            return Ok(Self { run: Run::read(folder)?, repetitions: Vec::new(), beside: None });
        }
        if let [first, further @ ..] = several.as_slice() {
            let repetitions = further.iter().map(|f| Run::read(f)).collect::<Result<_, _>>()?;
            return Ok(Self { run: Run::read(first)?, repetitions, beside: None });
        }
        if ways.iter().all(is_run) {
            let beside = Some(Run::read(&ways[1])?);
            return Ok(Self { run: Run::read(&ways[0])?, repetitions: Vec::new(), beside });
        }
        // The error says what is missing.
        Ok(Self { run: Run::read(folder)?, repetitions: Vec::new(), beside: None })
    }
}
