//! The sources: files with their drop-ins, the environment, the flags. Each value becomes a [`Given`] under its key
//! path; names that the schema does not know become faults.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Value};

use super::LoadOptions;
use super::fault::{Fault, HIDDEN, Origin, looks_like_a_key, nearest, shown, split};
use super::reader::{AllGiven, Given};

/// No configuration is longer than this; `/dev/zero` is.
const MAX_BYTES: u64 = 1 << 20;

/// Where the API key belongs.
const KEY_PLACE: &str = "an API key does not belong in the configuration: give it as systemd's credential \
    anthropic-api-key (LoadCredential=), in a file that claude.key_file names, or as ANTHROPIC_API_KEY";

/// The names of the schema.
pub(super) struct Known {
    keys: Vec<String>,
    sections: Vec<String>,
}

impl Known {
    /// From every key path; the sections are what the keys stand in.
    pub fn new(keys: impl Iterator<Item = String>) -> Self {
        let keys: Vec<String> = keys.collect();
        let mut sections = Vec::new();
        for key in &keys {
            for (end, _) in key.match_indices('.') {
                if !sections.iter().any(|s| *s == key[..end]) {
                    sections.push(key[..end].to_owned());
                }
            }
        }
        Self { keys, sections }
    }

    /// What may stand in a section, as words.
    fn inside(&self, section: &str) -> String {
        let names = self.keys.iter().chain(&self.sections).map(|name| split(name));
        names.filter(|(s, _)| *s == section).map(|(_, leaf)| leaf).collect::<Vec<_>>().join(", ")
    }
}

/// Everything that the sources say.
pub(super) struct Gathered {
    /// The values.
    pub given: AllGiven,
    /// Files that cannot be read, TOML that is none, names that nobody knows.
    pub faults: Vec<Fault>,
    /// The files that were read, in order.
    pub files: Vec<PathBuf>,
    /// The same, with those that could not be read.
    pub tried: Vec<PathBuf>,
}

/// Reads every source, the lowest first.
pub(super) fn gather(options: &LoadOptions, default_file: &Path, known: &Known) -> Gathered {
    let gathered = Gathered { given: AllGiven::new(), faults: Vec::new(), files: Vec::new(), tried: Vec::new() };
    let mut gatherer = Gatherer { known, out: gathered };
    let file = options.file.as_deref().unwrap_or(default_file);
    gatherer.file(file, options.file.is_some());
    gatherer.drop_ins(file);
    gatherer.environment(&options.env);
    gatherer.flags(&options.set);
    gatherer.out
}

struct Gatherer<'a> {
    known: &'a Known,
    out: Gathered,
}

/// One text of TOML, and where it stands.
struct Text<'a> {
    toml: &'a str,
    origin: Origin,
    /// The value is this whole text, not TOML.
    bare: bool,
}

impl Text<'_> {
    /// The origin, with the line of `offset` where the text is a file's.
    fn at(&self, offset: usize) -> Origin {
        match &self.origin {
            Origin::File { path, .. } => {
                let line = self.before(offset).matches('\n').count() + 1;
                Origin::File { path: path.clone(), line: Some(line) }
            }
            other => other.clone(),
        }
    }

    fn before(&self, offset: usize) -> &str {
        self.toml.get(..offset).unwrap_or(self.toml)
    }

    fn shown(&self, value: &Spanned<DeValue<'_>>) -> String {
        match value.get_ref() {
            DeValue::Table(_) => "{…}".into(),
            DeValue::String(text) if self.bare => shown(&format!("{text:?}")),
            _ => shown(self.toml.get(value.span()).unwrap_or_default()),
        }
    }
}

