//! What a program prints for the person who started it.
//!
//! `println!` and `eprintln!` panic when nobody reads the output any more, as in
//! `experiment ramp 2>&1 | tee log` once Ctrl-C has ended `tee`. A program that works would then end before it
//! has put back what it changed: [`print()`] and [`note`] lose the text and nothing else. A command that does nothing but tell
//! is over then, as in `bellows events --follow | head`: [`tell`] fails.
//!
//! SIGPIPE stays ignored, as Rust has it: it would end the process at a socket that its other end has closed, too.

use std::fmt::Display;
use std::io::{self, Write};

/// The exit code of a command whose output nobody reads any more: that which a shell tells of programs that SIGPIPE
/// ends, 128 and 13.
pub const UNREAD: u8 = 141;

/// What was to be told cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("the output cannot be written: see that there is room where it goes")]
pub struct OutputError(#[from] io::Error);

impl OutputError {
    /// Whether nobody reads it any more, who is not to be told so.
    pub fn is_unread(&self) -> bool {
        self.0.kind() == io::ErrorKind::BrokenPipe
    }
}

/// Writes what a command is asked for, as it is, to the standard output.
///
/// # Errors
/// Nobody reads it, or there is no room for it.
pub fn tell(text: impl Display) -> Result<(), OutputError> {
    tell_to(&mut io::stdout().lock(), text)
}

/// The same with the end of a line.
///
/// # Errors
/// As those of [`tell`].
pub fn tell_line(line: impl Display) -> Result<(), OutputError> {
    tell(format_args!("{line}\n"))
}

/// The same to a standard output that is more than the plain one.
///
/// # Errors
/// As those of [`tell`].
pub fn tell_to(output: &mut impl Write, text: impl Display) -> Result<(), OutputError> {
    write!(output, "{text}")?;
    Ok(output.flush()?)
}

/// Writes results, as they are, to the standard output.
pub fn print(text: impl Display) {
    let _ = tell(text);
}

/// The same with the end of a line.
pub fn print_line(line: impl Display) {
    let _ = tell_line(line);
}

/// Writes a line about the progress to the standard error.
pub fn note(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    #[test]
    fn an_output_that_nobody_reads_is_told_from_one_without_room() {
        let (reader, mut writer) = io::pipe().unwrap();
        tell_to(&mut writer, "read").unwrap();
        drop(reader);
        assert!(tell_to(&mut writer, "unread").unwrap_err().is_unread());
        let mut full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let error = tell_to(&mut full, "too much").unwrap_err();
        assert!(!error.is_unread() && error.to_string().contains("see that there is room"));
    }
}
