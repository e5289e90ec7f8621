//! Where the files that come with the program lie: models, recorded questions, the demo's configuration.

use std::path::{Path, PathBuf};

use super::{CliError, Exit};

/// In the repository, `configs/` and `models/` lie above the program; installed, in `share/elio` beside `bin`.
pub(super) fn find(what: &str) -> Result<PathBuf, CliError> {
    let exe = std::env::current_exe().map_err(|error| CliError::new(Exit::Failed, error))?;
    let above = exe.ancestors().skip(1).flat_map(|dir| [dir.to_owned(), dir.join("share/elio")]);
    let found = above.chain([PathBuf::from("."), PathBuf::from("/usr/share/elio")]).map(|dir| dir.join(what));
    found.into_iter().find(|path| path.exists()).ok_or_else(|| {
        let text = format!("{what} is missing: run this from the repository, or install Elio's share folder");
        CliError::new(Exit::Failed, text)
    })
}

/// A folder for what a command leaves behind: `target/NAME` in the repository, else the present folder's `elio-NAME`.
pub(super) fn output_folder(name: &str) -> PathBuf {
    let target = std::env::current_exe().ok().and_then(|exe| {
        exe.ancestors().find(|dir| dir.file_name().is_some_and(|name| name == "target")).map(Path::to_owned)
    });
    target.map_or_else(|| PathBuf::from(format!("elio-{name}")), |target| target.join(name))
}
