//! earshot and Silero, as Elio uses them, on the same sound: how well each tells speech, and what it costs.

use std::error::Error;
use std::path::Path;

use elio::audio::{FRAME, RATE, Vad};
use elio::bench::figures::percentile;
use elio::clock::Mono;

use super::measure::{Fit, Track};
use super::scene;

/// Both have this one by default.
const THRESHOLD: f32 = 0.5;
/// The others that are tried.
const THRESHOLDS: [f32; 7] = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

const HEAD: &str = "| AUC | missed % | invented % | onset ms P50, P95 | unheard | hangover ms P50, P95 \
    | ended after the silence + ms P50, P95 | cut off | not ended |";

/// Prints what both make of every scene, and what other thresholds would, as tables of Markdown.
pub fn run(silero: &Path, library: &Path) -> Result<(), Box<dyn Error>> {
    let (speech, scenes) = scene::all()?;
    let mut tracks = Vec::new();
    for scene in &scenes {
        let earshot = track(&scene.sound, Vad::default());
        let silero = track(&scene.sound, Vad::silero(silero, Some(library))?);
        tracks.push((scene, [("earshot", earshot), ("Silero", silero)]));
    }

    println!("\n| {} turns with a pause, in each room {HEAD}", speech.turns.len());
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for (scene, tracks) in tracks.iter().filter(|(scene, _)| scene.spoken) {
        for (name, track) in tracks {
            let fit = track.fit(THRESHOLD, &speech, &scene.sound);
            println!("| {}: {name} {}", scene.name, row(fit));
        }
    }
    println!("\n| nobody speaks: false triggers a minute | earshot | Silero |\n|---|---|---|");
    for (scene, tracks) in tracks.iter().filter(|(scene, _)| !scene.spoken) {
        let [earshot, silero] = tracks.each_ref().map(|(_, track)| per_minute(track, THRESHOLD));
        println!("| {} | {earshot:.1} | {silero:.1} |", scene.name);
    }
    println!("\n| threshold, over all rooms but those of loud babble {HEAD} triggers a minute |");
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for which in 0..2 {
        for threshold in THRESHOLDS {
            let (mut whole, mut name, mut triggers) = (Fit::default(), "", Vec::new());
            for (scene, tracks) in &tracks {
                let track = &tracks[which];
                name = track.0;
                if !scene.spoken {
                    triggers.push(per_minute(&track.1, threshold));
                } else if !scene.is_drowned() {
                    whole.add(track.1.fit(threshold, &speech, &scene.sound));
                }
            }
            println!("| {name}, {threshold} {} {:.1} |", row(whole), mean(&triggers));
        }
    }
    println!("\n| cost | a frame of 16 ms, µs mean, P95 | of a core % |\n|---|---|---|");
    for which in 0..2 {
        let (name, first) = &tracks[0].1[which];
        let frame_ms = first.step as f64 / f64::from(RATE) * 1e3;
        let mut costs: Vec<f64> = tracks.iter().flat_map(|(_, tracks)| tracks[which].1.cost_us.clone()).collect();
        let (cost, (_, p95)) = (mean(&costs), percentiles(&mut costs));
        println!("| {name} | {cost:.1}, {p95:.1} | {:.2} |", cost / frame_ms / 10.0);
    }
    Ok(())
}

fn row(mut fit: Fit) -> String {
    let begins = fit.onset_ms.len() + fit.unheard;
    format!(
        "| {:.4} | {:.1} | {:.1} | {} | {}/{begins} | {} | {} | {} | {} |",
        mean(&fit.auc),
        mean(&fit.missed) * 100.0,
        mean(&fit.invented) * 100.0,
        both(&mut fit.onset_ms),
        fit.unheard,
        both(&mut fit.hangover_ms),
        both(&mut fit.ended_ms),
        fit.cut,
        fit.unended,
    )
}

fn per_minute(track: &Track, threshold: f32) -> f64 {
    let minutes = (track.scores.len() * track.step) as f64 / f64::from(RATE) / 60.0;
    track.triggers(threshold) as f64 / minutes
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn track(sound: &[f32], mut vad: Vad) -> Track {
    let mut track = Track { step: FRAME, scores: Vec::new(), cost_us: Vec::new() };
    for frame in sound.as_chunks::<FRAME>().0 {
        let from = Mono::now();
        track.scores.push(vad.score(frame));
        track.cost_us.push(from.elapsed().as_secs_f64() * 1e6);
    }
    track
}

fn both(values: &mut [f64]) -> String {
    let (p50, p95) = percentiles(values);
    if p50.is_nan() { "–".into() } else { format!("{p50:.0}, {p95:.0}") }
}

/// NaN where there is no value.
fn percentiles(values: &mut [f64]) -> (f64, f64) {
    let mut at = |p: f64| percentile(values, p).unwrap_or(f64::NAN);
    (at(50.0), at(95.0))
}
