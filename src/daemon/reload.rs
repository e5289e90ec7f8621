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
    let models = |config: &Config| (config.endpoint.vad.clone(), config.endpoint.turn_model.clone());
    for section in changed {
        if LIVE.contains(&section) && (section != "endpoint" || models(running) == models(&next)) {
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
        let read = next.clone();
        assert_eq!(apply(&running, &move || Ok(read.clone())), Some(next));
    }
}
