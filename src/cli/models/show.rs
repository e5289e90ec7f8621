//! What a fetch shows while it runs: a bar on a terminal, plain lines elsewhere, nothing but the document with `--json`.

use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use super::super::{CliError, stdout};
use crate::models::{Entry, Fetched, Models, News};

/// Standard output has what was done, standard error how far it is.
pub(super) struct Show {
    json: bool,
    terminal: bool,
    bar: RefCell<Option<ProgressBar>>,
}

impl Show {
    pub(super) fn new(json: bool) -> Self {
        Self { json, terminal: io::stderr().is_terminal(), bar: RefCell::new(None) }
    }

    /// A line of what was done.
    pub(super) fn line(&self, text: &str) -> Result<(), CliError> {
        if self.json { Ok(()) } else { stdout::print(&format!("{text}\n")) }
    }

    /// The model of another folder is found first: what was fetched would lie there unused.
    pub(super) fn shadowed(&self, models: &Models, entry: &Entry, file: &Fetched) -> Result<(), CliError> {
        let of_entry = entry.files.iter().find(|known| known.file == file.file);
        match of_entry.and_then(|known| models.locate(entry, known)).filter(|found| *found != file.path) {
            Some(first) => self.line(&format!(
                "{}: {} comes first in models.dirs and is what is used: remove it, or put the folders in another order",
                entry.name,
                first.display()
            )),
            None => Ok(()),
        }
    }

    /// The bar of a file goes when the file is done.
    pub(super) fn clear(&self) {
        if let Some(bar) = self.bar.borrow_mut().take() {
            bar.finish_and_clear();
        }
    }

    pub(super) fn news(&self, news: News<'_>) {
        match news {
            News::Bytes(bytes) => {
                if let Some(bar) = &*self.bar.borrow() {
                    bar.set_position(bytes);
                }
            }
            News::Begins { file, url, from, size } => {
                self.clear();
                let whole =
                    size.map_or_else(|| "nobody knows how much".to_owned(), |size| HumanBytes(size).to_string());
                let on = if from > 0 { format!(", going on after {}", HumanBytes(from)) } else { String::new() };
                self.tell(&format!("{file}: {whole} from {url}{on}"));
                if self.terminal {
                    *self.bar.borrow_mut() = Some(bar(size, from));
                }
            }
            News::Again { fault, wait } => self.tell(&format!("{fault}; again in {}", seconds(wait))),
            News::Anew { file } => {
                self.tell(&format!("{file}: what an earlier fetch left was wrong: from the beginning"))
            }
            News::Waiting { dir } => {
                self.tell(&format!("another fetch is at work in {}: waiting for it", dir.display()))
            }
        }
    }

    /// A line of how far it is.
    pub(super) fn tell(&self, text: &str) {
        match &*self.bar.borrow() {
            Some(bar) => bar.println(text),
            // Where standard error is closed, nobody looks.
            None => drop(writeln!(io::stderr(), "{text}")),
        }
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.0} s", time.as_secs_f64().ceil())
}

fn bar(size: Option<u64>, from: u64) -> ProgressBar {
    let (bar, template) = match size {
        Some(size) => (ProgressBar::new(size), "{wide_bar} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}"),
        None => (ProgressBar::no_length(), "{spinner} {bytes} {binary_bytes_per_sec}"),
    };
    let bar = match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    };
    bar.set_position(from);
    bar.reset_eta();
    bar
}
