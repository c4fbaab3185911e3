//! Percentiles, and the forms in which they are printed.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::Result;

/// Durations, recorded in nanoseconds to three digits.
#[derive(Clone, Debug)]
pub struct Times(Histogram<u64>);

impl Times {
    /// None yet; takes up to a minute.
    ///
    /// # Errors
    /// Never: the bounds are constant.
    pub fn new() -> Result<Self> {
        Ok(Self(Histogram::new_with_bounds(1, MAX_NANOS, 3)?))
    }

    /// Adds one. More than a minute counts as a minute.
    pub fn record(&mut self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0.saturating_record(nanos);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The time that a share (0 to 1) of them does not exceed, in microseconds.
    #[must_use]
    pub fn micros(&self, share: f64) -> f64 {
        self.0.value_at_quantile(share) as f64 / 1e3
    }

    /// p50, p99, p999 and the largest, in microseconds.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "count": self.len(),
            "p50_us": round(self.micros(0.5)),
            "p99_us": round(self.micros(0.99)),
            "p999_us": round(self.micros(0.999)),
            "max_us": round(self.micros(1.0)),
        })
    }

    /// The columns under [`Times::HEAD`].
    #[must_use]
    pub fn row(&self) -> String {
        let us = |share| self.micros(share);
        let (p50, p99, p999, max) = (us(0.5), us(0.99), us(0.999), us(1.0));
        format!("{p50:>11.1}{p99:>11.1}{p999:>11.1}{max:>11.1}")
    }

    /// What stands above [`Times::row`].
    pub const HEAD: &'static str = "     p50 µs     p99 µs    p999 µs     max µs";
}

/// The value in the middle, and the largest, of any order.
#[must_use]
pub fn median_and_max(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => (f64::NAN, f64::NAN),
        n => ((values[(n - 1) / 2] + values[n / 2]) / 2.0, values[n - 1]),
    }
}

/// To three decimals: more says nothing.
#[must_use]
pub fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

const MAX_NANOS: u64 = 60_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// A percentile of the wrong end would look plausible for years.
    #[test]
    fn percentiles_count_from_below() {
        let mut times = Times::new().unwrap();
        for micros in 1..=1_000 {
            times.record(Duration::from_micros(micros));
        }
        assert!((times.micros(0.5) - 500.0).abs() < 1.0);
        assert!((times.micros(0.99) - 990.0).abs() < 1.0);
        let (median, max) = median_and_max(vec![3.0, 1.0, 2.0, 10.0]);
        assert_eq!((median, max), (2.5, 10.0));
    }
}
