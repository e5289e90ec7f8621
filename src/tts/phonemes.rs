//! Phonemes by a resident espeak-ng: a process of its own (it is GPL-3, so it is never linked), kept alive, because
//! starting it for each chunk would cost some 15 ms.
//!
//! espeak-ng reads its standard input line by line and flushes what it answers after each line. It drops punctuation
//! and answers a line with any number of lines, so each clause is sent as a line of its own, followed by a bell, whose
//! one line of answer is known. Piper's voices want the punctuation back: it is put back here.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::error::TtsError;
use crate::clock::Mono;
use crate::onnx::one_line;

/// Two phonemes written as phonemes: no text can ask for them, for its brackets are taken away.
const BELL: &str = "[[ZZ]]";
/// Even when it is quiet, espeak-ng computes its own voice: the faster that speaks, the sooner the answer comes (0.8
/// instead of 1.7 ms for seven words). Past 449 words a minute another algorithm takes over, five times as slow. The
/// phonemes do not depend on it.
const SPEED: &str = "400";
/// espeak-ng cuts its input into lines of 1000 bytes, in the middle of a letter if need be.
const LINE: usize = 600;
/// A cold start reads the language's data from the disk.
const START: Duration = Duration::from_secs(10);
/// An answer takes about a millisecond.
const ANSWER: Duration = Duration::from_secs(2);

/// A resident espeak-ng for one of its voices.
pub(super) struct Phonemizer {
    program: PathBuf,
    voice: String,
    running: Option<Running>,
}

struct Running {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    /// What was read and is not yet a whole line.
    partial: Vec<u8>,
    bell: String,
}

impl Phonemizer {
    /// Starts espeak-ng with `voice` (`en-us`, `fr-fr`). Blocking.
    pub(super) fn start(program: &Path, voice: &str) -> Result<Self, TtsError> {
        let mut phonemizer = Self { program: program.to_owned(), voice: voice.to_owned(), running: None };
        let running = phonemizer.spawn()?;
        phonemizer.running = Some(running);
        Ok(phonemizer)
    }

    /// The phonemes of `text` in IPA, clause by clause, with the clauses' punctuation as Piper keeps it. Blocking, for
    /// about a millisecond. A process that has died or hangs is started anew, once.
    pub(super) fn phonemes(&mut self, text: &str) -> Result<String, TtsError> {
        let clauses = clauses(text);
        let answers = match self.running.as_mut().map(|running| running.ask(&clauses)) {
            Some(Ok(answers)) => answers,
            broken => {
                let fault = broken.and_then(Result::err).unwrap_or_else(|| "had ended".into());
                log::warn!("espeak-ng {}: {fault}; starting it anew", self.program.display());
                self.running = None;
                let mut running = self.spawn()?;
                let answers = running.ask(&clauses).map_err(|fault| self.fault(fault))?;
                self.running = Some(running);
                answers
            }
        };
        let mut phonemes = String::new();
        for (clause, answer) in clauses.iter().zip(answers) {
            if answer.is_empty() {
                continue;
            }
            if !phonemes.is_empty() {
                phonemes.push(' ');
            }
            phonemes.push_str(&answer);
            phonemes.extend(clause.mark);
        }
        Ok(phonemes)
    }

    /// The process, for a test that kills it.
    #[cfg(test)]
    pub(super) fn process(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.child.id())
    }

    fn spawn(&self) -> Result<Running, TtsError> {
        let mut child = Command::new(&self.program)
            .args(["-q", "--ipa", "-b", "1", "-s", SPEED, "-v", &self.voice])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // A Ctrl-C on the terminal is for elio, which may still want to end its sentence.
            .process_group(0)
            .spawn()
            .map_err(|error| {
                self.fault(format!("cannot be started: {error}: install the package espeak-ng, or set tts.espeak"))
            })?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(self.fault("has no pipes".into()));
        };
        let mut running = Running { child, input, output, partial: Vec::new(), bell: String::new() };
        let bell = running.learn_bell();
        match bell {
            Ok(()) => Ok(running),
            Err(fault) => Err(self.fault(self.complaint().unwrap_or(fault))),
        }
    }

    /// What espeak-ng says on its standard error when it cannot start with this voice.
    fn complaint(&self) -> Option<String> {
        let mut command = Command::new(&self.program);
        let output = command.args(["-q", "-v", &self.voice, "a"]).stdin(Stdio::null()).output().ok()?;
        let message = one_line(String::from_utf8_lossy(&output.stderr));
        (!output.status.success() && !message.is_empty()).then(|| format!("voice {}: {message}", self.voice))
    }

    fn fault(&self, fault: String) -> TtsError {
        TtsError::Espeak { program: self.program.clone(), fault }
    }
}

