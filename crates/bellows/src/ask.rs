//! What is done only once somebody has said yes.

use std::io::{self, IsTerminal as _, Write as _};

use anyhow::anyhow;

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
        return Err(BadInput::new(anyhow!("{question} Say --yes where nobody can be asked")).into());
    }
    print!("{question} [y/N] ");
    io::stdout().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(BadInput::new(anyhow!("nothing was changed")).into()),
    }
}