impl Gatherer<'_> {
    fn file(&mut self, path: &Path, named: bool) {
        self.out.tried.push(path.to_owned());
        match read(path) {
            Ok(toml) => {
                self.out.files.push(path.to_owned());
                self.document(&Text { toml: &toml, origin: whole(path), bare: false });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && !named => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.fault(whole(path), "there is no such file; name one that exists with --config or ELIO_CONFIG");
            }
            Err(error) => self.fault(whole(path), format!("cannot be read: {error}")),
        }
    }

    fn drop_ins(&mut self, file: &Path) {
        let Some(name) = file.file_name() else { return };
        let mut folder = name.to_owned();
        folder.push(".d");
        let folder = file.with_file_name(folder);
        let entries = std::fs::read_dir(&folder).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
        let mut paths: Vec<PathBuf> = match entries {
            Ok(entries) => entries.into_iter().map(|entry| entry.path()).collect(),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return,
            Err(error) => return self.fault(whole(&folder), format!("the drop-ins cannot be listed: {error}")),
        };
        // As `*.toml` of a shell: not the hidden files that editors leave.
        let hidden = |p: &PathBuf| p.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"."));
        paths.retain(|p| p.extension().is_some_and(|e| e == "toml") && !hidden(p));
        paths.sort();
        for path in paths {
            self.file(&path, true);
        }
    }

    fn document(&mut self, text: &Text<'_>) {
        match DeTable::parse(text.toml) {
            Ok(table) => self.table(text, "", table.get_ref()),
            Err(error) => {
                // The error's own display quotes the line, which may hold a secret.
                let at = error.span().map_or(0, |span| span.start);
                let column = text.before(at).chars().rev().take_while(|c| *c != '\n').count() + 1;
                self.fault(text.at(at), format!("not TOML at column {column}: {}", error.message()));
            }
        }
    }

    fn environment(&mut self, env: &[(String, String)]) {
        let mut ours: Vec<_> = env.iter().filter(|(name, _)| name.starts_with("ELIO_")).collect();
        ours.sort();
        for (name, raw) in ours {
            let origin = Origin::Environment(name.clone());
            let path = name["ELIO_".len()..].to_lowercase().replace("__", ".");
            if name == "ELIO_MODELS" {
                let folders = raw.split(':').filter(|folder| !folder.is_empty()).map(|folder| folder.into());
                let folders: Vec<Value> = folders.collect();
                if !folders.is_empty() {
                    let given = Given { value: Value::Array(folders), shown: shown(raw), raw: None, origin };
                    self.out.given.entry("models.dirs".into()).or_default().push(given);
                }
            } else if path.contains('.') {
                self.loose(&path, raw, origin);
            } else if let Some(key) = self.known.keys.iter().find(|key| key.replace('.', "_") == path) {
                // Other names of one part are another program's or another room's.
                let nearest = Some(variable(key));
                let message = "two underscores stand between a section and its key".into();
                self.out.faults.push(Fault { origin, key: None, value: None, message, nearest });
            }
        }
    }

    fn flags(&mut self, set: &[String]) {
        for flag in set {
            match flag.split_once('=') {
                Some((key, raw)) if !key.trim().is_empty() => self.loose(key.trim(), raw, Origin::Flag),
                _ => self.fault(Origin::Flag, format!("{}: key=value is needed", shown(flag))),
            }
        }
    }

    /// A value of a flag or a variable: TOML where it is TOML, else the text as it stands.
    fn loose(&mut self, path: &str, raw: &str, origin: Origin) {
        let toml = raw.trim();
        match DeValue::parse(toml) {
            Ok(value) => {
                self.value(&Text { toml, origin: origin.clone(), bare: false }, path, origin, &value, Some(raw))
            }
            Err(_) => {
                let text = Text { toml, origin: origin.clone(), bare: true };
                self.value(&text, path, origin, &Spanned::new(0..toml.len(), DeValue::String(toml.into())), None);
            }
        }
    }

    fn table(&mut self, text: &Text<'_>, section: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let name = key.get_ref();
            let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
            // A quoted name may hold a dot, which must not pass for a section.
            let name = if plain { name.to_string() } else { format!("{name:?}") };
            let path = if section.is_empty() { name } else { format!("{section}.{name}") };
            self.value(text, &path, text.at(key.span().start), value, None);
        }
    }

    fn value(&mut self, text: &Text<'_>, path: &str, origin: Origin, value: &Spanned<DeValue<'_>>, raw: Option<&str>) {
        let shown = text.shown(value);
        let has_key = text.toml.get(value.span()).is_some_and(looks_like_a_key);
        let is_section = self.known.sections.iter().any(|s| s == path);
        let mut fault =
            Fault { origin, key: Some(path.into()), value: Some(shown), message: String::new(), nearest: None };
        match value.get_ref() {
            DeValue::Table(table) if is_section => return self.table(text, path, table),
            _ if is_section => {
                fault.message = format!("a section is needed, [{path}] with its keys below it");
            }
            _ if has_key => {
                fault.value = Some(HIDDEN.into());
                fault.message = KEY_PLACE.into();
            }
            inner if self.known.keys.iter().any(|k| k == path) => {
                let Fault { origin, value, .. } = fault;
                let shown = value.unwrap_or_default();
                let given = Given { value: plain(inner), shown, raw: raw.map(str::to_owned), origin };
                return self.out.given.entry(path.into()).or_default().push(given);
            }
            inner => self.unknown(path, inner, &mut fault),
        }
        self.out.faults.push(fault);
    }

    /// Says what an unknown name may have meant.
    fn unknown(&self, path: &str, value: &DeValue<'_>, fault: &mut Fault) {
        let (section, leaf) = split(path);
        if is_secret(leaf) {
            fault.value = Some(HIDDEN.into());
        }
        if is_api_key(leaf) {
            fault.message = KEY_PLACE.into();
            return;
        }
        let is_table = matches!(value, DeValue::Table(_))
            || matches!(value, DeValue::Array(items) if items.iter().any(|i| matches!(i.get_ref(), DeValue::Table(_))));
        let (what, names) = if is_table {
            fault.value = None;
            ("section", self.known.sections.iter())
        } else {
            ("key", self.known.keys.iter())
        };
        fault.nearest = nearest(path, names.map(String::as_str));
        fault.message = format!("unknown {what}");
        match (&fault.nearest, &fault.origin) {
            (Some(near), Origin::Environment(_)) => fault.nearest = Some(variable(near)),
            (Some(_), _) => {}
            (None, _) => {
                let (place, inside) = match self.known.inside(section) {
                    inside if inside.is_empty() || section.is_empty() => ("the file".into(), self.known.inside("")),
                    inside => (format!("[{section}]"), inside),
                };
                fault.message = format!("unknown {what}; {place} knows {inside}");
            }
        }
    }

    fn fault(&mut self, origin: Origin, message: impl Into<String>) {
        self.out.faults.push(Fault { origin, key: None, value: None, message: message.into(), nearest: None });
    }
}