impl Running {
    fn learn_bell(&mut self) -> Result<(), String> {
        self.write(&format!("{BELL}\n{BELL}\n"))?;
        let until = Mono::now() + START;
        let (first, second) = (self.line(until)?, self.line(until)?);
        if first != second || first.trim().is_empty() || first.trim() == BELL {
            return Err("does not answer as espeak-ng does: set tts.espeak to the program".into());
        }
        self.bell = first;
        Ok(())
    }

    /// The answer for each clause.
    fn ask(&mut self, clauses: &[Clause]) -> Result<Vec<String>, String> {
        let lines: String = clauses.iter().flat_map(|clause| [&clause.text, "\n", BELL, "\n"]).collect();
        self.write(&lines)?;
        let until = Mono::now() + ANSWER;
        let mut answers = Vec::with_capacity(clauses.len());
        for _ in clauses {
            let mut answer = String::new();
            loop {
                let line = self.line(until)?;
                if line == self.bell {
                    break;
                }
                let line = without_language_marks(line.trim());
                if !answer.is_empty() && !line.is_empty() {
                    answer.push(' ');
                }
                answer.push_str(&line);
            }
            answers.push(answer);
        }
        Ok(answers)
    }

    fn write(&mut self, text: &str) -> Result<(), String> {
        self.input.write_all(text.as_bytes()).map_err(|error| format!("does not read: {error}"))
    }

