//! One voice: a VITS network with what turns text into its numbers, warm in a session of its own.
//!
//! Two interfaces are known, told apart by [`VoiceKind`] and then by the names of the network's inputs:
//!
//! * Piper: `input` (ids of phonemes), `input_lengths`, `scales` (noise, length, noise of the durations) and, with
//!   several speakers, `sid`.
//! * MMS-TTS (characters): `input_ids` and `attention_mask`, as Hugging Face's exporters write it, or `x`, `x_length`,
//!   `noise_scale`, `length_scale`, `noise_scale_w`, as sherpa-onnx's does.

mod mms;
mod numbers;
mod piper;

use std::borrow::Cow;
use std::path::Path;

use ort::environment::Environment;
use ort::session::{NoSelectedOutputs, RunOptions, Session, SessionInputValue};
use ort::value::Tensor;

use super::error::TtsError;
use crate::config::{Language, Provider, TtsSettings};
use crate::models::{VoiceKind, VoiceModel};
use crate::onnx::{self, one_line};

/// A loaded voice.
pub(super) struct Voice {
    /// Its name in the manifest or its path.
    pub(super) name: String,
    /// Rate of its sound in Hz.
    pub(super) rate: u32,
    /// Where it really runs.
    pub(super) provider: Provider,
    /// Gain that brings it to the configured level.
    pub(super) gain: f32,
    session: Session,
    inputs: Vec<(String, Input)>,
    output: String,
    front: Front,
    model: VoiceModel,
}

/// What turns text into ids.
enum Front {
    Piper(piper::Piper),
    Mms(mms::Mms),
}

/// What an input of the network wants.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Input {
    Ids,
    Length,
    Mask,
    Scales,
    Noise,
    Pace,
    DurationNoise,
    Speaker,
}

/// Numbers that go with the ids.
#[derive(Clone, Copy, Debug)]
struct Style {
    noise: f32,
    /// 1: the voice's own pace; 2: twice as slow.
    length: f32,
    duration_noise: f32,
    speaker: i64,
}

impl Voice {
    /// Loads a voice and tries it with every id that its table has: an id that the network does not know shows here,
    /// not in the middle of an answer. `profile`: a path with whose name the profile's begins. Blocking.
    pub(super) fn load(
        environment: &Environment,
        model: &VoiceModel,
        settings: &TtsSettings,
        profile: Option<&Path>,
    ) -> Result<Self, TtsError> {
        let fault = |fault| misfit(model, fault);
        let mut front = match model.kind {
            VoiceKind::Piper => Front::Piper(piper::Piper::read(&model.json).map_err(fault)?),
            VoiceKind::Mms => Front::Mms(mms::Mms::read(&model.json).map_err(fault)?),
        };
        let style = front.style_mut();
        style.length /= settings.speed;
        let (session, provider) =
            onnx::session(environment, &model.onnx, settings.threads, settings.provider, profile).map_err(fault)?;
        let names: Vec<&str> = session.inputs().iter().map(|input| input.name()).collect();
        let inputs = inputs(&names, model.kind).map_err(fault)?;
        front.check(inputs.iter().any(|(_, input)| *input == Input::Speaker)).map_err(fault)?;
        let outputs: Vec<&str> = session.outputs().iter().map(|output| output.name()).collect();
        let known = outputs.iter().find(|name| matches!(**name, "output" | "waveform" | "y"));
        let Some(output) = known.or(outputs.first()).map(|name| (*name).to_owned()) else {
            return Err(fault("the network has no output: replace it".into()));
        };
        let rate = match &front {
            Front::Piper(piper) => piper.rate,
            Front::Mms(mms) => mms.rate,
        };
        if model.sample_rate.is_some_and(|manifest| manifest != rate) {
            return Err(fault(format!("the JSON says {rate} Hz, the manifest {}", model.sample_rate.unwrap_or(0))));
        }
        let name = model.name.clone();
        let mut voice = Self { name, rate, provider, gain: 1.0, session, inputs, output, front, model: model.clone() };
        voice.try_every_id()?;
        Ok(voice)
    }

    /// The files, to tell whether two languages share a voice.
    pub(super) fn files(&self) -> (&Path, &Path) {
        (&self.model.onnx, &self.model.json)
    }

    /// The espeak-ng voice that makes its phonemes in `language`; `None`: it reads characters.
    pub(super) fn espeak_voice(&self, language: Language) -> Option<String> {
        let Front::Piper(piper) = &self.front else { return None };
        let own = self.model.espeak.get(&language).or(piper.espeak.as_ref());
        let fits = |voice: &&String| voice.split('-').next() == Some(language.code());
        Some(own.filter(fits).cloned().unwrap_or_else(|| default_espeak_voice(language).to_owned()))
    }

    /// The ids of `text`: phonemes for a Piper voice, written text for a voice of characters.
    pub(super) fn ids(&self, text: &str, language: Language) -> Vec<i64> {
        match &self.front {
            Front::Piper(piper) => piper.ids(text),
            Front::Mms(mms) => mms.ids(text, language),
        }
    }

    /// Phonemes of `text` that the voice has no id for, and the number of those that it has.
    pub(super) fn unknown(&self, phonemes: &str) -> (String, usize) {
        match &self.front {
            Front::Piper(piper) => piper.unknown(phonemes),
            Front::Mms(_) => (String::new(), 1),
        }
    }

