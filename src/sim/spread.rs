//! A spread of milliseconds (`400` or `182..239`) and the small seeded generator that draws from it, so that two runs
//! with the same seed have the same times.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood 2014): enough to spread times and to make identifiers, not for secrets.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator; equal seeds give equal sequences.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 up to, not including, 1.
    fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Milliseconds drawn evenly between two bounds, or always the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    low_ms: f64,
    high_ms: f64,
}

impl Spread {
    /// Always `ms` milliseconds.
    pub const fn always(ms: u32) -> Self {
        Self { low_ms: ms as f64, high_ms: ms as f64 }
    }

    /// Evenly between `low_ms` and `high_ms` milliseconds.
    pub const fn between(low_ms: u32, high_ms: u32) -> Self {
        Self { low_ms: low_ms as f64, high_ms: high_ms as f64 }
    }

    /// One draw.
    pub fn draw(&self, rng: &mut Rng) -> Duration {
        Duration::from_secs_f64((self.low_ms + (self.high_ms - self.low_ms) * rng.unit()) / 1e3)
    }

    /// Whether every draw is zero.
    pub fn is_zero(&self) -> bool {
        self.high_ms == 0.0
    }
}

impl FromStr for Spread {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (low, high) = text.split_once("..").unwrap_or((text, text));
        match (low.trim().parse::<f64>(), high.trim().parse::<f64>()) {
            // Above an hour nobody waits; the bound also keeps every sum of times finite.
            (Ok(low_ms), Ok(high_ms)) if (0.0..=3.6e6).contains(&low_ms) && (low_ms..=3.6e6).contains(&high_ms) => {
                Ok(Self { low_ms, high_ms })
            }
            _ => Err(format!("`{text}` is neither milliseconds (400) nor a range of them (182..239)")),
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.low_ms == self.high_ms {
            write!(f, "{}", self.low_ms)
        } else {
            write!(f, "{}..{}", self.low_ms, self.high_ms)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_read_written_and_kept_to() {
        let spread: Spread = "182..239".parse().unwrap();
        assert_eq!(spread.to_string(), "182..239");
        assert_eq!("400".parse::<Spread>().unwrap(), Spread::always(400));
        let (mut a, mut b) = (Rng::new(7), Rng::new(7));
        let draws: Vec<_> = (0..200).map(|_| spread.draw(&mut a)).collect();
        assert!(draws.iter().all(|d| (182.0..=239.0).contains(&(d.as_secs_f64() * 1e3))));
        assert!(draws.iter().max().unwrap().as_millis() > 230 && draws.iter().min().unwrap().as_millis() < 190);
        assert_eq!(draws, (0..200).map(|_| spread.draw(&mut b)).collect::<Vec<_>>());
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for text in ["", "fast", "-1", "5..2", "nan", "1..", "..3", "inf", "1e300"] {
            assert!(text.parse::<Spread>().unwrap_err().contains(text), "{text}");
        }
    }
}
