//! For tests: forgets that it was to die with its parent, as the kernel has a program do that is started in an AppArmor
//! profile, and becomes the program `/bin/init`.

use std::error::Error;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::process::set_parent_process_death_signal;

fn main() -> Result<(), Box<dyn Error>> {
    set_parent_process_death_signal(None)?;
    Err(Command::new("/bin/init").exec().into())
}
