//! The interleaved run: in each round every candidate is opened, carries every load once, and is closed.
//!
//! A probe of the two cores runs before and after each sample. If a probe was interrupted, or is far from the median probe
//! of the run, other work had a core or the cores moved, and the sample is left out.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::load::{Load, Pattern};
use crate::machine::{Cores, Probe};
use crate::subject::{Candidate, Error, Result, Subject};
use crate::watchdog::Watchdog;

/// Number of payloads that are compared in full, before a candidate is measured.
const PROOF: u64 = 20;
/// Smallest and largest number of payloads in a sample.
const COUNT: std::ops::RangeInclusive<u64> = 16..=2_000_000;
/// Largest ratio between a probe and the median probe.
const NEAR: std::ops::RangeInclusive<f64> = 0.6..=1.6;
/// Largest ratio between the mean and the median of a probe.
const UNINTERRUPTED: f64 = 1.5;

/// Extent of the measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) rounds: u32,
    /// Length of a sample.
    pub(crate) sample: Duration,
}

/// Figures of a run.
pub(crate) struct Comparison {
    /// A cache line there and back, in nanoseconds: the median probe.
    pub(crate) raw_line: f64,
    pub(crate) samples: usize,
    /// Number of samples left out.
    pub(crate) disturbed: usize,
    pub(crate) figures: BTreeMap<Cell, Figure>,
    /// Candidates that failed, each with the error.
    pub(crate) failed: BTreeMap<usize, Error>,
}

/// Key of a figure: index of the candidate, and the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cell {
    pub(crate) candidate: usize,
    pub(crate) pattern: Pattern,
    pub(crate) size: usize,
}

/// Time of a round trip, or of one payload of a stream, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Figure {
    pub(crate) median: f64,
    pub(crate) kept: usize,
    /// True if every sample was disturbed; the median is then over all of them.
    pub(crate) doubtful: bool,
}

/// One measurement, in nanoseconds, with the probes before and after it.
#[derive(Debug, Clone, Copy)]
struct Sample {
    each: f64,
    probes: [Probe; 2],
}

/// Compares the candidates.
///
/// # Errors
/// Fails if no candidate can be measured. A candidate that fails is left out and listed in the result.
pub(crate) fn run(
    candidates: &[Candidate],
    cores: Cores,
    plan: Plan,
    progress: &mut dyn FnMut(u32, &Candidate),
) -> Result<Comparison> {
    cores.pin_leader()?;
    let watchdog = Watchdog::start();
    let mut counts = BTreeMap::new();
    let mut samples: BTreeMap<Cell, Vec<Sample>> = BTreeMap::new();
    let mut failed = BTreeMap::new();
    // The first round checks payloads and calibrates.
    for round in 0..=plan.rounds {
        for (place, candidate) in candidates.iter().enumerate() {
            if failed.contains_key(&place) {
                continue;
            }
            progress(round, candidate);
            let opened = {
                let _watched = watchdog.watch(|| format!("{}: open", candidate.id()));
                (candidate.open)(candidate, cores)
            };
            let done = opened.and_then(|mut subject| {
                for (pattern, size) in candidate.loads() {
                    let cell = Cell { candidate: place, pattern, size };
                    let _watched = watchdog
                        .watch(|| format!("{}: {} of {size} B", candidate.id(), pattern.name()));
                    if round == 0 {
                        counts.insert(cell, prove_and_calibrate(&mut *subject, cell, plan)?);
                    } else {
                        let sample = measure(&mut *subject, cell, counts[&cell], cores)?;
                        samples.entry(cell).or_default().push(sample);
                    }
                }
                Ok(())
            });
            if let Err(error) = done {
                failed.insert(place, error);
            }
        }
    }
    samples.retain(|cell, _| !failed.contains_key(&cell.candidate));
    Ok(sum_up(&samples, failed))
}

/// Checks that payloads arrive intact, and determines how many fill a sample.
fn prove_and_calibrate(subject: &mut dyn Subject, cell: Cell, plan: Plan) -> Result<u64> {
    let Cell { pattern, size, .. } = cell;
    subject.run(&Load { pattern, size, count: PROOF, thorough: true })?;

    let mut count = *COUNT.start();
    loop {
        let time = subject.run(&Load { pattern, size, count, thorough: false })?;
        let enough = plan.sample.as_secs_f64() / time.as_secs_f64().max(1e-9) * count as f64;
        if time * 4 >= plan.sample || count == *COUNT.end() {
            return Ok((enough as u64).clamp(*COUNT.start(), *COUNT.end()));
        }
        // A first trial may be far off, so approach in steps.
        count = (enough as u64).clamp(count * 2, count * 16).min(*COUNT.end());
    }
}

