//! Samples and their statistics.
//!
//! A *sample* has batches of operations, each batch timed as a whole so that reading the clock costs nothing, and then
//! operations timed one by one, for the tail. A figure is the median over the batches of all samples: a batch in which the
//! kernel ran other work is one of many.
//!
//! A short raw ping-pong before and after each sample measures the distance of the two cores. It changes: both threads may
//! share one core for a while, and a virtual machine may have its processors on one die now and on two a minute later,
//! which changes all figures by a factor of five. At the end, only samples count whose ping-pongs had the most frequent
//! time. The others are left out and counted, and so are samples during which other work held a core. A figure and the
//! limit it is divided by are thus from the same state of the machine.

use std::fmt;
use std::hint::spin_loop;
use std::iter;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::Result;

/// Largest ratio between ping-pongs of one state of the machine.
const SPREAD: f64 = 1.5;

/// Smallest part of all samples that a figure can be based on.
const ENOUGH: f64 = 0.25;

/// Time after which an idle end that does not poll is asleep.
const FALLS_ASLEEP: Duration = Duration::from_micros(20);

/// Number of batches in a sample.
const BATCHES: u64 = 16;

/// Factor by which batches are longer, and fewer, if the end of a batch takes a round trip to detect.
const LONGER: u64 = 4;

/// Number of trials with each number of operations during calibration.
const TRIES: usize = 3;

/// Operations that take this long are tried once.
const LONG: Duration = Duration::from_millis(200);

/// Maximum number of operations in a batch.
const MAX_BATCH: u64 = 1 << 16;

/// Maximum number of operations of a sample that are timed one by one.
const MAX_SINGLES: u64 = 200;

/// A measurement: carries out this many operations and returns their times.
pub(crate) type Probe = Box<dyn FnMut(Amount) -> Result<Sample>>;

/// Numbers of operations in a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Amount {
    /// Operations before the first batch, not timed.
    pub(crate) warm: u64,
    /// Number of batches, at least 1.
    pub(crate) batches: u64,
    /// Operations in a batch, at least 1.
    pub(crate) each: u64,
    /// Operations timed one by one.
    pub(crate) singles: u64,
}

/// Result of a probe.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sample {
    /// Time of an operation in each batch, in nanoseconds.
    pub(crate) batches: Vec<f64>,
    /// Times of single operations, in nanoseconds.
    pub(crate) singles: Vec<u64>,
    /// Processor time of both sides, if measured.
    pub(crate) cpu: Option<Cpu>,
}

impl Sample {
    /// Returns the median time of an operation over the batches, in nanoseconds.
    pub(crate) fn typical(&self) -> f64 {
        quantile(&sorted(self.batches.iter().copied()), 0.5).unwrap_or(0.0)
    }
}

/// Processor time of both sides, as parts of one core.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Cpu {
    pub(crate) client: f64,
    pub(crate) service: f64,
}

impl Amount {
    /// The smallest sample.
    pub(crate) const LEAST: Self = Self { warm: 0, batches: 1, each: 1, singles: 0 };

    /// Returns the number of operations in all batches.
    const fn total(self) -> u64 {
        self.batches * self.each
    }

    /// Times an operation as a whole.
    #[inline]
    pub(crate) fn time(self, mut once: impl FnMut() -> Result) -> Result<Sample> {
        for _ in 0..self.warm {
            once()?;
        }
        let mut batches = Vec::with_capacity(self.batches as usize);
        let mut last = Instant::now();
        for _ in 0..self.batches {
            for _ in 0..self.each {
                once()?;
            }
            let now = Instant::now();
            batches.push(nanoseconds(now - last) / self.each as f64);
            last = now;
        }
        let mut singles = Vec::with_capacity(self.singles as usize);
        let mut last = Instant::now();
        for _ in 0..self.singles {
            once()?;
            let now = Instant::now();
            singles.push(whole_nanoseconds(now - last));
            last = now;
        }
        Ok(Sample { batches, singles, cpu: None })
    }

