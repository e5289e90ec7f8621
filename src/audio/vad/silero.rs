//! Silero's network, by ONNX Runtime, with the state that goes from run to run.
//!
//! Its frame is 32 ms, two of Elio's: the second of a pair gets the new score, and the first keeps the one before it. So
//! no frame waits for another, and a score is at most 16 ms old.

use std::path::Path;

use ort::session::Session;
use ort::value::Tensor;

use crate::audio::{FRAME, RATE};
use crate::config::Provider;
use crate::onnx::{self, one_line};

/// Samples of its frame at 16 kHz.
const PAIR: usize = 2 * FRAME;
/// Samples of the sound before it that it sees again.
const CONTEXT: usize = 64;
const STATE: [usize; 3] = [2, 1, 128];

/// The network, its inputs, and the last score.
pub(super) struct Silero {
    session: Session,
    /// [`CONTEXT`] and the pair that is heard.
    input: Tensor<f32>,
    pub(super) state: Tensor<f32>,
    rate: Tensor<i64>,
    second: bool,
    last: f32,
}

impl Silero {
    /// Loads the network and runs it once, on one thread. Blocking. The error says what is wrong and the mend.
    pub(super) fn load(network: &Path, onnxruntime: Option<&Path>) -> Result<Self, String> {
        let environment = onnx::environment(onnxruntime)?;
        let load = || {
            let (session, _) = onnx::session(&environment, network, Some(1), Provider::Cpu, None)?;
            let numbers = |count| vec![0.0; count];
            let mut silero = Self {
                session,
                input: Tensor::from_array(([1, CONTEXT + PAIR], numbers(CONTEXT + PAIR))).map_err(one_line)?,
                state: Tensor::from_array((STATE, numbers(STATE.iter().product()))).map_err(one_line)?,
                rate: Tensor::from_array(((), vec![i64::from(RATE)])).map_err(one_line)?,
                second: false,
                last: 0.0,
            };
            silero.run()?;
            // What it was warmed with nobody has heard.
            silero.state.try_extract_tensor_mut::<f32>().map_err(one_line)?.1.fill(0.0);
            Ok(silero)
        };
        load().map_err(|fault: String| {
            format!("{}: {fault}: give a Silero VAD for 16 kHz, version 5 or later", network.display())
        })
    }

    /// The score of the last pair.
    pub(super) fn last(&self) -> f32 {
        self.last
    }

    /// Score of the next frame, 0 to 1. `rest`: the sound is taken in, and the score stays as it was.
    pub(super) fn score(&mut self, samples: &[f32; FRAME], rest: bool) -> Result<f32, String> {
        let (_, input) = self.input.try_extract_tensor_mut::<f32>().map_err(one_line)?;
        let place = CONTEXT + if self.second { FRAME } else { 0 };
        for (to, from) in input.iter_mut().skip(place).zip(samples) {
            *to = *from;
        }
        if self.second {
            if !rest {
                self.last = self.run()?;
            }
            let (_, input) = self.input.try_extract_tensor_mut::<f32>().map_err(one_line)?;
            input.copy_within(PAIR.., 0);
        }
        self.second = !self.second;
        Ok(self.last)
    }

    fn run(&mut self) -> Result<f32, String> {
        let inputs = ort::inputs!["input" => &self.input, "state" => &self.state, "sr" => &self.rate];
        let outputs = self.session.run(inputs).map_err(one_line)?;
        let output = |name: &str| {
            let value = outputs.get(name).ok_or_else(|| format!("it has no output {name}"))?;
            value.try_extract_tensor::<f32>().map(|(_, numbers)| numbers).map_err(one_line)
        };
        let next = output("stateN")?;
        let (_, state) = self.state.try_extract_tensor_mut::<f32>().map_err(one_line)?;
        if next.len() != state.len() {
            return Err(format!("its state has {} numbers instead of {}", next.len(), state.len()));
        }
        state.copy_from_slice(next);
        match output("output")? {
            [score] if (0.0..=1.0).contains(score) => Ok(*score),
            other => Err(format!("it gives {:?} instead of one probability", &other[..other.len().min(3)])),
        }
    }
}
