//! What a value may be: how it is read from TOML, what is said where it does not fit, how it is written back.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Value;

use super::duration;
use super::fault::{Origin, shown};

/// A word of a file and the value that it stands for.
pub(super) type Words<T> = &'static [(&'static str, T)];

type Parse<T> = Box<dyn Fn(&Value, &Origin) -> Option<T>>;

/// One kind of value.
pub(super) struct Kind<T> {
    /// What is allowed, to follow "allowed is".
    pub allowed: String,
    /// The words that are allowed, where it is one of a list.
    pub words: Vec<&'static str>,
    /// Is a text: a flag or a variable that happens to be TOML of another type (`stt.model=5`) is read as it stands.
    pub textual: bool,
    pub parse: Parse<T>,
    pub show: Box<dyn Fn(&T) -> Value>,
}

impl<T> Kind<T> {
    fn new(
        allowed: impl Into<String>,
        parse: impl Fn(&Value, &Origin) -> Option<T> + 'static,
        show: impl Fn(&T) -> Value + 'static,
    ) -> Self {
        Self {
            allowed: allowed.into(),
            words: Vec::new(),
            textual: false,
            parse: Box::new(parse),
            show: Box::new(show),
        }
    }

    fn textual(self) -> Self {
        Self { textual: true, ..self }
    }
}

/// `true` or `false`.
pub(super) fn flag() -> Kind<bool> {
    Kind::new("true or false", |v, _| v.as_bool(), |v| Value::Boolean(*v))
}

/// A whole number.
pub(super) fn int<T>(range: RangeInclusive<T>) -> Kind<T>
where
    T: TryFrom<i64> + TryInto<i64> + PartialOrd + Copy + Display + 'static,
{
    let allowed = format!("a whole number from {} to {}", range.start(), range.end());
    Kind::new(
        allowed,
        move |v, _| v.as_integer().and_then(|n| T::try_from(n).ok()).filter(|n| range.contains(n)),
        // The bounds of every key lie within i64.
        |n| Value::Integer((*n).try_into().unwrap_or(i64::MAX)),
    )
}

/// A number, whole or not.
pub(super) fn float(range: RangeInclusive<f32>) -> Kind<f32> {
    let allowed = format!("a number from {} to {}", range.start(), range.end());
    Kind::new(
        allowed,
        move |v, _| v.as_float().or(v.as_integer().map(|n| n as f64)).map(|n| n as f32).filter(|n| range.contains(n)),
        // By way of the decimal writing: 0.1f32 as f64 would be written 0.10000000149.
        |n| Value::Float(n.to_string().parse().unwrap_or(f64::from(*n))),
    )
}

/// A duration with its unit.
pub(super) fn time(range: RangeInclusive<Duration>) -> Kind<Duration> {
    let (low, high) = (duration::format(*range.start()), duration::format(*range.end()));
    Kind::new(
        format!("a duration with its unit, such as \"300ms\", \"1.5s\" or \"2m\", from {low} to {high}"),
        move |v, _| v.as_str().and_then(duration::parse).filter(|d| range.contains(d)),
        |d| Value::String(duration::format(*d)),
    )
}

/// One word of a list.
pub(super) fn choice<T: Copy + PartialEq + 'static>(words: Words<T>) -> Kind<T> {
    let names: Vec<_> = words.iter().map(|(name, _)| *name).collect();
    let allowed = names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(" or ");
    let kind = Kind::new(
        allowed,
        |v, _| words.iter().find(|(name, _)| v.as_str() == Some(name)).map(|(_, value)| *value),
        |value| Value::String(words.iter().find(|(_, v)| v == value).map_or("", |(name, _)| name).into()),
    );
    Kind { words: names, ..kind.textual() }
}

/// A text of at least one character, on one line.
pub(super) fn text() -> Kind<String> {
    Kind::new("a text that is not empty", |v, _| line(v).map(str::to_owned), |s| Value::String(s.clone())).textual()
}

/// A path; a relative one begins at the folder of the file that names it.
pub(super) fn path() -> Kind<PathBuf> {
    Kind::new("the path of a file or folder", |v, origin| line(v).map(|p| resolve(p, origin)), show_path).textual()
}

/// A program: a path where there is a slash in it, else a name that is looked for in `PATH`.
pub(super) fn program() -> Kind<PathBuf> {
    let parse = |v: &Value, origin: &Origin| {
        line(v).map(|p| if p.contains('/') { resolve(p, origin) } else { PathBuf::from(p) })
    };
    Kind::new("a program's name or path", parse, show_path).textual()
}

/// A model: a name of the manifest, or a path where there is a slash in it or it ends as a model's file does.
pub(super) fn model(extension: &'static str) -> Kind<String> {
    let parse = move |v: &Value, origin: &Origin| {
        let is_path = |s: &str| s.contains('/') || s.ends_with(extension);
        line(v).map(|s| if is_path(s) { resolve(s, origin).to_string_lossy().into_owned() } else { s.to_owned() })
    };
    Kind::new(format!("a name of the manifest or the path of a {extension} file"), parse, |s| Value::String(s.clone()))
        .textual()
}

/// Scheme, host and port, as the requests need them (no slash at the end).
pub(super) fn base_url() -> Kind<String> {
    let parse = |v: &Value, _: &Origin| {
        let url = url::Url::parse(line(v)?).ok()?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let http = matches!(url.scheme(), "http" | "https");
        (http && bare && url.has_host()).then(|| url.as_str().trim_end_matches('/').to_owned())
    };
    Kind::new(
        "an http or https URL of scheme, host and port alone, such as \"https://api.anthropic.com\"",
        parse,
        |s| Value::String(shown(s)),
    )
    .textual()
}

/// A list of at least one, none twice. A flag or a variable may write it as words with commas between.
pub(super) fn list<T: PartialEq + 'static>(of: Kind<T>) -> Kind<Vec<T>> {
    let Kind { allowed, words, parse, show, .. } = of;
    let parse_all = move |v: &Value, origin: &Origin| {
        let single;
        let items = match v {
            Value::Array(items) => items,
            Value::String(s) if !matches!(origin, Origin::File { .. }) => {
                single = s.split(',').map(|word| Value::String(word.trim().into())).collect::<Vec<_>>();
                &single
            }
            _ => return None,
        };
        let mut all = Vec::new();
        for item in items {
            let item = parse(item, origin).filter(|item| !all.contains(item))?;
            all.push(item);
        }
        (!all.is_empty()).then_some(all)
    };
    let show_all = move |all: &Vec<T>| Value::Array(all.iter().map(&show).collect());
    let kind =
        Kind::new(format!("a list in brackets of at least one, none twice, each {allowed}"), parse_all, show_all);
    Kind { words, ..kind }
}

fn line(value: &Value) -> Option<&str> {
    value.as_str().filter(|s| !s.trim().is_empty() && !s.contains(char::is_control))
}

fn resolve(path: &str, origin: &Origin) -> PathBuf {
    let base = match origin {
        Origin::File { path, .. } => path.parent().unwrap_or(Path::new("")),
        _ => Path::new(""),
    };
    let path = base.join(path);
    // Absolute, so that the configuration that is printed is good from everywhere. This fails only where the
    // working directory is gone; then the relative path is as good as any.
    std::path::absolute(&path).unwrap_or(path)
}

// Used as the `show` of a Kind<PathBuf>, which wants exactly this type.
#[allow(clippy::ptr_arg)]
fn show_path(path: &PathBuf) -> Value {
    Value::String(path.to_string_lossy().into_owned())
}
