//! What is done only once somebody has said yes.

use std::io::{self, IsTerminal as _};

use anyhow::anyhow;
use command_line::terminal;

use crate::code::Code;
use crate::error::BadInput;

/// Has whoever sits at the terminal say yes; `yes` is whether the command line says it already.
///
/// # Errors
/// Nobody sits there, or the answer is another one: nothing was changed.
pub(crate) fn confirm(question: &str, yes: bool) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        let unasked = BadInput::new(anyhow!("{question} Say --yes where nobody can be asked"));
        return Err(unasked.coded(Code::NotConfirmed).into());
    }
    // Nobody says yes to what nobody reads.
    terminal::tell(format_args!("{question} [y/N] "))?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(BadInput::new(anyhow!("nothing was changed")).coded(Code::NotConfirmed).into()),
    }
}
