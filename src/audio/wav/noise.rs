//! The noise of a quiet room, the same in every run.

/// A generator of white noise (xorshift; uniform, which for a noise floor is as good as Gaussian).
#[derive(Debug)]
pub struct Noise {
    state: u32,
    peak: f32,
}

impl Noise {
    /// Noise of the RMS level `dbfs`.
    pub fn new(seed: u32, dbfs: f32) -> Self {
        // The RMS of a uniform distribution is its peak over the root of three.
        Self { state: seed.max(1), peak: 10f32.powf(dbfs / 20.0) * 3f32.sqrt() }
    }

    /// The next sample. Not an iterator: it never ends.
    #[expect(clippy::should_implement_trait)]
    pub fn next(&mut self) -> f32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        (self.state as f32 / u32::MAX as f32 * 2.0 - 1.0) * self.peak
    }
}
