//! A long rest while memory is short: does the first turn after it take longer than those that follow?

use std::time::Duration;

use super::process::{self, Part};
use super::{Bench, BenchError, Mode, figures};
use crate::audio::Vad;
use crate::daemon::Rig;

/// Turns after the rest.
pub const TURNS: usize = 10;
/// The finger, in hold mode: the same in each, for they are compared.
const RELEASE: Duration = Duration::from_millis(10);

/// A rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rest {
    /// How long nobody speaks.
    pub time: Duration,
    /// Share of the available memory that another process takes meanwhile, from 0 to 1.
    pub pressure: f64,
}

/// The turns after it: one question, asked again and again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rested {
    /// `total_perceived_ms` of each, in order; none where it was not answered.
    pub total_ms: Vec<Option<f64>>,
    /// What the other process had taken, in MiB.
    pub pressed_mib: f64,
}

impl Rested {
    /// The first over the tenth.
    pub fn first_to_tenth(&self) -> Option<f64> {
        Some((*self.total_ms.first()?)? / (*self.total_ms.get(TURNS - 1)?)?)
    }

    /// The first over the median of the others: one tenth turn is noisier.
    pub fn first_to_median(&self) -> Option<f64> {
        let (first, others) = self.total_ms.split_first()?;
        let mut others: Vec<f64> = others.iter().flatten().copied().collect();
        Some((*first)? / figures::percentile(&mut others, 50.0)?)
    }
}

impl Bench {
    pub(super) async fn rested(
        &self,
        rig: &mut Rig,
        mode: Mode,
        rest: Rest,
        vad: &mut Vad,
        told: &dyn Fn(),
    ) -> Result<Rested, BenchError> {
        let mut rested = Rested::default();
        let mut squeezer = None;
        if rest.pressure > 0.0 {
            let mut child = self.program.start(Part::Squeeze, &["--pressure".to_owned(), rest.pressure.to_string()])?;
            rested.pressed_mib = process::line(Part::Squeeze, &mut child).await?;
            squeezer = Some(child);
        }
        tokio::time::sleep(rest.time).await;
        if let Some(mut child) = squeezer {
            if let Ok(Some(_)) = child.try_wait() {
                let fault = "it was killed before the rest was over; ask for less --pressure".to_owned();
                return Err(Part::Squeeze.fault(fault));
            }
            // What was taken away stays away, and the first turn has to bring it back.
            let _ = child.kill().await;
        }
        let Some(sentence) = self.clips.sentences.first() else { return Ok(rested) };
        for _ in 0..TURNS {
            let sound = self.sound(mode, sentence, RELEASE, vad)?;
            let record = rig.ask(sound).await?.report.record;
            let answered = record.outcome == crate::latency::Outcome::Answered;
            rested.total_ms.push(record.total_perceived_ms.filter(|_| answered));
            told();
        }
        Ok(rested)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_turn_is_held_against_those_after_it() {
        let mut rested = Rested { total_ms: vec![Some(440.0)], pressed_mib: 0.0 };
        assert_eq!((rested.first_to_tenth(), rested.first_to_median()), (None, None));
        rested.total_ms.extend([Some(390.0), None]);
        rested.total_ms.extend([Some(400.0); 6]);
        rested.total_ms.push(Some(220.0));
        assert_eq!((rested.first_to_tenth(), rested.first_to_median()), (Some(2.0), Some(1.1)));
        rested.total_ms[0] = None;
        assert_eq!(rested.first_to_tenth(), None);
    }
}