    /// Takes a sample of an operation that measures a part of itself and returns the time; at most `most` operations.
    pub(crate) fn time_parts(
        self,
        most: u64,
        mut once: impl FnMut() -> Result<Duration>,
    ) -> Result<Sample> {
        for _ in 0..self.warm.min(most) {
            once()?;
        }
        let singles = (0..self.total().min(most)).map(|_| once().map(whole_nanoseconds));
        let singles = singles.collect::<Result<Vec<_>>>()?;
        let batches = singles.iter().map(|&single| single as f64).collect();
        Ok(Sample { batches, singles, cpu: None })
    }

    /// Times an operation whose receiver must be asleep: this side spins for a while before each operation.
    pub(crate) fn time_asleep(self, mut once: impl FnMut() -> Result) -> Result<Sample> {
        self.time_parts(u64::MAX, || {
            let paused = Instant::now();
            while paused.elapsed() < FALLS_ASLEEP {
                spin_loop();
            }
            let started = Instant::now();
            once()?;
            Ok(started.elapsed())
        })
    }

    /// Takes a sample of operations that can be timed only together: calls `run` with each number of
    /// [`runs`](Self::runs).
    pub(crate) fn time_whole(self, mut run: impl FnMut(u64) -> Result<Duration>) -> Result<Sample> {
        let times = self.runs().map(|count| Ok(nanoseconds(run(count)?) / count as f64));
        let mut batches = times.collect::<Result<Vec<_>>>()?;
        // Warm-up.
        batches.remove(0);
        Ok(Sample { batches, singles: Vec::new(), cpu: None })
    }

    /// Returns the numbers of operations that [`time_whole`](Self::time_whole) runs at a time, in order.
    pub(crate) fn runs(self) -> impl Iterator<Item = u64> {
        let batches = self.batches.div_ceil(LONGER);
        let runs = iter::repeat_n(self.total() / batches, batches as usize);
        iter::once(self.warm.max(1)).chain(runs)
    }
}

/// Determines how many operations fill `time`, and how many nanoseconds one takes. The fastest of several trials counts, so
/// that a disturbed one does not make all batches too short.
pub(crate) fn calibrate(probe: &mut Probe, time: Duration) -> Result<(Amount, f64)> {
    let (time, mut each) = (nanoseconds(time), 1);
    loop {
        let (mut fastest, started) = (f64::INFINITY, Instant::now());
        for attempt in 0..TRIES {
            if attempt > 0 && started.elapsed() > LONG {
                break;
            }
            let sample = probe(Amount { warm: 1, batches: 1, each, singles: 0 })?;
            fastest = fastest.min(sample.typical());
        }
        if fastest * each as f64 >= time / 4.0 || each >= MAX_BATCH {
            return Ok((amount(fastest, time), fastest));
        }
        each *= 4;
    }
}

fn amount(typical: f64, time: f64) -> Amount {
    // `as` saturates.
    let total = ((time / typical.max(0.1)) as u64).clamp(1, BATCHES * MAX_BATCH);
    let batches = total.min(BATCHES);
    let (warm, singles) = ((total / 8).clamp(1, 100), total.min(MAX_SINGLES));
    Amount { warm, batches, each: total / batches, singles }
}

/// Result of the raw ping-pong beside a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Guard {
    /// Both threads had a core; time of a round trip in nanoseconds.
    Free(f64),
    /// Other work held a core.
    Busy,
}

/// Most frequent time of the raw ping-pong, in nanoseconds of a round trip.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Baseline {
    /// Lower bound.
    low: f64,
    /// Upper bound.
    high: f64,
    /// Part of the samples within the bounds.
    share: f64,
}

