//! What the times and the instruction counts are taken of: the same input for both.

use elio::audio::{FRAME, RATE};

/// An answer of 300 deltas, as the API frames it.
pub fn stream() -> Vec<u8> {
    (0..300)
        .map(|token| {
            format!(
                "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":\
                 {{\"type\":\"text_delta\",\"text\":\" token{token}\"}}}}\n\n"
            )
        })
        .collect::<String>()
        .into_bytes()
}

/// An answer of 30 sentences, four characters at a time: the length of a token.
pub fn deltas() -> Vec<String> {
    let text = "It is half past three, and the weather in Paris is sunny: 21.5 degrees. ".repeat(30);
    let letters: Vec<char> = text.chars().collect();
    letters.chunks(4).map(|delta| delta.iter().collect()).collect()
}

/// A second of 440 Hz.
pub fn tone(rate: u32) -> Vec<f32> {
    (0..rate).map(|n| (n as f32 / rate as f32 * 440.0 * std::f32::consts::TAU).sin() * 0.3).collect()
}

/// The first frame of it.
pub fn frame() -> [f32; FRAME] {
    let second = tone(RATE);
    std::array::from_fn(|n| second[n])
}
