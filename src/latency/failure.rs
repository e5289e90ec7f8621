//! A failed turn in words: a line of the log beside its record, with a `MESSAGE_ID` of its own, under which
//! `systemd/elio.catalog` has the explanation and the mend. `journalctl -x` shows it below the line.

use super::{Outcome, Record};

/// Ways in which a turn fails that have one explanation and one mend.
struct Failure {
    /// `MESSAGE_ID` of the line.
    id: &'static str,
    /// What the line says, and the catalog's subject after `The turn failed: `.
    means: &'static str,
    /// The words in `outcome = failed:…`.
    kinds: &'static [&'static str],
}

/// The last one is for any other word.
const FAILURES: [Failure; 14] = [
    Failure { id: "0284316edce24b2a894ee07815c9456c", means: "Claude cannot be reached", kinds: &["offline"] },
    Failure { id: "94916ce8150a447984292fabb158965b", means: "Claude is not who it should be", kinds: &["tls"] },
    Failure {
        id: "d947e09876ee48b3ba5c90a0529b270b",
        means: "the network lost the answer",
        kinds: &["timeout", "cut"],
    },
    Failure { id: "9ee4eb091ff14134bf0a28d6f228c4a0", means: "the API key is refused", kinds: &["key"] },
    Failure {
        id: "8fbcab96ccd948ff9dd030d776653da1",
        means: "the account may not ask this",
        kinds: &["billing", "spend_cap", "forbidden"],
    },
    Failure {
        id: "ff6fa9b2676444a1993dbccd9b154f5d",
        means: "Claude does not take the request",
        kinds: &["config", "invalid_request", "not_found", "too_large", "protocol", "api"],
    },
    Failure {
        id: "83fc83bcbbdd495bae910ca66bfa51c0",
        means: "Claude is busy",
        kinds: &["rate_limited", "overloaded", "server", "conflict"],
    },
    Failure {
        id: "d84756be78d14a279c69782a3d205ad8",
        means: "Claude gave nothing to say",
        kinds: &["refused", "empty"],
    },
    Failure { id: "44270102875b40dbbe5202a263d074cd", means: "the microphone is gone", kinds: &["microphone"] },
    Failure { id: "501ff2882e2548229ee163510c954965", means: "the speaker is gone", kinds: &["speaker"] },
    Failure { id: "2f683ec0e7ef4d19a013690e83f9c542", means: "the microphone is switched off", kinds: &["muted"] },
    Failure { id: "a8ffe44c4b0f48418a5c385429f02d0e", means: "hearing failed", kinds: &["stt"] },
    Failure { id: "7cc9b3a5aec4416d8cdc32ba00229feb", means: "the voice failed", kinds: &["tts"] },
    Failure {
        id: "2701096563174deab41004165e1447dd",
        means: "it did not come to its end",
        kinds: &["stuck", "cancelled"],
    },
];

/// Logs the line of a record that failed; nothing for another. Its fields are not those of a record, so that nobody
/// counts the turn twice.
pub(super) fn explain(record: &Record) {
    let Outcome::Failed(kind) = &record.outcome else { return };
    let Some(Failure { id, means, .. }) = of(kind) else { return };
    log::warn!(
        MESSAGE_ID = *id, ELIO_FAILURE = kind.as_str(), ELIO_FAILED_TURN = record.turn_id.as_str();
        "turn {} failed: {means} ({kind})", record.turn_id
    );
}

fn of(kind: &str) -> Option<&'static Failure> {
    FAILURES.iter().find(|failure| failure.kinds.contains(&kind)).or(FAILURES.last())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::process::Command;

    use super::*;

    const CATALOG: &str = include_str!("../../systemd/elio.catalog");

    /// The word of one of the program's failures, wherever the source names one.
    fn words_of_the_source() -> HashSet<&'static str> {
        let quoted = |text: &'static str, before: &'static str| {
            text.split(before).skip(1).filter_map(|rest| rest.split('"').next())
        };
        let machine = include_str!("../turn/machine.rs");
        let answer = include_str!("../turn/answer.rs");
        let claude = include_str!("../claude/error.rs");
        let words = quoted(machine, "apologize(now, \"").chain(quoted(machine, "Failed(\""));
        let words = words.chain(quoted(answer, "Failure::new(\"")).chain(quoted(claude, "=> \""));
        words.filter(|word| !word.contains(' ')).collect()
    }

    #[test]
    fn each_way_to_fail_is_explained() {
        let words = words_of_the_source();
        for some in ["microphone", "speaker", "stt", "tts", "refused", "offline", "key", "spend_cap", "api"] {
            assert!(words.contains(some), "the sources are no longer read: {some} is not among {words:?}");
        }
        let explained: HashSet<_> = FAILURES.iter().flat_map(|failure| failure.kinds).copied().collect();
        assert_eq!(words, explained);
        assert_eq!(of("offline").map(|failure| failure.means), Some("Claude cannot be reached"));
        assert_eq!(of("never seen").map(|failure| failure.id), FAILURES.last().map(|failure| failure.id));
    }

    #[test]
    fn journalctl_knows_each_explanation_by_its_id() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("usr/lib/systemd/catalog");
        std::fs::create_dir_all(&folder).unwrap();
        // journalctl makes the file of the database, and not the folders above it.
        std::fs::create_dir_all(root.path().join("var/lib/systemd/catalog")).unwrap();
        std::fs::write(folder.join("elio.catalog"), CATALOG).unwrap();
        let journalctl = |what: &[&str]| {
            let output = Command::new("journalctl").arg("--root").arg(root.path()).args(what).output().unwrap();
            assert!(output.status.success(), "{what:?}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };
        journalctl(&["--update-catalog"]);
        let ids: HashSet<_> = FAILURES.iter().map(|failure| failure.id).collect();
        assert_eq!(ids.len(), FAILURES.len());
        for failure in &FAILURES {
            let listed = journalctl(&["--list-catalog", failure.id]);
            assert_eq!(listed.trim_end(), format!("{} Elio: The turn failed: {}", failure.id, failure.means));
            // Each says what to do, and that in a paragraph of its own.
            let text = journalctl(&["--dump-catalog", failure.id]);
            assert!(text.contains("@ELIO_FAILED_TURN@") && text.contains("\nMend: "), "{text}");
        }
    }
}
