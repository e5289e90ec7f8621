//! The configuration as its users meet it: files, drop-ins, environment and flags in, checked values or faults out.

// Clippy takes only the functions marked #[test] for tests, not their helpers.
#![allow(clippy::unwrap_used)]

mod check;
mod faults;
mod random;
mod values;

use std::fs;
use std::path::{Path, PathBuf};

use elio::config::{self, Config, Faults, LoadOptions, Loaded};
use tempfile::TempDir;

/// A folder with `elio.toml` in it.
struct Home(TempDir);

impl Home {
    fn new(toml: &str) -> Self {
        let home = Home(tempfile::tempdir().unwrap());
        home.write("elio.toml", toml);
        home
    }

    fn write(&self, name: &str, toml: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, toml).unwrap();
        path
    }

    fn load(&self, env: &[(&str, &str)], set: &[&str]) -> Result<Loaded, Faults> {
        config::load(&LoadOptions {
            file: Some(self.0.path().join("elio.toml")),
            env: env.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
            set: set.iter().map(|s| s.to_string()).collect(),
        })
    }

    fn faults(&self, env: &[(&str, &str)], set: &[&str]) -> String {
        self.tidy(&self.load(env, set).map(|_| ()).unwrap_err().to_string())
    }

    fn tidy(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.path().display()), "")
    }
}

fn good(toml: &str) -> Config {
    Home::new(toml).load(&[], &[]).unwrap().config
}

fn bad(toml: &str) -> String {
    Home::new(toml).faults(&[], &[])
}

fn repository(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

/// One file with nothing beside it.
fn load(file: PathBuf) -> Loaded {
    config::load(&LoadOptions { file: Some(file), ..Default::default() }).unwrap()
}
