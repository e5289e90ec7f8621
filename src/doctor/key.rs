//! The API key: where it was found, who can read it, whether the API takes it, and whether the model exists; and the
//! prompt's size against what the model caches. Nothing here costs a token, and nothing shows the key.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Finding, Patient};
use crate::claude::{ApiKey, ApiKind, Claude, ClaudeError, Prefix, min_cacheable};

/// Where the unit takes its credential from.
const OF_THE_UNIT: &str = "/etc/elio/anthropic-api-key";
const PUT: &str =
    "`sudo install -m 600 /dev/stdin /etc/elio/anthropic-api-key`, paste the key, Ctrl-D; `systemctl restart elio`";

/// The key as the service would find it, and the file that it was read from, if any. Outside of the unit there is no
/// credential: then the file that the unit makes it of.
pub(super) fn found(patient: &Patient) -> Result<(ApiKey, Option<PathBuf>), ClaudeError> {
    let settings = patient.config().claude;
    let env = |name: &str| patient.machine.env(name);
    let of_the_unit = patient.machine.path(OF_THE_UNIT);
    match ApiKey::find(&settings, env) {
        Ok(key) => {
            let credential = env("CREDENTIALS_DIRECTORY").map(|folder| PathBuf::from(folder).join("anthropic-api-key"));
            let file = credential.filter(|file| file.exists()).or(settings.key_file.filter(|file| file.exists()));
            Ok((key, file))
        }
        Err(none @ ClaudeError::NoKey { .. }) => match fs::read_to_string(&of_the_unit) {
            Ok(text) => Ok((ApiKey::new(&text, OF_THE_UNIT.to_owned())?, Some(of_the_unit))),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Err(ClaudeError::BadKey {
                place: OF_THE_UNIT.to_owned(),
                fault: "is there, and only root may read it".to_owned(),
            }),
            Err(_) => Err(none),
        },
        Err(other) => Err(other),
    }
}

fn client(patient: &Patient) -> Result<(Claude, ApiKey, Option<PathBuf>), ClaudeError> {
    let config = patient.config();
    let (key, file) = found(patient)?;
    let prefix = Prefix::new(&config.claude, &config.language.listen)?;
    Ok((Claude::new(&config.claude, key.clone(), prefix)?, key, file))
}

pub(super) async fn check(patient: Arc<Patient>) -> Vec<Finding> {
    let (claude, key, file) = match client(&patient) {
        Ok(client) => client,
        Err(error @ ClaudeError::BadKey { .. }) if error.to_string().contains("only root") => {
            return vec![Finding::skipped(error).mend("run this with sudo")];
        }
        Err(error @ (ClaudeError::NoKey { .. } | ClaudeError::BadKey { .. })) => {
            return vec![Finding::fault(error, PUT)];
        }
        Err(error) => return vec![Finding::fault(error, "correct [claude]")],
    };
    let safe = kept(&key, file);
    let model = patient.config().claude.model;
    let valid = match claude.connect().await {
        Ok(()) => Finding::ok(format!("the API takes it, and knows {model}")).figure("model", model),
        Err(error) => refused(&error),
    };
    claude.close().await;
    vec![safe, valid]
}

/// Where it came from, and whether others can read it there.
fn kept(key: &ApiKey, file: Option<PathBuf>) -> Finding {
    let place = key.place();
    let mode = file.as_ref().and_then(|file| fs::metadata(file).ok()).map(|meta| meta.mode() & 0o777);
    let finding = match (&file, mode) {
        (Some(file), Some(mode)) if mode & 0o007 != 0 => Finding::fault(
            format!("found in {place}, which every user can read (mode {mode:03o})"),
            format!("`sudo chmod 600 {}`; whoever may have read it: replace the key", file.display()),
        ),
        (Some(_), Some(mode)) => Finding::ok(format!("found in {place} (mode {mode:03o})")),
        _ => Finding::ok(format!("found in {place}")),
    };
    finding.figure("place", place)
}

/// What the API or the way to it says.
fn refused(error: &ClaudeError) -> Finding {
    let kind = error.kind();
    let finding = match error {
        ClaudeError::Api(fault) => match fault.kind {
            ApiKind::Key => Finding::fault(error, PUT),
            ApiKind::NotFound => Finding::fault(error, "set claude.model to a model that the API knows"),
            ApiKind::Billing | ApiKind::SpendCap => Finding::fault(error, "look at the account's billing and limits"),
            ApiKind::Forbidden => Finding::fault(error, "give the key's workspace this model, or take another key"),
            ApiKind::RateLimited | ApiKind::Overloaded | ApiKind::Server | ApiKind::Timeout => {
                Finding::warning(error, "try again later")
            }
            _ => Finding::fault(error, "check [claude]"),
        },
        ClaudeError::Protocol { .. } | ClaudeError::Setting { .. } => Finding::fault(error, "check [claude]"),
        _ => Finding::skipped(format!("not asked: {error}")).mend("look at the check network"),
    };
    finding.figure("error", kind)
}

