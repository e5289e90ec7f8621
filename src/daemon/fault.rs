//! `elio fault`: what systemd starts when the service has given up. The LED blinks, Elio says so once, the journal has an
//! entry with the mend. It loads no model, and nothing that is missing ends it: it stays until it is stopped.

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;

use super::milestone::FAULT_ID;
use super::publish::BLINK;
use crate::audio::{AlsaPlaybackHost, AudioError, Playback, PlaybackEvent};
use crate::config::{Config, Language, TtsSettings, WakeSettings};
use crate::tts::{KeptLines, Spoken, espeak_line};
use crate::turn::Phrase;
use crate::wake::Wake;

/// A LED or a sound card that is not there is tried again this often.
const AGAIN: Duration = Duration::from_secs(5);
/// The line's playback number.
const LINE: u64 = 1;

/// Shows the fault until `until`.
pub async fn show_fault(config: &Config, until: CancellationToken) {
    log::error!(
        MESSAGE_ID = FAULT_ID;
        "elio has stopped and is not started again by itself: `journalctl -u elio` says why; mend that, then `systemctl \
         reset-failed elio` and `systemctl start elio`"
    );
    let said = async {
        let (state_dir, tts, language) = (config.daemon.state_dir.clone(), config.tts.clone(), config.language.speak);
        let line = tokio::task::spawn_blocking(move || line(&KeptLines::of_any_voice(&state_dir), &tts, language));
        match line.await.ok().flatten() {
            Some(line) => say(line, &|| open(config)).await,
            None => {
                log::warn!("nothing says it aloud: no line is kept in daemon.state_dir, and espeak-ng does not speak")
            }
        }
    };
    let shown = async { tokio::join!(blink(&config.wake, until.clone()), said) };
    until.run_until_cancelled(shown).await;
}

fn open(config: &Config) -> Result<(Playback, UnboundedReceiver<PlaybackEvent>), AudioError> {
    Playback::start(Box::new(AlsaPlaybackHost::new(&config.playback)), &config.playback)
}

/// The sound of the line, by the voice that spoke last or by espeak-ng.
fn line(kept: &KeptLines, settings: &TtsSettings, language: Language) -> Option<Spoken> {
    let text = Phrase::Stopped.text(language);
    kept.find(language, text).or_else(|| {
        let spoken = espeak_line(settings, language, text);
        spoken.inspect_err(|error| log::warn!("{error}")).ok()
    })
}

/// Blinks the status LED, once it is there.
async fn blink(settings: &WakeSettings, until: CancellationToken) {
    if settings.led.is_none() {
        return;
    }
    let led = WakeSettings { button: None, mute: None, ..settings.clone() };
    let mut told = false;
    let lines = loop {
        match Wake::start(&led, until.clone(), unbounded_channel().0) {
            Ok(lines) => break lines,
            Err(error) if !std::mem::replace(&mut told, true) => log::warn!("{error}"),
            Err(_) => {}
        }
        sleep(AGAIN).await;
    };
    let mut ticks = interval(BLINK);
    let mut lit = false;
    loop {
        ticks.tick().await;
        lit = !lit;
        lines.led(lit);
    }
}

/// Says the line once, to its end, as soon as there is a speaker; then the speaker is closed.
async fn say(
    line: Spoken,
    open: &(dyn Fn() -> Result<(Playback, UnboundedReceiver<PlaybackEvent>), AudioError> + Sync),
) {
    let mut told = false;
    loop {
        match open() {
            Ok((playback, events)) => {
                playback.begin(LINE);
                playback.push(LINE, line.rate, &line.samples);
                playback.finish(LINE);
                if is_heard(events).await {
                    log::info!("it was said aloud");
                    return;
                }
            }
            Err(error) if !std::mem::replace(&mut told, true) => log::warn!("{error}"),
            Err(_) => {}
        }
        sleep(AGAIN).await;
    }
}

/// The line has been played to its end; not: the speaker went away.
async fn is_heard(mut events: UnboundedReceiver<PlaybackEvent>) -> bool {
    while let Some(event) = events.recv().await {
        match event {
            PlaybackEvent::Ended { completed, at, .. } => {
                // The end is still in the device's queue.
                sleep(at.since(crate::clock::Mono::now())).await;
                return completed;
            }
            PlaybackEvent::Lost(_) => return false,
            PlaybackEvent::FirstAudible { .. } | PlaybackEvent::Returned => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::audio::{PlaybackTap, WavPlaybackHost};
    use crate::clock::Mono;

    fn spoken(length: usize) -> Spoken {
        let then = Mono::from_nanos(1);
        Spoken {
            samples: vec![0.5; length],
            rate: 16_000,
            lead_silence: Duration::ZERO,
            first_pcm: then,
            done: then,
            voice: "v".into(),
            fallback: false,
            cached: true,
        }
    }

    #[test]
    fn the_line_is_the_last_voices_and_else_espeaks_and_no_espeak_is_no_panic() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::default();
        let any = KeptLines::of_any_voice(dir.path());
        let by_espeak = line(&any, &config.tts, Language::Fr).unwrap();
        assert!(by_espeak.fallback && by_espeak.samples.len() > 20_000);
        let nowhere = TtsSettings { espeak: "/nowhere".into(), ..config.tts.clone() };
        assert!(line(&any, &nowhere, Language::Fr).is_none());
        let of_voice = KeptLines::of(dir.path(), &config.tts, &[]);
        of_voice.write(Language::Fr, Phrase::Stopped.text(Language::Fr), &spoken(100)).unwrap();
        assert_eq!(line(&any, &nowhere, Language::Fr).unwrap().samples.len(), 100);
    }

    #[tokio::test]
    async fn it_is_said_once_as_soon_as_there_is_a_speaker() {
        let (tap, host) = PlaybackTap::new(Box::new(WavPlaybackHost), Duration::from_secs(5));
        let (host, tries) = (Mutex::new(Some(host)), AtomicU32::new(0));
        let settings = Config::default().playback;
        let from = Mono::now();
        let open = || {
            if tries.fetch_add(1, Ordering::Relaxed) == 0 {
                return Err(AudioError::Busy { device: "default".into() });
            }
            Playback::start(host.lock().unwrap().take().expect("once"), &settings)
        };
        say(spoken(1_600), &open).await;
        assert_eq!(tries.load(Ordering::Relaxed), 2);
        let heard = tap.take(from, Mono::now());
        let loud = heard.samples.iter().filter(|sample| sample.unsigned_abs() > 8_000).count();
        // 100 ms, but for the edges that the resampler rounds.
        assert!(loud.abs_diff(heard.rate as usize / 10) < heard.rate as usize / 100, "{loud} at {}", heard.rate);
    }
}
