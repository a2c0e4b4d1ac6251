//! What a program prints for the person who started it.
//!
//! `println!` and `eprintln!` panic when nobody reads the output any more, as in
//! `experiment ramp 2>&1 | tee log` once Ctrl-C has ended `tee`. The program would then end before it
//! has put back what it changed. Here only the text is lost.

use std::fmt::Display;
use std::io::{self, Write as _};

/// Writes results, as they are, to the standard output.
pub fn print(text: impl Display) {
    let _ = write!(io::stdout(), "{text}");
}

/// Writes a line about the progress to the standard error.
pub fn note(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}
