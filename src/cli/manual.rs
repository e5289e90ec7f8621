//! `elio completions` and `elio man`: what the command line's grammar says of itself, for shells and for `man`.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

use super::{Cli, CliError, Exit, stdout};

/// Arguments of `elio completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Arguments of `elio man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Folder for elio.1 and a page for each command; made where it is missing
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Prints the completions of a shell.
pub fn completions(args: CompletionsArgs) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::grammar(), "elio", &mut script);
    stdout::write(|out| out.write_all(&script))
}

/// Writes the man pages.
pub fn man(args: ManArgs) -> Result<(), CliError> {
    let written = std::fs::create_dir_all(&args.dir).and_then(|()| clap_mangen::generate_to(Cli::grammar(), &args.dir));
    written.map_err(|error| CliError::new(Exit::Failed, format!("{}: {error}", args.dir.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_page_that_tells_its_options_and_the_first_one_the_exit_codes() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("man");
        man(ManArgs { dir: dir.clone() }).unwrap();
        for command in Cli::grammar().get_subcommands() {
            let page = std::fs::read_to_string(dir.join(format!("elio-{}.1", command.get_name()))).unwrap();
            assert!(page.contains(r"\-\-config"), "{}", command.get_name());
        }
        let page = std::fs::read_to_string(dir.join("elio.1")).unwrap();
        assert!(page.contains("Exit codes") && page.contains("elio.toml"), "{page}");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let error = man(ManArgs { dir: "/proc/none".into() }).unwrap_err();
        assert!(error.message.starts_with("/proc/none: "), "{error}");
    }
}
