//! This process going on as another program, or as the same one in another environment.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// What `exec` makes of this process: `program`, with the name and the arguments that this one was started with.
pub(crate) fn command(program: PathBuf) -> Command {
    let mut args = std::env::args_os();
    let mut command = Command::new(program);
    if let Some(name) = args.next() {
        command.arg0(name);
    }
    command.args(args);
    command
}
