//! What of an answer the person has heard: conversation memory must not hold words that were cut off.

use std::time::Duration;

/// One chunk of an answer that went to the playback queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SpokenChunk {
    /// What Claude wrote for it.
    pub(super) written: String,
    /// Length of its sound.
    pub(super) audio: Duration,
}

/// The text of which `heard` has left the speaker: whole chunks, and of the one that was cut the words that fit.
pub(super) fn heard_text(chunks: &[SpokenChunk], heard: Duration) -> String {
    let mut text = String::new();
    let mut start = Duration::ZERO;
    for chunk in chunks {
        let end = start + chunk.audio;
        if heard >= end {
            text.push_str(&chunk.written);
        } else {
            if heard > start {
                let share = (heard - start).as_secs_f64() / chunk.audio.as_secs_f64();
                text.push_str(first_words(&chunk.written, share));
            }
            break;
        }
        start = end;
    }
    text.trim().to_owned()
}

/// The words that lie wholly in the first `share` (0 to 1) of the text, by characters.
fn first_words(text: &str, share: f64) -> &str {
    let keep = (text.chars().count() as f64 * share) as usize;
    let cut = text.char_indices().nth(keep).map_or(text.len(), |(at, _)| at);
    let (head, tail) = text.split_at(cut);
    if tail.starts_with(char::is_whitespace) || tail.is_empty() {
        return head;
    }
    head.rfind(char::is_whitespace).map_or("", |space| &head[..space])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks() -> Vec<SpokenChunk> {
        let chunk = |written: &str, ms| SpokenChunk { written: written.into(), audio: Duration::from_millis(ms) };
        vec![chunk("It is sunny. ", 1_000), chunk("Tomorrow brings rain to the coast.", 2_000)]
    }

    #[test]
    fn all_of_it_when_all_was_played() {
        let text = heard_text(&chunks(), Duration::from_millis(3_000));
        assert_eq!(text, "It is sunny. Tomorrow brings rain to the coast.");
    }

    #[test]
    fn the_cut_chunk_gives_only_whole_words() {
        assert_eq!(heard_text(&chunks(), Duration::from_millis(2_000)), "It is sunny. Tomorrow brings");
        assert_eq!(heard_text(&chunks(), Duration::from_millis(1_100)), "It is sunny.");
        assert_eq!(heard_text(&chunks(), Duration::ZERO), "");
    }
}
