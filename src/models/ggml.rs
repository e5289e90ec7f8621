//! Reads the outline of a ggml file of whisper.cpp: header, sizes, tensor table, but not the weights.
//!
//! whisper.cpp trusts what it reads (a zero head count divides by zero, an unknown tensor type indexes past a table), so
//! a damaged file must be found before it is loaded.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// What the header of a Whisper model says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline {
    /// The model knows more than one language.
    pub multilingual: bool,
    /// The longest encoder context, in positions of 20 ms.
    pub audio_ctx_max: u32,
}

/// Why a file is not a Whisper model, in words that complete "FILE ...".
pub type Fault = String;

const MAGIC: u32 = 0x6767_6d6c;

/// Block length and bytes of a block, for the tensor types that whisper.cpp's models use.
fn block(ttype: u32) -> Option<(u64, u64)> {
    Some(match ttype {
        0 => (1, 4),      // f32
        1 => (1, 2),      // f16
        2 => (32, 18),    // q4_0
        3 => (32, 20),    // q4_1
        6 => (32, 22),    // q5_0
        7 => (32, 24),    // q5_1
        8 => (32, 34),    // q8_0
        10 => (256, 84),  // q2_K
        11 => (256, 110), // q3_K
        12 => (256, 144), // q4_K
        13 => (256, 176), // q5_K
        14 => (256, 210), // q6_K
        _ => return None,
    })
}

/// Walks through the file from header to last tensor.
pub fn outline(path: &Path) -> Result<Outline, Fault> {
    let file = File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    let size = file.metadata().map_err(|error| format!("cannot be read: {error}"))?.len();
    Walk { input: BufReader::new(file), size, at: 0 }.outline()
}

struct Walk {
    input: BufReader<File>,
    size: u64,
    at: u64,
}

impl Walk {
    fn outline(&mut self) -> Result<Outline, Fault> {
        if self.size == 0 {
            return Err("is empty".into());
        }
        let magic = self.u32()?;
        if magic != MAGIC {
            let text = magic.to_le_bytes().iter().all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace());
            let found = if text { "it begins like a text file" } else { "it does not begin with ggml's magic bytes" };
            return Err(format!("is not a ggml model of whisper.cpp ({found})"));
        }
        let [
            vocab,
            audio_ctx,
            audio_state,
            audio_head,
            audio_layer,
            text_ctx,
            text_state,
            text_head,
            text_layer,
            mels,
            _ftype,
        ] = self.u32s::<11>()?;
        let width = |state: u32, head: u32| {
            (1..=8192).contains(&state) && (1..=state).contains(&head) && state.is_multiple_of(head)
        };
        let sane = (50_000..=60_000).contains(&vocab)
            && (64..=4096).contains(&audio_ctx)
            && (16..=4096).contains(&text_ctx)
            && width(audio_state, audio_head)
            && width(text_state, text_head)
            && audio_state == text_state
            && (1..=128).contains(&audio_layer)
            && (1..=128).contains(&text_layer)
            && (mels == 80 || mels == 128);
        if !sane {
            return Err("is damaged: its header does not describe a Whisper model".into());
        }
        let [filter_mels, filter_fft] = self.u32s::<2>()?;
        if filter_mels != mels || filter_fft != 201 {
            return Err("is damaged: its mel filters do not fit its header".into());
        }
        self.skip(u64::from(filter_mels) * u64::from(filter_fft) * 4)?;
        let words = self.u32()?;
        if words > vocab {
            return Err("is damaged: it has more tokens than its header says".into());
        }
        for _ in 0..words {
            let length = self.u32()?;
            self.skip(u64::from(length))?;
        }
        // Positions, convolutions, embedding and last norms; then what each layer of encoder and decoder has.
        let expected = 11 + 15 * audio_layer + 24 * text_layer;
        for tensor in 0..expected {
            self.tensor().map_err(|fault| format!("{fault} (tensor {} of {expected})", tensor + 1))?;
        }
        if self.at != self.size {
            return Err(format!("is damaged: {} bytes follow its last tensor", self.size - self.at));
        }
        Ok(Outline { multilingual: vocab >= 51_865, audio_ctx_max: audio_ctx })
    }

    fn tensor(&mut self) -> Result<(), Fault> {
        let damaged = || Fault::from("is damaged: its tensor table makes no sense");
        let [dims, name, ttype] = self.u32s::<3>()?;
        let (Some((length, bytes)), 1..=4, 1..=128) = (block(ttype), dims, name) else { return Err(damaged()) };
        let mut elements = 1u64;
        for _ in 0..dims {
            elements = elements.checked_mul(u64::from(self.u32()?)).ok_or_else(damaged)?;
        }
        if elements == 0 || !elements.is_multiple_of(length) {
            return Err(damaged());
        }
        self.skip(u64::from(name))?;
        self.skip((elements / length).checked_mul(bytes).ok_or_else(damaged)?)
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        self.u32s::<1>().map(|[value]| value)
    }

    fn u32s<const N: usize>(&mut self) -> Result<[u32; N], Fault> {
        let mut values = [0; N];
        for value in &mut values {
            let mut bytes = [0; 4];
            self.input.read_exact(&mut bytes).map_err(|error| self.truncated(error))?;
            *value = u32::from_le_bytes(bytes);
            self.at += 4;
        }
        Ok(values)
    }

    fn skip(&mut self, bytes: u64) -> Result<(), Fault> {
        if bytes > self.size - self.at {
            return Err(self.truncated(io::ErrorKind::UnexpectedEof.into()));
        }
        self.at += bytes;
        // Small steps stay inside the buffer; `size` fits an i64 because a file's does.
        let moved = if bytes < 4096 {
            self.input.seek_relative(bytes as i64)
        } else {
            self.input.seek(SeekFrom::Start(self.at)).map(drop)
        };
        moved.map_err(|error| format!("cannot be read: {error}"))
    }

    fn truncated(&self, error: io::Error) -> Fault {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            format!("is truncated: it ends after {} bytes, in the middle of the model", self.size)
        } else {
            format!("cannot be read: {error}")
        }
    }
}
