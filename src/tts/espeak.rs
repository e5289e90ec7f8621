//! espeak-ng as a voice: where the configuration asks for it, and where another voice fails in the middle of an
//! answer, so that the person is never left in silence.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::TtsError;
use crate::onnx::one_line;

/// The name of this voice in the configuration.
pub(super) const NAME: &str = "espeak-ng";
/// Rate of its sound in Hz, where it has not been asked.
pub(super) const RATE: u32 = 22_050;
/// Its own pace, in words a minute.
const PACE: f32 = 165.0;

/// espeak-ng with one of its voices.
pub(super) struct Espeak {
    program: PathBuf,
    voice: String,
    speed: f32,
}

impl Espeak {
    pub(super) fn new(program: &Path, voice: &str, speed: f32) -> Self {
        Self { program: program.to_owned(), voice: voice.to_owned(), speed }
    }

    /// Samples at its own level, and their rate in Hz. Blocking: starts a process.
    pub(super) fn speak(&self, text: &str) -> Result<(Vec<f32>, u32), TtsError> {
        let pace = (PACE * self.speed).round().to_string();
        let mut child = Command::new(&self.program)
            .args(["--stdin", "--stdout", "-b", "1", "-s", &pace, "-v", &self.voice])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| {
                self.fault(format!("cannot be started: {error}: install the package espeak-ng, or set tts.espeak"))
            })?;
        // It reads everything before it speaks, so the pipe cannot block; the input is closed at the end of this line.
        let written = child.stdin.take().map(|mut input| input.write_all(text.as_bytes()));
        let output = child.wait_with_output().map_err(|error| self.fault(format!("does not answer: {error}")))?;
        if let Some(Err(error)) = written {
            return Err(
                self.fault(format!("does not read: {error} {}", one_line(String::from_utf8_lossy(&output.stderr))))
            );
        }
        wav(&output.stdout).ok_or_else(|| {
            let said = one_line(String::from_utf8_lossy(&output.stderr));
            self.fault(format!("voice {}: gives no sound: {said}", self.voice))
        })
    }

    fn fault(&self, fault: String) -> TtsError {
        TtsError::Espeak { program: self.program.clone(), fault }
    }
}

/// The samples of a 16-bit mono WAV file that was written into a pipe: the lengths in its header are made up.
fn wav(bytes: &[u8]) -> Option<(Vec<f32>, u32)> {
    let rate = u32::from_le_bytes(bytes.get(24..28)?.try_into().ok()?);
    let data = bytes.get(44..).filter(|_| bytes.starts_with(b"RIFF") && bytes.get(36..40) == Some(b"data"))?;
    let samples = data.chunks_exact(2).map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32768.0);
    (rate > 0).then(|| (samples.collect(), rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_speaks_text_that_looks_like_options() {
        let espeak = Espeak::new(Path::new("espeak-ng"), "fr-fr", 1.0);
        let (samples, rate) = espeak.speak("--version été").unwrap();
        let seconds = samples.len() as f32 / rate as f32;
        assert!(rate == 22_050 && (0.5..5.0).contains(&seconds), "{rate} {seconds}");
    }

    #[test]
    fn its_faults_are_one_line() {
        let fault = Espeak::new(Path::new("espeak-ng"), "xx-none", 1.0).speak("a").unwrap_err().to_string();
        assert!(fault.contains("xx-none") && fault.lines().count() == 1, "{fault}");
        assert!(
            Espeak::new(Path::new("/nowhere"), "en", 1.0).speak("a").unwrap_err().to_string().contains("tts.espeak")
        );
    }
}
