//! `elio models`: get the models, check them, and list them.

mod list;
mod show;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{CliError, Exit, Global, stdout};
use crate::config::{Config, Language};
use crate::models::{
    Did, Entry, FetchError, Fetched, Fetcher, Mirror, ModelError, Models, Patience, Store, become_owner,
};
use crate::tts::voice_name;
use show::Show;

/// Arguments of `elio models`.
#[derive(Debug, Args)]
pub struct ModelsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Download what is missing or wrong; without names, what the configuration needs
    Fetch(FetchArgs),
    /// Read every byte of the models; without names, of those that are here or that the configuration needs
    Verify(VerifyArgs),
    /// Every model that Elio knows: what it is for, its licence, whether it is here
    List(ListArgs),
}

#[derive(Debug, Args)]
#[command(
    after_help = "A file takes its place when its last byte has been checked; until then, and after any failure, the old \
    one stays. A download that was cut goes on where it stopped. Proxies are those of the environment (HTTPS_PROXY)."
)]
struct FetchArgs {
    /// Models of `elio models list`
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Every model that has an address
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// A folder or the address of a server that has the files, under the names that `list --json` gives
    #[arg(long, value_name = "DIR|URL")]
    mirror: Option<String>,
    /// Where to [default: the first folder of models.dirs that can be written to]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// A PEM file of authorities to trust besides the system's, for a mirror of your own
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct VerifyArgs {
    /// Models of `elio models list`
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

#[derive(Debug, Args)]
struct ListArgs {}

/// Runs `elio models`.
pub fn run(args: ModelsArgs, global: &Global) -> Result<(), CliError> {
    let mut config = global.load_config()?.config;
    match args.command {
        Command::Fetch(args) => {
            if let Some(dir) = &args.dir {
                config.models.dirs = vec![dir.clone()];
            }
            fetch(&args, &config, global)
        }
        Command::Verify(args) => verify(&args, &config, global),
        Command::List(ListArgs {}) => list::run(&config, &Models::open(&config.models)?, global),
    }
}

/// The models that a configuration names, each with the keys that name it. Files of one's own are among them.
fn used(config: &Config) -> BTreeMap<String, Vec<&'static str>> {
    let mut used: BTreeMap<String, Vec<&'static str>> = BTreeMap::new();
    let mut uses = |name: &str, key| used.entry(name.to_owned()).or_default().push(key);
    uses(&config.stt.model, "stt.model");
    for (language, key) in [(Language::En, "tts.voice_en"), (Language::Fr, "tts.voice_fr")] {
        let spoken = config.language.speak == language || config.language.listen.contains(&language);
        if let Some(name) = voice_name(&config.tts, language).filter(|_| spoken) {
            uses(name, key);
        }
    }
    if config.endpoint.vad != "earshot" {
        uses(&config.endpoint.vad, "endpoint.vad");
    }
    if let Some(name) = &config.endpoint.turn_model {
        uses(name, "endpoint.turn_model");
    }
    used
}

/// The entries of the names, else those of the manifest that `otherwise` takes.
fn chosen<'a>(
    models: &'a Models,
    names: &[String],
    otherwise: impl Fn(&Entry) -> bool,
) -> Result<Vec<&'a Entry>, ModelError> {
    match names {
        [] => Ok(models.manifest().models.iter().filter(|entry| otherwise(entry)).collect()),
        names => names.iter().map(|name| models.entry(name)).collect(),
    }
}

fn fetch(args: &FetchArgs, config: &Config, global: &Global) -> Result<(), CliError> {
    let models = Models::open(&config.models)?;
    let used = used(config);
    let wanted = chosen(&models, &args.names, |entry| match args.all {
        true => entry.files.iter().all(|file| file.url.is_some()),
        // What comes with Elio and lies there needs no second place.
        false => used.contains_key(&entry.name) && !models.is_with_elio(entry),
    })?;
    let mirror = args.mirror.as_deref().map(str::parse::<Mirror>).transpose()?;
    let fetcher = Fetcher::new(mirror, args.ca_file.as_deref(), Patience::default())?;
    let show = Show::new(global.json);
    if args.names.is_empty() && !args.all {
        for (name, keys) in used.iter().filter(|(name, _)| models.manifest().get(name).is_none()) {
            show.line(&format!("{name} ({}): not in the manifest, a file of your own", keys.join(", ")))?;
        }
    }

    // Before the runtime, which has threads.
    if let Some(user) = become_owner(&config.models.dirs)? {
        show.tell(&format!("going on as the user {user}, whose folder the models go to"));
    }
    let runtime = super::runtime()?;
    let store = runtime.block_on(Store::open(&config.models.dirs, &|news| show.news(news)))?;
    let (mut documents, mut failed) = (Vec::new(), Vec::new());
    for entry in wanted {
        let result = runtime.block_on(fetcher.fetch(&store, entry, &|news| show.news(news)));
        show.clear();
        documents.push(fetched_json(entry, &result));
        match result {
            Ok(files) => {
                for file in &files {
                    show.line(&format!("{}: {}", entry.name, fetched_line(file, &store)))?;
                    show.shadowed(&models, entry, file)?;
                }
            }
            Err(error) => failed.push((entry.name.as_str(), error)),
        }
    }
    if documents.is_empty() {
        show.line("nothing to fetch: the configuration names no model of the manifest")?;
    }
    if global.json {
        let document = json!({ "ok": failed.is_empty(), "dir": store.dir(), "models": documents });
        stdout::print(&format!("{document:#}\n"))?;
    }
    outcome(failed)
}

