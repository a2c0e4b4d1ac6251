//! A runner for tests, which starts no program.

use std::sync::{Mutex, PoisonError};

use super::{CommandError, CommandLine, Output, Runner};

/// A runner for tests: writes down what it was asked to run, and answers from a script.
#[derive(Debug, Default)]
pub struct FakeRunner {
    script: Mutex<Vec<(String, FakeAnswer)>>,
    calls: Mutex<Vec<String>>,
}

#[derive(Debug, Clone)]
enum FakeAnswer {
    Output(String),
    Failure(String),
}

impl FakeRunner {
    /// Commands that start with `prefix` print `stdout`. Later answers win over earlier ones;
    /// commands without an answer print nothing and end well.
    pub fn answer(&self, prefix: &str, stdout: &str) {
        self.script(prefix, FakeAnswer::Output(stdout.to_owned()));
    }

    /// Commands that start with `prefix` print `stderr` and end with status 1.
    pub fn fail(&self, prefix: &str, stderr: &str) {
        self.script(prefix, FakeAnswer::Failure(stderr.to_owned()));
    }

    /// The commands that were run, in order.
    pub fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn script(&self, prefix: &str, answer: FakeAnswer) {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        script.insert(0, (prefix.to_owned(), answer));
    }
}

impl Runner for FakeRunner {
    async fn run(&self, command: &CommandLine) -> Result<Output, CommandError> {
        let text = command.to_string();
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(text.clone());
        let script = self.script.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let found = script.into_iter().find(|(prefix, _)| text.starts_with(prefix));
        match found.map(|(_, answer)| answer) {
            None => Ok(Output::default()),
            Some(FakeAnswer::Output(stdout)) => Ok(Output { stdout, stderr: String::new() }),
            Some(FakeAnswer::Failure(stderr)) => Err(CommandError::Failed {
                command: text,
                status: "status 1".to_owned(),
                output: Box::new(Output { stdout: String::new(), stderr }),
            }),
        }
    }
}
