//! `elio check`: the configuration is good, or here is every fault of it.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::{CliError, Global, stdout};
use crate::config;

/// Arguments of `elio check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Print the effective configuration, with where each value came from
    #[arg(long)]
    print: bool,
}

/// Runs `elio check`.
pub fn run(args: CheckArgs, global: &Global) -> Result<(), CliError> {
    let loaded = config::load(&global.load_options());
    let out = match &loaded {
        Ok(good) if global.json => {
            let mut document = report(true, &good.files, Vec::new());
            if args.print
                && let (Some(document), Value::Object(printed)) = (document.as_object_mut(), good.to_json())
            {
                document.extend(printed);
            }
            format!("{document:#}\n")
        }
        Ok(good) if args.print => format!("# {}\n\n{}", summary(&good.files), good.to_toml()),
        Ok(good) => format!("{}\n", summary(&good.files)),
        Err(faults) if global.json => {
            format!("{:#}\n", report(false, &faults.files, faults.iter().map(config::Fault::to_json).collect()))
        }
        Err(_) => String::new(),
    };
    stdout::print(&out)?;
    loaded.map(drop).map_err(CliError::from)
}

fn report(ok: bool, files: &[PathBuf], faults: Vec<Value>) -> Value {
    let files: Vec<_> = files.iter().map(|f| f.to_string_lossy()).collect();
    json!({ "ok": ok, "files": files, "faults": faults })
}

fn summary(files: &[PathBuf]) -> String {
    let names: Vec<_> = files.iter().map(|f| f.to_string_lossy().replace(char::is_control, " ")).collect();
    match names.as_slice() {
        [] => "the configuration is good: the built-in defaults, no file was read".into(),
        names => format!("the configuration is good: {}", names.join(", ")),
    }
}