impl Baseline {
    /// Returns the most frequent state of the machine; of two equally frequent ones, the faster.
    pub(crate) fn of<'a>(series: impl IntoIterator<Item = &'a Series>) -> Self {
        let taken = series.into_iter().flat_map(|series| &series.0);
        let guards: Vec<_> = taken.flat_map(|taken| taken.around).collect();
        let all = sorted(guards.iter().filter_map(|guard| match guard {
            Guard::Free(time) => Some(*time),
            Guard::Busy => None,
        }));
        let mut most = &all[..0];
        let mut end = 0;
        for (start, low) in all.iter().enumerate() {
            end += all[end..].iter().take_while(|&&time| time <= low * SPREAD).count();
            if end - start > most.len() {
                most = &all[start..end];
            }
        }
        let (low, high) = (most.first().copied(), most.last().copied());
        Self {
            low: low.unwrap_or(0.0),
            high: high.unwrap_or(0.0),
            share: most.len() as f64 / guards.len().max(1) as f64,
        }
    }

    fn accepts(&self, taken: &Taken) -> bool {
        taken.around.iter().all(|guard| match guard {
            Guard::Free(time) => (self.low..=self.high).contains(time),
            Guard::Busy => false,
        })
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { low, high, share } = self;
        writeln!(
            f,
            "raw round trips beside the samples took {low:.0} to {high:.0} ns for {:.0} % of the time; samples from other \
             times are left out",
            share * 100.0
        )
    }
}

/// A sample, with the raw round trips before and after it.
#[derive(Debug)]
struct Taken {
    sample: Sample,
    around: [Guard; 2],
}

/// The samples of one measurement.
#[derive(Debug, Default)]
pub(crate) struct Series(Vec<Taken>);

/// Statistics of a series.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Figure {
    /// Median time of an operation over the batches of all samples, in nanoseconds.
    pub(crate) median: f64,
    /// 99th percentile of single operations, or of batches if operations are not timed one by one, in nanoseconds.
    pub(crate) p99: f64,
    /// Time of an operation in the fastest batch, in nanoseconds.
    pub(crate) best: f64,
    /// Number of samples in use.
    pub(crate) samples: usize,
    /// Number of samples left out.
    pub(crate) left_out: usize,
    /// True if too few samples remained, so that all were used.
    pub(crate) noisy: bool,
    /// Processor time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu: Option<Cpu>,
    /// Times of single operations in nanoseconds: minimum, percentiles 1 to 99, maximum.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) distribution: Vec<f64>,
}