fn whole(path: &Path) -> Origin {
    Origin::File { path: path.to_owned(), line: None }
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("it is longer than 1 MiB, no configuration is"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
        io::Error::other(format!("it is not UTF-8 at line {line}"))
    })
}

/// The variable of a key.
fn variable(key: &str) -> String {
    format!("ELIO_{}", key.replace('.', "__").to_uppercase())
}

fn is_api_key(leaf: &str) -> bool {
    let names = ["api_key", "apikey", "api-key", "key", "x-api-key", "x_api_key", "anthropic_api_key", "auth_token"];
    names.contains(&leaf.to_lowercase().as_str())
}

/// Whether the value of an unknown key of this name is better not shown.
fn is_secret(leaf: &str) -> bool {
    let leaf = leaf.to_lowercase();
    ["key", "secret", "token", "password", "credential"].iter().any(|word| leaf.contains(word))
}

/// The value without its place. An integer beyond 64 bits becomes a float, which no whole number allows.
fn plain(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(n) => {
            i64::from_str_radix(n.as_str(), n.radix()).map_or(Value::Float(f64::NAN), Value::Integer)
        }
        DeValue::Float(n) => Value::Float(n.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(b) => Value::Boolean(*b),
        DeValue::Datetime(d) => Value::Datetime(*d),
        DeValue::Array(items) => Value::Array(items.iter().map(|item| plain(item.get_ref())).collect()),
        // No key is a table: the kind refuses it whatever is in it.
        DeValue::Table(_) => Value::Table(toml::Table::new()),
    }
}
