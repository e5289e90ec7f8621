//! Rules between keys: each value is allowed alone, together they cannot work.

use super::duration::format as time;
use super::reader::Reader;
use super::settings::*;

/// Adds a fault for each rule that is broken.
pub(super) fn check(config: &Config, r: &mut Reader<'_>) {
    let Config { language, capture, playback, wake, endpoint, claude, .. } = config;

    if !language.listen.contains(&language.speak) {
        r.rule(
            &["language.speak", "language.listen"],
            "language.speak must be one of language.listen: it is the answer's language where none was detected",
        );
    }

    for (section, period, buffer) in
        [("audio.capture", capture.period, capture.buffer), ("audio.playback", playback.period, playback.buffer)]
    {
        if buffer < period * 2 {
            r.rule(
                &[&format!("{section}.buffer"), &format!("{section}.period")],
                format!("{section}.buffer ({}) must be at least two periods of {}", time(buffer), time(period)),
            );
        }
    }
    if let (Some(channel), Some(channels)) = (capture.channel, capture.channels)
        && channel >= channels
    {
        r.rule(
            &["audio.capture.channel", "audio.capture.channels"],
            format!("audio.capture.channel counts from 0 and must be below audio.capture.channels ({channels})"),
        );
    }

    let lines = [("wake.button", &wake.button), ("wake.led", &wake.led), ("wake.mute", &wake.mute)];
    for (index, (first, a)) in lines.iter().enumerate() {
        for (second, b) in lines.iter().skip(index + 1) {
            if let (Some(a), Some(b)) = (a, b)
                && same_line(&a.line, &b.line)
            {
                let keys = [second, first].map(|s| [format!("{s}.name"), format!("{s}.line"), format!("{s}.chip")]);
                let keys: Vec<&str> = keys.as_flattened().iter().map(String::as_str).collect();
                r.rule(&keys, format!("[{first}] and [{second}] are the same GPIO line; each needs its own"));
            }
        }
    }
    if wake.led.as_ref().is_some_and(|led| led.bias != Bias::AsIs) {
        r.rule(&["wake.led.bias"], "an output has no pull resistor: leave it \"as-is\"");
    }

    for ((short, low), (long, high)) in [
        (("endpoint.silence_min", endpoint.silence_min), ("endpoint.silence", endpoint.silence)),
        (("endpoint.silence", endpoint.silence), ("endpoint.silence_max", endpoint.silence_max)),
    ] {
        if low > high {
            r.rule(&[short, long], format!("{short} must not be longer than {long} ({})", time(high)));
        }
    }
    for (key, limit) in [("endpoint.silence", endpoint.silence), ("endpoint.no_speech", endpoint.no_speech)] {
        if limit > endpoint.max_turn {
            let max = time(endpoint.max_turn);
            r.rule(&[key, "endpoint.max_turn"], format!("{key} must not be longer than endpoint.max_turn ({max})"));
        }
    }

    check_model(claude, r);
}

/// What the models refuse with a 400. A model that is not known here is left to the API's own answer.
fn check_model(claude: &ClaudeSettings, r: &mut Reader<'_>) {
    if claude.model.starts_with("claude-haiku-4-5") && claude.effort != Effort::None {
        r.rule(
            &["claude.effort", "claude.model"],
            format!("{} does not support effort: set claude.effort = \"none\"", claude.model),
        );
    }
    if claude.model.starts_with("claude-haiku-5-5")
        && claude.thinking == Thinking::Disabled
        && claude.effort == Effort::Max
    {
        r.rule(
            &["claude.effort", "claude.thinking", "claude.model"],
            format!(
                "{} refuses effort \"max\" with thinking \"disabled\": take \"high\" at most, or thinking \"adaptive\"",
                claude.model
            ),
        );
    }
}

fn same_line(a: &LineName, b: &LineName) -> bool {
    let short = |chip: &str| chip.strip_prefix("/dev/").unwrap_or(chip).to_owned();
    match (a, b) {
        (LineName::Name(a), LineName::Name(b)) => a == b,
        (LineName::Offset { chip: a, offset: i }, LineName::Offset { chip: b, offset: j }) => {
            i == j && short(a) == short(b)
        }
        // A name and an offset may be one line; only the kernel knows, and its "busy" says so.
        _ => false,
    }
}