    /// Speaks ids: samples at the voice's own level. Blocking.
    pub(super) fn infer(&mut self, ids: &[i64], stop: &RunOptions<NoSelectedOutputs>) -> Result<Vec<f32>, ort::Error> {
        let count = ids.len();
        let style = *self.front.style_mut();
        let mut values: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = Vec::with_capacity(self.inputs.len());
        for (name, input) in &self.inputs {
            let number = |number: f32| Tensor::from_array(([1], vec![number])).map(SessionInputValue::from);
            let value = match input {
                Input::Ids => Tensor::from_array(([1, count], ids.to_vec()))?.into(),
                Input::Mask => Tensor::from_array(([1, count], vec![1i64; count]))?.into(),
                Input::Length => Tensor::from_array(([1], vec![count as i64]))?.into(),
                Input::Scales => {
                    Tensor::from_array(([3], vec![style.noise, style.length, style.duration_noise]))?.into()
                }
                Input::Noise => number(style.noise)?,
                Input::Pace => number(style.length)?,
                Input::DurationNoise => number(style.duration_noise)?,
                Input::Speaker => Tensor::from_array(([1], vec![style.speaker]))?.into(),
            };
            values.push((Cow::Borrowed(name.as_str()), value));
        }
        let outputs = self.session.run_with_options(values, stop)?;
        let sound = outputs.get(&self.output).ok_or_else(|| ort::Error::new("the network gave no sound"))?;
        let (_, samples) = sound.try_extract_tensor::<f32>()?;
        if samples.iter().any(|sample| !sample.is_finite()) {
            return Err(ort::Error::new("the network gave numbers that are no sound"));
        }
        Ok(samples.to_vec())
    }

    /// Ends the profile: the file that was written.
    pub(super) fn end_profile(&mut self) -> Result<String, ort::Error> {
        self.session.end_profiling()
    }

    /// A fault of this voice, which names its files.
    pub(super) fn misfit(&self, fault: String) -> TtsError {
        misfit(&self.model, fault)
    }

    fn try_every_id(&mut self) -> Result<(), TtsError> {
        let ids = match &self.front {
            Front::Piper(piper) => piper.every_id(),
            Front::Mms(mms) => mms.every_id(),
        };
        let run = RunOptions::new().and_then(|options| self.infer(&ids, &options));
        let samples = run.map_err(|error| {
            let what = "a trial with every id of the JSON fails, so the JSON belongs to another network, or the network is damaged";
            misfit(&self.model, format!("{what}: {}", one_line(error)))
        })?;
        // A hundredth of full scale: the quietest voices are far above it.
        if !samples.iter().any(|sample| sample.abs() > 0.01) {
            return Err(misfit(&self.model, "the network gives no sound: replace both".into()));
        }
        Ok(())
    }
}

impl Front {
    fn style_mut(&mut self) -> &mut Style {
        match self {
            Front::Piper(piper) => &mut piper.style,
            Front::Mms(mms) => &mut mms.style,
        }
    }

    /// The table against the network's inputs.
    fn check(&self, takes_speaker: bool) -> Result<(), String> {
        match self {
            Front::Piper(piper) if piper.speakers > 1 && !takes_speaker => Err(format!(
                "the JSON has {} speakers, the network one (no input sid): it is another's JSON",
                piper.speakers
            )),
            Front::Piper(piper) if piper.speakers <= 1 && takes_speaker => {
                Err("the network has several speakers (input sid), the JSON one: it is another's JSON".into())
            }
            _ => Ok(()),
        }
    }
}

/// The espeak-ng voice of a language where nothing else says it.
pub(super) fn default_espeak_voice(language: Language) -> &'static str {
    match language {
        Language::En => "en-us",
        Language::Fr => "fr-fr",
    }
}

/// A voice whose files do not fit each other.
fn misfit(model: &VoiceModel, fault: String) -> TtsError {
    TtsError::Voice { onnx: model.onnx.clone(), json: model.json.clone(), fault }
}

fn inputs(names: &[&str], kind: VoiceKind) -> Result<Vec<(String, Input)>, String> {
    let input = |name: &&str| {
        let input = match *name {
            "input" | "input_ids" | "x" => Input::Ids,
            "input_lengths" | "x_length" | "x_lengths" => Input::Length,
            "attention_mask" => Input::Mask,
            "scales" => Input::Scales,
            "noise_scale" => Input::Noise,
            "length_scale" => Input::Pace,
            "noise_scale_w" => Input::DurationNoise,
            "sid" => Input::Speaker,
            other => return Err(format!("the network wants {other}, which no known voice does: it is no voice")),
        };
        Ok(((*name).to_owned(), input))
    };
    let inputs: Vec<(String, Input)> = names.iter().map(input).collect::<Result<_, _>>()?;
    let needed: &[(Input, &str)] = match kind {
        VoiceKind::Piper => &[(Input::Ids, "input"), (Input::Length, "input_lengths"), (Input::Scales, "scales")],
        VoiceKind::Mms => &[(Input::Ids, "input_ids or x")],
    };
    match needed.iter().find(|(needed, _)| !inputs.iter().any(|(_, input)| input == needed)) {
        Some((_, name)) => Err(format!("the network has no input {name}: it is not a {kind:?} voice")),
        None => Ok(inputs),
    }
}
