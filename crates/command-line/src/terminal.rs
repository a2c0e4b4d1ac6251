//! What a program says to the person who started it.
//!
//! `println!` and `eprintln!` panic where nobody reads any more, as in `experiment ramp 2>&1 | tee log`
//! once Ctrl-C has ended `tee`: the program would be gone before it has put back what it changed. Here
//! such text is lost, and nothing else.

use std::fmt::Display;
use std::io::{self, Write as _};

/// Writes results, as they are, to the standard output.
pub fn print(text: impl Display) {
    let _ = write!(io::stdout(), "{text}");
}

/// Writes a line about how it goes to the standard error.
pub fn note(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}