fn fetched_line(file: &Fetched, store: &Store) -> String {
    let what = match file.did {
        Did::Kept => "is here and right",
        Did::PinnedAsItWas => "is here; nobody publishes a hash of it",
        Did::Fetched => "fetched",
    };
    let how = match file.checked.published.first() {
        Some(algorithm) => format!(", {} as published", algorithm.name()),
        None if file.checked.pinned => ", as it came first".to_owned(),
        None => String::new(),
    };
    let pinned = match file.first {
        true => format!("; pinned in {}: SHA-256 {}", store.dir().join("pins.toml").display(), file.checked.sha256),
        false => String::new(),
    };
    format!("{} {what}{how}{pinned}", file.path.display())
}

fn fetched_json(entry: &Entry, result: &Result<Vec<Fetched>, FetchError>) -> Value {
    let file = |file: &Fetched| {
        let did = match file.did {
            Did::Kept => "kept",
            Did::PinnedAsItWas => "pinned",
            Did::Fetched => "fetched",
        };
        json!({
            "file": file.file, "path": file.path, "did": did, "sha256": file.checked.sha256,
            "published": file.checked.published, "pinned": file.checked.pinned || file.first, "first": file.first,
        })
    };
    match result {
        Ok(files) => json!({ "name": entry.name, "files": files.iter().map(file).collect::<Vec<_>>(), "fault": null }),
        Err(error) => json!({ "name": entry.name, "files": [], "fault": error.to_string() }),
    }
}

/// One failure is the command's line; of several each is told, and the first one's code is the command's.
fn outcome(mut failed: Vec<(&str, FetchError)>) -> Result<(), CliError> {
    let lines: Vec<String> = failed.iter().map(|(name, error)| format!("{name}: {error}")).collect();
    match failed.is_empty() {
        true => Ok(()),
        false => Err(CliError::new(CliError::from(failed.remove(0).1).exit, lines.join("\n"))),
    }
}

fn verify(args: &VerifyArgs, config: &Config, global: &Global) -> Result<(), CliError> {
    let models = Models::open(&config.models)?;
    let used = used(config);
    let here = |entry: &Entry| entry.files.iter().any(|file| models.locate(entry, file).is_some());
    let wanted = chosen(&models, &args.names, |entry| used.contains_key(&entry.name) || here(entry))?;
    let (mut documents, mut faults) = (Vec::new(), Vec::new());
    for entry in wanted {
        let reports = models.verify(entry);
        let mut files = Vec::new();
        for report in reports {
            let fault = report.checked.as_ref().err().map(ToString::to_string);
            if let Ok(checked) = &report.checked {
                let published: Vec<_> = checked.published.iter().map(|algorithm| algorithm.name()).collect();
                let how = match (published.is_empty(), checked.pinned) {
                    (false, false) => format!("right: {} as published", published.join(" and ")),
                    (false, true) => format!("right: {} as published, and as it came first", published.join(" and ")),
                    (true, true) => "right: as it came first".to_owned(),
                    (true, false) => format!("is here, and nothing to compare it with: SHA-256 {}", checked.sha256),
                };
                if !global.json {
                    stdout::print(&format!("{}: {} {how}\n", entry.name, report.file))?;
                }
            }
            let checked = report.checked.ok();
            files.push(json!({
                "file": report.file, "path": report.path, "ok": checked.is_some(),
                "sha256": checked.as_ref().map(|checked| &checked.sha256),
                "published": checked.as_ref().map(|checked| &checked.published),
                "pinned": checked.as_ref().map(|checked| checked.pinned), "fault": fault,
            }));
            faults.extend(fault);
        }
        documents.push(json!({ "name": entry.name, "files": files }));
    }
    if global.json {
        stdout::print(&format!("{:#}\n", json!({ "ok": faults.is_empty(), "models": documents })))?;
    }
    match faults.is_empty() {
        true => Ok(()),
        false => Err(CliError::new(Exit::Config, faults.join("\n"))),
    }
}

impl From<FetchError> for CliError {
    fn from(error: FetchError) -> Self {
        let exit = match &error {
            FetchError::Model(_) | FetchError::NoFolder => Exit::Config,
            FetchError::Mirror { .. } | FetchError::Authority { .. } => Exit::Usage,
            FetchError::Refused { .. } | FetchError::Tls { .. } => Exit::Unavailable,
            FetchError::Cut { .. } => Exit::TryAgain,
            _ => Exit::Failed,
        };
        Self::new(exit, error)
    }
}
