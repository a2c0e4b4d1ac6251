//! What commands tell programs: one JSON value on standard output.

use anyhow::Context as _;
use command_line::terminal;
use serde::Serialize;

/// The form of the objects that commands print, as docs/operations/command-line.md describes it. Keys are added without
/// another number; it changes when a key goes or means something else.
pub(crate) const FORMAT: u32 = 1;

/// Prints it on one line, as one of many: each is whole when it is read.
pub(crate) fn print_line(value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string(value);
    terminal::tell_line(text.context("it cannot be written as JSON")?)?;
    Ok(())
}

/// Prints it.
pub(crate) fn print(value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value);
    terminal::tell_line(text.context("it cannot be written as JSON")?)?;
    Ok(())
}
