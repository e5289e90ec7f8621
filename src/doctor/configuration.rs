//! Is the configuration good? The same faults as `elio check` reports.

use std::sync::Arc;

use super::{Finding, Patient};
use crate::config::Origin;

pub(super) async fn check(patient: Arc<Patient>) -> Vec<Finding> {
    match &patient.loaded {
        Ok(loaded) => {
            let set = loaded.effective.iter().filter(|key| key.origin != Origin::Default).count();
            let files: Vec<String> = loaded.files.iter().map(|file| file.display().to_string()).collect();
            let files = if files.is_empty() { "no file, the built-in defaults".to_owned() } else { files.join(", ") };
            vec![
                Finding::ok(format!("{files}; {set} keys set"))
                    .figure("keys_set", set)
                    .figure("files", loaded.files.len()),
            ]
        }
        Err(faults) => {
            let mend = "correct it; `elio check` shows every fault, `elio check --print` what is in force";
            faults.iter().map(|fault| Finding::fault(fault, mend)).collect()
        }
    }
}
