//! Collects latencies and answers with percentiles.

use std::time::Duration;

use crate::report::LatencyReport;

/// All latencies of one run, kept one by one: exact, 8 bytes each.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    nanos: Vec<u64>,
}

impl Latencies {
    pub(crate) fn add(&mut self, latency: Duration) {
        self.nanos
            .push(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn clear(&mut self) {
        self.nanos.clear();
    }

    /// `None` when nothing was added.
    pub(crate) fn report(&mut self) -> Option<LatencyReport> {
        self.nanos.sort_unstable();
        Some(LatencyReport {
            p50: self.at_most(500)?,
            p99: self.at_most(990)?,
            p999: self.at_most(999)?,
            max: self.at_most(1000)?,
        })
    }

    /// The smallest value that at least `permille` of all do not exceed. The values must be sorted.
    fn at_most(&self, permille: usize) -> Option<f64> {
        let rank = (self.nanos.len() * permille).div_ceil(1000).max(1);
        self.nanos.get(rank - 1).map(|nanos| *nanos as f64 / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let mut all = Latencies::default();
        for micros in (1..=1000).rev() {
            all.add(Duration::from_micros(micros));
        }
        let want = LatencyReport {
            p50: 500.0,
            p99: 990.0,
            p999: 999.0,
            max: 1000.0,
        };
        assert_eq!(all.report(), Some(want));
    }

    #[test]
    fn nothing_measured_reports_nothing() {
        assert_eq!(Latencies::default().report(), None);
    }
}
