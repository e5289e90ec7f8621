//! SIGHUP: a good file takes the place of the running configuration as far as it can without a restart; a bad one
//! leaves it in force and says so.

use crate::config::{Config, changed_sections};

/// Sections whose every key takes effect at once, but for the models of `endpoint`.
const LIVE: [&str; 2] = ["endpoint", "latency"];

/// Reads the configuration again; none: the running one stays.
pub(super) fn apply(running: &Config, read: &dyn Fn() -> Result<Config, String>) -> Option<Config> {
    let next = match read() {
        Ok(next) => next,
        Err(faults) => {
            for fault in faults.lines() {
                log::error!("reload: {fault}");
            }
            log::error!("reload: the running configuration stays in force");
            return None;
        }
    };
    let changed = changed_sections(running, &next);
    if changed.is_empty() {
        log::info!("reload: nothing has changed");
    }
    for section in changed {
        if is_live(section, running, &next) {
            log::info!("reload: [{section}] is in force");
        } else {
            log::warn!(
                "reload: [{section}] has changed; what of it is bound to a device, a model or a connection \
                        takes effect at the next start"
            );
        }
    }
    Some(next)
}

/// All that has changed in the section takes effect at once.
fn is_live(section: &str, running: &Config, next: &Config) -> bool {
    let models = |of: &Config| (of.endpoint.turn_model.clone(), of.endpoint.vad.clone());
    LIVE.contains(&section) && (section != "endpoint" || models(running) == models(next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_file_leaves_the_running_configuration() {
        let running = Config::default();
        assert_eq!(apply(&running, &|| Err("elio.toml:3: endpoint.silence: …".into())), None);
    }

    #[test]
    fn a_good_file_is_taken() {
        let running = Config::default();
        let mut next = Config::default();
        next.endpoint.silence *= 2;
        assert!(is_live("endpoint", &running, &next) && !is_live("stt", &running, &next));
        let read = next.clone();
        assert_eq!(apply(&running, &move || Ok(read.clone())), Some(next));
    }

    #[test]
    fn another_turn_model_waits_for_the_next_start() {
        let mut next = Config::default();
        next.endpoint.turn_model = Some("smart-turn-v3.2".into());
        assert!(!is_live("endpoint", &Config::default(), &next));
        assert!(is_live("latency", &Config::default(), &next));
    }
}