    fn line(&mut self, until: Mono) -> Result<String, String> {
        loop {
            if let Some(end) = self.partial.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.partial.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            let left = until.since(Mono::now());
            let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
            match poll(&mut [PollFd::new(&self.output, PollFlags::IN)], Some(&timeout)) {
                Ok(0) => return Err("does not answer".into()),
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(format!("cannot be waited for: {error}")),
            }
            let mut bytes = [0; 4096];
            match self.output.read(&mut bytes) {
                Ok(0) => return Err("has ended".into()),
                Ok(count) => self.partial.extend_from_slice(&bytes[..count]),
                Err(error) => return Err(format!("cannot be read: {error}")),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may hang: it is not asked.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A piece between two marks, safe to send as one line.
#[derive(Debug, PartialEq, Eq)]
struct Clause {
    text: String,
    /// The mark that Piper's voices know, if one follows.
    mark: Option<char>,
}

fn clauses(text: &str) -> Vec<Clause> {
    let text: String = text.chars().map(|c| if is_safe(c) { c } else { ' ' }).collect();
    let mut clauses = Vec::new();
    let mut line = String::new();
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        if line.len() + word.len() > LINE {
            clauses.push(Clause { text: std::mem::take(&mut line), mark: None });
        }
        let bare = word.trim_end_matches(['"', '”', '’', '\'', '»', ')']);
        let marks = &bare[bare.trim_end_matches(['.', ',', ';', ':', '!', '?', '…']).len()..];
        let mark = match marks.chars().next_back() {
            _ if marks.contains('?') => Some('?'),
            _ if marks.contains('!') => Some('!'),
            Some('.' | '…') if marks.len() > 1 && words.peek().is_some() => Some(','),
            Some('…') => Some('.'),
            mark => mark,
        };
        if !word.contains(char::is_alphanumeric) && line.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        // A word longer than a line is no word: what fits is said.
        let fits = (0..=word.len().min(LINE)).rev().find(|&at| word.is_char_boundary(at)).unwrap_or(0);
        line.push_str(&word[..fits]);
        if mark.is_some() {
            clauses.push(Clause { text: std::mem::take(&mut line), mark });
        }
    }
    if !line.is_empty() {
        clauses.push(Clause { text: line, mark: None });
    }
    clauses
}

/// Brackets would begin phoneme input; control characters would end the line.
fn is_safe(c: char) -> bool {
    !c.is_control() && !matches!(c, '[' | ']' | '<' | '>' | '\u{2028}' | '\u{2029}')
}

/// Drops `(en)` and `(fr)`, which say that a word is read by another language's rules.
fn without_language_marks(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(start) = rest.find('(') {
        let mark = rest[start..].find(')').map(|length| (start, start + length));
        match mark {
            Some((open, close))
                if close > open + 1 && rest[open + 1..close].bytes().all(|b| b.is_ascii_lowercase() || b == b'-') =>
            {
                out.push_str(&rest[..open]);
                rest = &rest[close + 1..];
            }
            _ => {
                out.push_str(&rest[..=start]);
                rest = &rest[start + 1..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn espeak(voice: &str) -> Phonemizer {
        Phonemizer::start(Path::new("espeak-ng"), voice).unwrap()
    }

    #[test]
    fn punctuation_is_kept_and_language_marks_are_not() {
        let mut english = espeak("en-us");
        assert_eq!(english.phonemes("Hello, you!").unwrap(), "həlˈoʊ, jˈuː!");
        assert_eq!(english.phonemes("So... (well) \"yes?\"").unwrap(), "sˈoʊ, wˈɛl jˈɛs?");
        assert_eq!(espeak("fr-fr").phonemes("Un weekend :").unwrap(), "œ̃ wiːkˈɛnd:");
    }

    #[test]
    fn nothing_in_a_text_shifts_the_next_answer() {
        let mut english = espeak("en-us");
        let expected = english.phonemes("Half past three.").unwrap();
        let long = "word ".repeat(700);
        for text in [
            "",
            "\n\n",
            "...",
            "a\nb\0c\r\n",
            BELL,
            "[[hello",
            "- -- —",
            "🙂",
            "<b>",
            &long,
            &"x".repeat(5000),
            "(",
            "\u{2028}",
        ] {
            english.phonemes(text).unwrap();
            assert_eq!(english.phonemes("Half past three.").unwrap(), expected, "after {text:?}");
        }
    }

    #[test]
    fn a_dead_process_is_replaced_once() {
        let mut english = espeak("en-us");
        let first = english.process().unwrap();
        let pid = rustix::process::Pid::from_raw(first as i32).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        assert_eq!(english.phonemes("Yes.").unwrap(), "jˈɛs.");
        assert_ne!(english.process().unwrap(), first);
    }

    #[test]
    fn a_stopped_process_does_not_hang_us() {
        let mut english = espeak("en-us");
        let pid = rustix::process::Pid::from_raw(english.process().unwrap() as i32).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
        assert_eq!(english.phonemes("Yes.").unwrap(), "jˈɛs.");
    }

    #[test]
    fn faults_name_the_program_and_the_mend() {
        let missing = Phonemizer::start(Path::new("/nowhere/espeak-ng"), "en-us").err().unwrap().to_string();
        assert!(missing.contains("/nowhere/espeak-ng") && missing.contains("tts.espeak"), "{missing}");
        let voice = Phonemizer::start(Path::new("espeak-ng"), "xx-none").err().unwrap().to_string();
        assert!(voice.contains("xx-none") && voice.lines().count() == 1, "{voice}");
        let other = Phonemizer::start(Path::new("cat"), "en-us").err().unwrap().to_string();
        assert!(other.contains("cat"), "{other}");
    }

    /// Prints the round trip: no bound, for a test machine is as busy as it likes.
    #[test]
    fn one_process_answers_every_text() {
        let mut english = espeak("en-us");
        let process = english.process();
        let mut times: Vec<Duration> = (0..60)
            .map(|count| {
                let from = Mono::now();
                let phonemes = english.phonemes(&format!("There are {count} apples, and some pears.")).unwrap();
                assert!(phonemes.starts_with("ð") && phonemes.ends_with("pˈɛɹz."), "{phonemes}");
                from.elapsed()
            })
            .collect();
        times.sort();
        println!("phonemizer round trip: best {:?}, median {:?}, worst {:?}", times[0], times[30], times[59]);
        assert_eq!(english.process(), process);
    }
}
