//! The percentiles of one stage: exact for a thousand values, and from there to three digits in bounded memory.

use hdrhistogram::Histogram;
use serde::Serialize;

/// Values that are kept as they are: an hour or a day of one speaker. The bins that hold more take as much memory as
/// some ten thousand.
const EXACT: usize = 1_000;

/// The longest time that has a bin of its own, in microseconds: 11 days.
const LONGEST: f64 = 1e12;

/// What many times of one stage come to, in milliseconds. A percentile is the nearest rank: the smallest value that so
/// many per cent of the values do not exceed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// Turns in which the stage happened.
    pub count: u64,
    /// Half of them took no longer.
    pub p50: f64,
    /// 95 of 100 took no longer.
    pub p95: f64,
    /// 99 of 100 took no longer.
    pub p99: f64,
    /// The longest, exact however many there are.
    pub max: f64,
}

/// The times of one stage.
#[derive(Debug, Default)]
pub(super) struct Distribution {
    exact: Vec<f64>,
    /// All of them, once they are too many.
    bins: Option<Box<Bins>>,
}

/// Microseconds in bins a thousandth wide. A stage can be negative (`perceived_beyond_ttft_ms` of a request that left
/// before the end of speech), a bin cannot: those are counted by their magnitude.
#[derive(Debug)]
struct Bins {
    below_zero: Histogram<u32>,
    others: Histogram<u32>,
    max: f64,
}

impl Distribution {
    /// Counts one time, in milliseconds.
    pub fn add(&mut self, ms: f64) {
        if let Some(bins) = &mut self.bins {
            return bins.add(ms);
        }
        self.exact.push(ms);
        if self.exact.len() > EXACT
            && let Some(mut bins) = Bins::new()
        {
            self.exact.iter().for_each(|ms| bins.add(*ms));
            self.exact = Vec::new();
            self.bins = Some(Box::new(bins));
        }
    }

    /// What they come to; none where the stage never happened.
    pub fn percentiles(mut self) -> Option<Percentiles> {
        if let Some(bins) = self.bins {
            let count = bins.below_zero.len() + bins.others.len();
            let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|share| bins.at(rank(share, count)));
            return Some(Percentiles { count, p50, p95, p99, max: bins.max });
        }
        self.exact.sort_unstable_by(f64::total_cmp);
        let max = *self.exact.last()?;
        let count = self.exact.len() as u64;
        let at = |share| self.exact.get(rank(share, count) as usize - 1).copied().unwrap_or(max);
        Some(Percentiles { count, p50: at(0.5), p95: at(0.95), p99: at(0.99), max })
    }
}

/// The place of a percentile among `count` values in order, from 1.
fn rank(share: f64, count: u64) -> u64 {
    ((share * count as f64).ceil() as u64).clamp(1, count.max(1))
}

impl Bins {
    /// None cannot be: three digits are within what the histogram takes.
    fn new() -> Option<Self> {
        let new = || Histogram::new(3).ok();
        Some(Self { below_zero: new()?, others: new()?, max: f64::NEG_INFINITY })
    }

    fn add(&mut self, ms: f64) {
        self.max = self.max.max(ms);
        let micros = (ms.abs() * 1e3).round().min(LONGEST) as u64;
        let side = if ms < 0.0 { &mut self.below_zero } else { &mut self.others };
        // The histogram grows as far as `LONGEST` asks for.
        let _ = side.record(micros);
    }

    /// The value in place `rank`, from 1, or up to a thousandth more: so much is never exceeded by more turns than said.
    fn at(&self, rank: u64) -> f64 {
        // Half a place lower: the histogram rounds it up again, and no rounding of the quotient leads it past.
        let place = |side: &Histogram<u32>, rank: u64| side.value_at_quantile((rank as f64 - 0.5) / side.len() as f64);
        let negative = self.below_zero.len();
        let micros = match rank.checked_sub(negative) {
            Some(rank @ 1..) => place(&self.others, rank) as f64,
            _ => -(self.below_zero.lowest_equivalent(place(&self.below_zero, negative + 1 - rank)) as f64),
        };
        (micros / 1e3).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By sorting all of them.
    fn reference(values: &[f64]) -> [f64; 4] {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        [50, 95, 99, 100].map(|percent| sorted[(sorted.len() * percent).div_ceil(100) - 1])
    }

    fn measured(values: &[f64]) -> [f64; 4] {
        let mut distribution = Distribution::default();
        values.iter().for_each(|ms| distribution.add(*ms));
        let is = distribution.percentiles().unwrap();
        assert_eq!(is.count, values.len() as u64);
        [is.p50, is.p95, is.p99, is.max]
    }

    /// Times from −50 ms to 10 s, in no order.
    fn times(count: usize) -> Vec<f64> {
        (0..count).map(|i| ((i * 7_919) % 10_007) as f64 * 1.004 - 50.0).collect()
    }

    #[test]
    fn up_to_a_thousand_they_are_exact() {
        for count in [1, 2, 3, 20, 99, 100, 101, EXACT] {
            assert_eq!(measured(&times(count)), reference(&times(count)), "{count}");
        }
    }

    #[test]
    fn beyond_they_are_right_to_a_thousandth_and_the_maximum_exact() {
        let all_negative: Vec<f64> = times(20_000).iter().map(|ms| -ms.abs() - 1.0).collect();
        let mostly_negative: Vec<f64> = times(5_000).iter().map(|ms| ms - 8_000.0).collect();
        for values in [times(EXACT + 1), times(30_000), all_negative, mostly_negative] {
            let (is, should) = (measured(&values), reference(&values));
            for (is, should) in is.iter().zip(should) {
                assert!((is - should).abs() <= should.abs() * 1e-3 + 1e-3, "{is} instead of {should}");
            }
            assert_eq!(is[3], should[3]);
        }
    }

    #[test]
    fn a_time_beyond_all_reason_does_no_harm() {
        let mut values = times(2_000);
        values.extend([f64::MAX, f64::MIN]);
        assert_eq!(measured(&values)[3], f64::MAX);
        assert!(Distribution::default().percentiles().is_none(), "a stage that never happened");
    }
}
