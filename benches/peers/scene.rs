//! What both detectors hear: sentences with a pause in them, in rooms that are quiet or not, and rooms without a voice.

use std::error::Error;
use std::ops::Range;
use std::path::Path;

use elio::audio::wav::noise::Noise;
use elio::audio::wav::{Clip, ROOM_DBFS};
use elio::audio::{RATE, convert};
use elio::bench::{Clips, pauses};

/// Samples of a slice of 10 ms, in which the truth is told.
pub const SLICE: usize = RATE as usize / 100;
/// Level of the speech, RMS in dBFS, as speech is usually put before it is measured on.
const SPEECH_DBFS: f32 = -26.0;
/// The same of a voice at two metres from a microphone without gain.
const SOFT_DBFS: f32 = -50.0;
/// Below the clean clip's loud slices by more than this is no speech, in dB.
const SPEECH_RANGE: f32 = 35.0;
/// A gap in the energy that is shorter is part of the word, in slices; the pauses are 30 to 90.
const CLOSURE: usize = 20;
/// A sound that is shorter is no speech, in slices.
const CLICK: usize = 5;
/// Silence before and after a sentence, in samples.
const BEFORE: usize = RATE as usize;
const AFTER: usize = RATE as usize * 5 / 2;
/// Voices in the babble.
const TALKERS: usize = 8;
/// Length of a room without a voice, in samples.
const EMPTY: usize = RATE as usize * 120;
/// Sentences with a pause, in each room: every clip twice.
const TURNS: usize = 56;

/// A person who speaks, turn by turn, without any noise.
pub struct Speech {
    sound: Vec<f32>,
    /// The turns: half a second of silence, the sentence with its pause, the silence after it.
    pub turns: Vec<Turn>,
}

/// One sentence with a pause.
pub struct Turn {
    /// Its samples.
    pub range: Range<usize>,
    /// The samples in which there is speech, silences of [`CLOSURE`] or longer between them.
    pub parts: Vec<Range<usize>>,
}

/// A room, as the microphone hears it.
pub struct Scene {
    pub name: String,
    pub sound: Vec<f32>,
    /// Somebody speaks in it, at the places that [`Speech`] tells.
    pub spoken: bool,
}

/// The speech, and every room.
pub fn all() -> Result<(Speech, Vec<Scene>), Box<dyn Error>> {
    let clips = Clips::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/clips"))?;
    let mut speech = Speech { sound: Vec::new(), turns: Vec::new() };
    for paused in pauses::draw(&clips.sentences, TURNS, 4) {
        speech.add(&levelled(&paused.sound));
    }
    let crowd: Vec<f32> = clips.sentences.iter().flat_map(|sentence| levelled(&sentence.sound)).collect();
    let length = speech.sound.len();

    let mut scenes = vec![
        spoken("quiet room", &speech, SPEECH_DBFS, &at(ROOM_DBFS, white(length))),
        spoken("quiet room, soft voice", &speech, SOFT_DBFS, &at(ROOM_DBFS, white(length))),
    ];
    for (name, noise) in [("white", white(length)), ("pink", pink(length)), ("babble", babble(&crowd, length))] {
        for snr in [20.0, 10.0, 5.0] {
            let noise = at(SPEECH_DBFS - snr, noise.clone());
            scenes.push(spoken(&format!("{name}, {snr} dB"), &speech, SPEECH_DBFS, &noise));
        }
    }
    scenes.push(Scene { name: "digital silence".into(), sound: vec![0.0; EMPTY], spoken: false });
    for dbfs in [-60.0, -40.0] {
        for (name, noise) in [("white", white(EMPTY)), ("pink", pink(EMPTY)), ("babble", babble(&crowd, EMPTY))] {
            scenes.push(Scene { name: format!("{name}, {dbfs} dBFS"), sound: at(dbfs, noise), spoken: false });
        }
    }
    Ok((speech, scenes))
}

impl Scene {
    /// The babble is so loud that its voices are speech themselves.
    pub fn is_drowned(&self) -> bool {
        self.name.starts_with("babble") && !self.name.contains("20")
    }
}

