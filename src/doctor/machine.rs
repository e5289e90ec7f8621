//! The machine that is examined: its files below a root, its environment, its programs; a test gives a made-up one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use jiff::Timestamp;

/// A program that does not answer within this is ended.
const PATIENCE: Duration = Duration::from_secs(4);

type Env = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Where the checks look.
pub struct Machine {
    root: PathBuf,
    env: Env,
    now: fn() -> Timestamp,
    /// Its programs can be run: not those of a tree of files.
    programs: bool,
}

impl Machine {
    /// The one that this runs on.
    pub fn this() -> Self {
        Self { root: "/".into(), env: Box::new(|name| std::env::var(name).ok()), now: Timestamp::now, programs: true }
    }

    /// A tree of files that stands for a machine, without programs and with an empty environment.
    #[cfg(test)]
    pub(super) fn at(root: &Path) -> Self {
        Self { root: root.to_owned(), env: Box::new(|_| None), now: Timestamp::now, programs: false }
    }

    /// With another environment.
    #[cfg(test)]
    pub(super) fn with_env(self, env: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self { env: Box::new(env), ..self }
    }

    /// The value of an environment variable.
    pub(super) fn env(&self, name: &str) -> Option<String> {
        (self.env)(name)
    }

    /// The wall clock.
    pub(super) fn now(&self) -> Timestamp {
        (self.now)()
    }

    /// An absolute path, in this machine's tree.
    pub(super) fn path(&self, absolute: impl AsRef<Path>) -> PathBuf {
        let path = absolute.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A small text file, trimmed; none where it cannot be read. The device tree ends its strings with a zero.
    pub(super) fn read(&self, absolute: impl AsRef<Path>) -> Option<String> {
        let text = String::from_utf8_lossy(&fs::read(self.path(absolute)).ok()?).into_owned();
        Some(text.trim_matches(|c: char| c == '\0' || c.is_whitespace()).to_owned())
    }

    /// What a folder holds, sorted, as absolute paths of this machine; nothing where there is no folder.
    pub(super) fn list(&self, absolute: impl AsRef<Path>) -> Vec<PathBuf> {
        let folder = absolute.as_ref();
        let entries = fs::read_dir(self.path(folder)).into_iter().flatten().flatten();
        let mut found: Vec<PathBuf> = entries.map(|entry| folder.join(entry.file_name())).collect();
        found.sort();
        found
    }

    /// Runs a program to its end and gives its standard output. The error is one line: it is not there, it failed, or
    /// it did not answer in time and was ended.
    pub(super) async fn run(&self, program: impl AsRef<Path>, args: &[&str]) -> Result<String, String> {
        let program = program.as_ref();
        if !self.programs {
            return Err(format!("{} is not on this machine", program.display()));
        }
        let mut command = tokio::process::Command::new(program);
        command.args(args).stdin(Stdio::null()).kill_on_drop(true).env("LC_ALL", "C.UTF-8");
        match tokio::time::timeout(PATIENCE, command.output()).await {
            Err(_) => Err(format!("{} did not answer within {} s", program.display(), PATIENCE.as_secs())),
            Ok(Err(error)) => Err(format!("{}: {error}", program.display())),
            Ok(Ok(output)) if !output.status.success() => {
                let said = String::from_utf8_lossy(&output.stderr);
                let said = said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it failed").to_owned();
                Err(format!("{}: {said}", program.display()))
            }
            Ok(Ok(output)) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_is_heard_and_one_that_hangs_is_ended() {
        let machine = Machine::this();
        assert_eq!(machine.run("echo", &["hello"]).await, Ok("hello\n".to_owned()));
        assert!(machine.run("sh", &["-c", "echo why >&2; exit 3"]).await.unwrap_err().ends_with(": why"));
        assert!(machine.run("sleep", &["600"]).await.unwrap_err().contains("did not answer"));
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        assert!(Machine::this().run("/nowhere/program", &[]).await.unwrap_err().contains("No such file"));
    }

    #[test]
    fn a_tree_of_files_stands_for_a_machine() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/device-tree")).unwrap();
        fs::write(root.path().join("proc/device-tree/model"), "A board\0").unwrap();
        let machine = Machine::at(root.path());
        assert_eq!(machine.read("/proc/device-tree/model").as_deref(), Some("A board"));
        assert_eq!(machine.list("/proc"), [PathBuf::from("/proc/device-tree")]);
        assert_eq!((machine.read("/nothing"), machine.list("/nothing").len()), (None, 0));
    }
}