fn measure(subject: &mut dyn Subject, cell: Cell, count: u64, cores: Cores) -> Result<Sample> {
    let Cell { pattern, size, .. } = cell;
    let before = cores.probe()?;
    let time = subject.run(&Load { pattern, size, count, thorough: false })?;
    let after = cores.probe()?;
    Ok(Sample { each: time.as_secs_f64() * 1e9 / count as f64, probes: [before, after] })
}

fn sum_up(samples: &BTreeMap<Cell, Vec<Sample>>, failed: BTreeMap<usize, Error>) -> Comparison {
    let all = samples.values().flatten();
    let raw_line =
        median(all.flat_map(|sample| sample.probes.map(|probe| probe.typical)).collect());
    let is_undisturbed = |sample: &&Sample| {
        sample.probes.iter().all(|Probe { typical, mean }| {
            NEAR.contains(&(typical / raw_line)) && *mean <= typical * UNINTERRUPTED
        })
    };
    let mut disturbed = 0;
    let figures = samples.iter().map(|(cell, samples)| {
        let kept: Vec<_> = samples.iter().filter(is_undisturbed).map(|s| s.each).collect();
        disturbed += samples.len() - kept.len();
        let figure = if kept.is_empty() {
            let median = median(samples.iter().map(|sample| sample.each).collect());
            Figure { median, kept: 0, doubtful: true }
        } else {
            Figure { kept: kept.len(), median: median(kept), doubtful: false }
        };
        (*cell, figure)
    });
    let figures = figures.collect();
    let samples = samples.values().map(Vec::len).sum();
    Comparison { raw_line, samples, disturbed, figures, failed }
}

/// Returns the median; NaN for no values.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELL: Cell = Cell { candidate: 0, pattern: Pattern::RoundTrip, size: 8 };

    /// Samples with the typical times of their probes.
    fn sum_up_one(samples: &[(f64, [f64; 2])]) -> Comparison {
        let probe = |typical| Probe { typical, mean: typical };
        let sample = |&(each, probes): &(f64, [f64; 2])| Sample { each, probes: probes.map(probe) };
        let samples = samples.iter().map(sample).collect();
        sum_up(&BTreeMap::from([(CELL, samples)]), BTreeMap::new())
    }

    #[test]
    fn medians_stand_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn disturbed_samples_are_left_out() {
        let comparison = sum_up_one(&[
            (10.0, [100.0, 101.0]),
            (12.0, [99.0, 100.0]),
            (90.0, [100.0, 900.0]), // far apart for a while
            (1.0, [30.0, 100.0]),   // halves of one core
            (11.0, [100.0, 100.0]),
        ]);
        let expected = Figure { median: 11.0, kept: 3, doubtful: false };
        assert_eq!(comparison.figures[&CELL], expected);
        assert_eq!((comparison.disturbed, comparison.samples), (2, 5));
    }

    #[test]
    fn samples_beside_an_interrupted_probe_are_left_out() {
        let quiet = Probe { typical: 100.0, mean: 104.0 };
        let interrupted = Probe { typical: 100.0, mean: 900.0 };
        let samples = [[quiet, quiet], [quiet, interrupted], [interrupted, quiet]];
        let samples = samples.map(|probes| Sample { each: 10.0, probes }).to_vec();
        let comparison = sum_up(&BTreeMap::from([(CELL, samples)]), BTreeMap::new());
        assert_eq!(comparison.disturbed, 2);
    }

    #[test]
    fn a_figure_of_disturbed_samples_says_so() {
        let comparison = sum_up_one(&[(10.0, [100.0, 500.0]), (20.0, [100.0, 500.0])]);
        assert_eq!(comparison.figures[&CELL], Figure { median: 15.0, kept: 0, doubtful: true });
    }

    #[test]
    fn a_subject_that_damages_payloads_does_not_get_past_the_proof() {
        let mut damaging = |load: &Load| -> Result<Duration> {
            if load.thorough { Err("damaged".into()) } else { Ok(Duration::from_secs(1)) }
        };
        let plan = Plan { rounds: 1, sample: Duration::from_millis(1) };
        assert!(prove_and_calibrate(&mut damaging, CELL, plan).is_err());
    }

    #[test]
    fn samples_take_about_as_long_as_they_should() {
        let mut steady =
            |load: &Load| -> Result<Duration> { Ok(Duration::from_nanos(load.count * 250)) };
        let plan = Plan { rounds: 1, sample: Duration::from_millis(1) };
        assert_eq!(prove_and_calibrate(&mut steady, CELL, plan).ok(), Some(4000));
    }
}