pub(super) async fn cache(patient: Arc<Patient>) -> Vec<Finding> {
    let claude = match client(&patient) {
        Ok((claude, ..)) => claude,
        Err(error) => return vec![Finding::skipped(format!("not counted: {error}"))],
    };
    let counted = claude.count_prefix().await;
    claude.close().await;
    let model = patient.config().claude.model;
    vec![match counted {
        Ok(tokens) => size(&model, tokens),
        // The reason stands beside the key.
        Err(error) => Finding::skipped(format!("not counted: {error}")),
    }]
}

/// `tokens`: of the prompt, and some few of the message that it was counted with.
fn size(model: &str, tokens: u64) -> Finding {
    let floor = u64::from(min_cacheable(model));
    let said = format!("the prompt has {tokens} tokens by the API's count; {model} caches {floor} and more");
    let finding = if tokens < floor {
        Finding::warning(
            format!("{said}: nothing is cached, every answer begins later and costs the whole prompt"),
            format!(
                "make claude.instructions_file some {} tokens longer, or choose another claude.model",
                floor - tokens
            ),
        )
    } else {
        Finding::ok(said)
    };
    finding.figure("prefix_tokens", tokens).figure("floor_tokens", floor)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::doctor::tests::{demo, sim, tree};
    use crate::doctor::{Machine, Verdict};
    use crate::sim::{SimHandle, SimOptions};

    const KEY: &str = "sk-secret-0123456789";

    /// A machine whose key is the unit's, in a file of this mode.
    fn machine(mode: u32) -> (tempfile::TempDir, Machine) {
        let (root, machine) = tree(&[("etc/elio/anthropic-api-key", &format!("{KEY}\n"))]);
        fs::set_permissions(machine.path(OF_THE_UNIT), fs::Permissions::from_mode(mode)).unwrap();
        (root, machine)
    }

    async fn api(key: &str) -> (tempfile::TempDir, SimHandle, [String; 2]) {
        let dir = tempfile::tempdir().unwrap();
        let options = SimOptions { key: Some(key.to_owned()), ..SimOptions::new(dir.path()) };
        let (handle, set) = sim(options).await;
        (dir, handle, set)
    }

    fn shows_no_key(found: &[Finding]) {
        assert!(!format!("{found:?}").contains("sk-secret"), "{found:?}");
    }

    #[tokio::test]
    async fn a_good_key_is_found_where_the_unit_has_it_and_costs_nothing() {
        let (_dir, sim, set) = api(KEY).await;
        let (_root, machine) = machine(0o600);
        let patient = Arc::new(demo(machine, &[&set[0], &set[1]]));
        let found = check(patient.clone()).await;
        assert!(found.iter().all(|finding| finding.verdict == Verdict::Ok), "{found:?}");
        assert!(found[0].finding.contains("mode 600"), "{found:?}");
        let size = &cache(patient).await[0];
        assert!(size.verdict == Verdict::Ok && size.figures["prefix_tokens"].as_u64() > Some(512), "{size:?}");
        shows_no_key(&found);
        assert!(sim.requests().iter().all(|request| request.path != "/v1/messages"), "it spent tokens");
    }

    #[tokio::test]
    async fn a_wrong_key_an_open_file_and_a_model_that_is_not_there_are_faults() {
        let (_dir, _sim, set) = api("another").await;
        let (_root, machine) = machine(0o644);
        let found = check(Arc::new(demo(machine, &[&set[0], &set[1]]))).await;
        assert_eq!([found[0].verdict, found[1].verdict], [Verdict::Fault; 2], "{found:?}");
        assert!(
            found[0].mend.as_ref().unwrap().contains("chmod 600") && found[1].figures["error"] == "key",
            "{found:?}"
        );
        shows_no_key(&found);

        let (_dir, _sim, set) = api(KEY).await;
        let (_root, machine) = self::machine(0o640);
        let patient = Arc::new(demo(machine, &[&set[0], &set[1], "claude.model=\"claude-nobody\""]));
        let found = check(patient.clone()).await;
        assert!(found[0].verdict == Verdict::Ok && found[1].figures["error"] == "not_found", "{found:?}");
        assert_eq!(cache(patient).await[0].verdict, Verdict::Skipped);
    }

    #[tokio::test]
    async fn no_key_names_the_places_and_no_network_is_not_the_keys_fault() {
        let (_root, none) = tree(&[]);
        let found = check(Arc::new(demo(none, &[]))).await;
        assert!(found.len() == 1 && found[0].verdict == Verdict::Fault && found[0].finding.contains("no API key"));
        let (_root, machine) = machine(0o600);
        let found = check(Arc::new(demo(machine, &["claude.base_url=\"https://127.0.0.1:1\""]))).await;
        assert_eq!([found[0].verdict, found[1].verdict], [Verdict::Ok, Verdict::Skipped], "{found:?}");
    }

    #[test]
    fn a_prompt_below_the_floor_is_told_with_what_is_missing() {
        assert_eq!(size("claude-haiku-5-5", 1750).verdict, Verdict::Ok);
        let small = size("claude-haiku-4-5", 1750);
        assert!(small.verdict == Verdict::Warning && small.mend.unwrap().contains("2346 tokens longer"));
    }
}