impl Series {
    /// Adds a sample, and the raw ping-pongs before and after it.
    pub(crate) fn add(&mut self, sample: Sample, around: [Guard; 2]) {
        self.0.push(Taken { sample, around });
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the number of samples outside of the baseline.
    fn strange(&self, baseline: &Baseline) -> usize {
        self.0.iter().filter(|taken| !baseline.accepts(taken)).count()
    }

    /// Returns the number of samples during which other work held a core.
    pub(crate) fn busy(&self) -> usize {
        self.0.iter().filter(|taken| taken.around.contains(&Guard::Busy)).count()
    }

    /// Returns the statistics of the samples within the baseline, or of all if those are too few.
    pub(crate) fn figure(&self, baseline: &Baseline) -> Option<Figure> {
        let good = self.len() - self.strange(baseline);
        let noisy = (good as f64) < ENOUGH * self.0.len() as f64;
        let used = || {
            let counts = move |taken: &&Taken| noisy || baseline.accepts(taken);
            self.0.iter().filter(counts).map(|taken| &taken.sample)
        };
        let batches = sorted(used().flat_map(|sample| &sample.batches).copied());
        let singles =
            sorted(used().flat_map(|sample| &sample.singles).map(|&single| single as f64));
        let cpu = |side: fn(&Cpu) -> f64| {
            let parts = sorted(used().filter_map(|sample| sample.cpu.as_ref().map(side)));
            quantile(&parts, 0.5)
        };
        let cpu = cpu(|cpu| cpu.client).zip(cpu(|cpu| cpu.service));
        let distribution = (0..=100).filter_map(|percent| {
            let part = f64::from(percent) / 100.0;
            quantile(&singles, part)
        });
        Some(Figure {
            median: quantile(&batches, 0.5)?,
            p99: quantile(if singles.is_empty() { &batches } else { &singles }, 0.99)?,
            best: *batches.first()?,
            samples: used().count(),
            left_out: self.0.len() - used().count(),
            noisy,
            cpu: cpu.map(|(client, service)| Cpu { client, service }),
            distribution: distribution.collect(),
        })
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Returns a quantile of `sorted`; the median of an even number of values is the mean of the two middle ones.
fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    if part == 0.5 {
        return Some(f64::midpoint(sorted[last / 2], sorted[last.div_ceil(2)]));
    }
    let rank = (part * sorted.len() as f64).ceil() as usize;
    Some(sorted[rank.saturating_sub(1).min(last)])
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

fn whole_nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(mean: f64) -> Sample {
        Sample { batches: vec![mean], ..Sample::default() }
    }

    #[test]
    fn quantiles_of_few_and_of_many() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[7.0], 0.99), Some(7.0));
        assert_eq!(quantile(&[1.0, 2.0], 0.5), Some(1.5));
        assert_eq!(quantile(&[1.0, 2.0, 9.0], 0.5), Some(2.0));
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(quantile(&hundred, 0.0), Some(1.0));
        assert_eq!(quantile(&hundred, 0.5), Some(50.5));
        assert_eq!(quantile(&hundred, 0.99), Some(99.0));
        assert_eq!(quantile(&hundred, 1.0), Some(100.0));
    }

    fn series(samples: impl IntoIterator<Item = (f64, f64)>) -> Series {
        let taken = samples
            .into_iter()
            .map(|(mean, line)| Taken { sample: sample(mean), around: [Guard::Free(line); 2] });
        Series(taken.collect())
    }

    #[test]
    fn the_machine_s_state_is_the_one_that_lasted_longest() {
        // Far cores most of the time, near ones for some of it, and once a shared core.
        let far = (0..60).map(|i| (1.0, 600.0 + f64::from(i)));
        let near = (0..30).map(|i| (1.0, 105.0 + f64::from(i % 10)));
        let series = series(near.chain(far).chain([(1.0, 4e6)]));
        let baseline = Baseline::of([&series]);
        assert_eq!((baseline.low, baseline.high), (600.0, 659.0));
        assert_eq!(baseline.share, 60.0 / 91.0);
    }

    #[test]
    fn of_two_states_that_lasted_equally_long_it_is_the_faster() {
        let baseline = Baseline::of([&series([(1.0, 600.0)]), &series([(1.0, 100.0)])]);
        assert_eq!((baseline.low, baseline.high, baseline.share), (100.0, 100.0, 0.5));
        assert_eq!(Baseline::of([]).share, 0.0);
    }

    #[test]
    fn sample_counts_only_if_the_machine_did_not_change() {
        let baseline = Baseline { low: 200.0, high: 300.0, share: 1.0 };
        let accepts = |around: [f64; 2]| {
            baseline.accepts(&Taken { sample: sample(1.0), around: around.map(Guard::Free) })
        };
        assert!(accepts([200.0, 300.0]));
        for around in [[250.0, 301.0], [199.0, 250.0], [250.0, 4e6], [100.0, 100.0]] {
            assert!(!accepts(around), "{around:?}");
        }
    }

    #[test]
    fn a_sample_beside_other_work_never_counts() {
        let mut series = series([(10.0, 200.0)]);
        for around in [[Guard::Busy; 2], [Guard::Free(200.0), Guard::Busy], [Guard::Busy; 2]] {
            series.add(sample(1e6), around);
        }
        let baseline = Baseline::of([&series]);
        assert_eq!((baseline.low, baseline.high, baseline.share), (200.0, 200.0, 3.0 / 8.0));
        assert_eq!((series.strange(&baseline), series.busy(), series.len()), (3, 3, 4));
        let all =
            Baseline::of([&Series(vec![Taken { sample: sample(1.0), around: [Guard::Busy; 2] }])]);
        assert_eq!((all.low, all.high, all.share), (0.0, 0.0, 0.0));
    }

    #[test]
    fn what_is_left_out_is_counted_and_not_used() {
        let series = series([(30.0, 200.0), (10.0, 210.0), (20.0, 220.0), (1e6, 4e6)]);
        let figure = series.figure(&Baseline::of([&series])).expect("there are samples");
        assert_eq!((figure.median, figure.p99, figure.best), (20.0, 30.0, 10.0));
        assert_eq!((figure.samples, figure.left_out, figure.noisy), (3, 1, false));
    }

    #[test]
    fn too_few_good_samples_use_all_and_are_marked() {
        let series = series([(10.0, 200.0), (50.0, 1e3), (50.0, 2e3), (50.0, 4e3), (50.0, 8e3)]);
        let figure = series.figure(&Baseline::of([&series])).expect("there are samples");
        assert_eq!((figure.median, figure.samples, figure.left_out), (50.0, 5, 0));
        assert!(figure.noisy);
        assert_eq!(Series::default().figure(&Baseline::of([])), None);
    }

    #[test]
    fn the_tail_comes_from_single_operations_where_there_are_any() {
        let mut series = Series::default();
        let singles = (1..=1000).collect();
        series.add(
            Sample { batches: vec![4.0, 5.0, 9.0], singles, cpu: None },
            [Guard::Free(1.0); 2],
        );
        let figure = series.figure(&Baseline::of([&series])).expect("there is a sample");
        assert_eq!((figure.median, figure.p99), (5.0, 990.0));
        assert_eq!(figure.distribution.len(), 101);
        assert_eq!(
            (figure.distribution[0], figure.distribution[50], figure.distribution[100]),
            (1.0, 500.5, 1000.0)
        );
    }

    #[test]
    fn processor_time_is_that_of_the_median_sample() {
        let mut series = Series::default();
        for part in [0.01, 0.9, 0.03] {
            let cpu = Some(Cpu { client: part, service: part / 2.0 });
            series.add(Sample { cpu, ..sample(1.0) }, [Guard::Free(1.0); 2]);
        }
        let cpu = series.figure(&Baseline::of([&series])).and_then(|figure| figure.cpu);
        assert_eq!(cpu, Some(Cpu { client: 0.03, service: 0.015 }));
    }

    #[test]
    fn batches_fill_their_time_within_bounds() {
        let expected = Amount { warm: 100, batches: 16, each: 625, singles: 200 };
        assert_eq!(amount(100.0, 1e6), expected);
        assert_eq!(amount(3e5, 1e6), Amount { warm: 1, batches: 3, each: 1, singles: 3 });
        assert_eq!(amount(1e9, 1e6), Amount { warm: 1, batches: 1, each: 1, singles: 1 });
        assert_eq!(amount(0.0, 1e12).total(), BATCHES * MAX_BATCH);
    }

    #[test]
    fn a_disturbed_try_does_not_make_batches_short() {
        let mut runs = 0;
        let mut probe: Probe = Box::new(move |amount| {
            runs += 1;
            amount.time_whole(|count| {
                let slow = if runs == 1 { 1_000_000 } else { 0 };
                Ok(Duration::from_nanos(count * 100 + slow))
            })
        });
        let (amount, _) = calibrate(&mut probe, Duration::from_millis(1)).expect("nothing fails");
        assert_eq!(amount.total(), 10_000);
    }

    #[test]
    fn every_operation_is_carried_out_once() {
        let amount = Amount { warm: 3, batches: 5, each: 2, singles: 7 };
        let mut runs = 0;
        let sample = amount.time(|| {
            runs += 1;
            Ok(())
        });
        let sample = sample.expect("nothing failed");
        assert_eq!((runs, sample.batches.len(), sample.singles.len()), (20, 5, 7));

        let parts = amount.time_parts(4, || Ok(Duration::from_nanos(4)));
        let parts = parts.expect("nothing failed");
        assert_eq!((parts.batches, parts.singles), (vec![4.0; 4], vec![4; 4]));

        let mut runs = Vec::new();
        let whole = amount.time_whole(|count| {
            runs.push(count);
            Ok(Duration::from_nanos(10 * count))
        });
        assert_eq!(whole.expect("nothing failed").batches, [10.0; 2]);
        assert_eq!(runs, [3, 5, 5]);
        assert!(amount.runs().eq(runs));
    }

    #[test]
    fn a_batch_that_was_disturbed_does_not_change_the_figure() {
        let mut series = Series::default();
        let batches = vec![10.0, 11.0, 4e6, 10.0, 11.0, 11.0];
        series.add(Sample { batches, ..Sample::default() }, [Guard::Free(1.0); 2]);
        let figure = series.figure(&Baseline::of([&series])).expect("there is a sample");
        assert_eq!((figure.median, figure.samples), (11.0, 1));
    }
}