impl Speech {
    fn add(&mut self, sentence: &[f32]) {
        self.sound.extend(std::iter::repeat_n(0.0, BEFORE));
        let start = self.sound.len();
        self.sound.extend(sentence);
        self.sound.extend(std::iter::repeat_n(0.0, AFTER));
        let parts = parts(sentence).into_iter().map(|part| start + part.start..start + part.end).collect();
        self.turns.push(Turn { range: start - BEFORE / 2..self.sound.len(), parts });
    }
}

/// Where the clean sentence has speech.
fn parts(sentence: &[f32]) -> Vec<Range<usize>> {
    let levels: Vec<f32> = sentence.chunks(SLICE).map(dbfs).collect();
    let threshold = loud(&levels) - SPEECH_RANGE;
    let mut parts: Vec<Range<usize>> = Vec::new();
    for (n, _) in levels.iter().enumerate().filter(|(_, level)| **level > threshold) {
        match parts.last_mut() {
            Some(part) if n - part.end < CLOSURE => part.end = n + 1,
            _ => parts.push(n..n + 1),
        }
    }
    parts.retain(|part| part.len() >= CLICK);
    parts.iter().map(|part| part.start * SLICE..part.end * SLICE).collect()
}

/// The level that one slice in twenty is louder than, in dBFS.
fn loud(levels: &[f32]) -> f32 {
    let mut sorted = levels.to_vec();
    sorted.sort_by(f32::total_cmp);
    sorted.get(sorted.len() * 19 / 20).copied().unwrap_or(f32::MIN)
}

/// A clip at 16 kHz, its speech at [`SPEECH_DBFS`].
fn levelled(clip: &Clip) -> Vec<f32> {
    let sound = convert::resample(&clip.samples, clip.rate, RATE);
    let speech: Vec<f32> = parts(&sound).into_iter().flat_map(|part| sound[part].to_vec()).collect();
    amplified(sound, SPEECH_DBFS - dbfs(&speech))
}

fn spoken(name: &str, speech: &Speech, level: f32, noise: &[f32]) -> Scene {
    let voice = amplified(speech.sound.clone(), level - SPEECH_DBFS);
    let sound = voice.iter().zip(noise).map(|(voice, noise)| voice + noise).collect();
    Scene { name: name.into(), sound, spoken: true }
}

fn white(length: usize) -> Vec<f32> {
    let mut noise = Noise::new(11, -20.0);
    (0..length).map(|_| noise.next()).collect()
}

/// White noise through Paul Kellet's filter: −3 dB an octave, to 0.5 dB.
fn pink(length: usize) -> Vec<f32> {
    const POLES: [(f32, f32); 3] = [(0.997_65, 0.099_046), (0.963, 0.296_516_4), (0.57, 1.052_691_3)];
    let mut state = [0.0; 3];
    let filter = |white: f32| {
        for (value, (pole, gain)) in state.iter_mut().zip(POLES) {
            *value = *value * pole + white * gain;
        }
        state.iter().sum::<f32>() + white * 0.184_8
    };
    white(length).into_iter().map(filter).collect()
}

/// All clips one after another, by several voices that are at different places of them.
fn babble(crowd: &[f32], length: usize) -> Vec<f32> {
    let at = |n: usize| (0..TALKERS).map(|talker| crowd[(n + crowd.len() * talker / TALKERS) % crowd.len()]).sum();
    (0..length).map(at).collect()
}

/// The sound at this level, RMS in dBFS.
fn at(level: f32, sound: Vec<f32>) -> Vec<f32> {
    let gain = level - dbfs(&sound);
    amplified(sound, gain)
}

fn amplified(mut sound: Vec<f32>, db: f32) -> Vec<f32> {
    let gain = 10f32.powf(db / 20.0);
    sound.iter_mut().for_each(|sample| *sample *= gain);
    sound
}

fn dbfs(sound: &[f32]) -> f32 {
    let power = sound.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / sound.len().max(1) as f64;
    10.0 * power.max(1e-20).log10() as f32
}
