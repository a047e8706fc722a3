use std::fmt;
use std::time::Duration;

/// One line of the result.
pub(crate) struct Figure {
    pub(crate) what: String,
    pub(crate) measured: String,
    pub(crate) beside: String,
    /// Measured in relation to what it stands beside.
    pub(crate) ratio: Option<f64>,
    /// What the ratio is to be, such as `>= 0.7`.
    pub(crate) wanted: &'static str,
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ratio = self
            .ratio
            .map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        write!(
            f,
            "{}\t{}\t{}\t{ratio}\t{}",
            self.what, self.measured, self.beside, self.wanted
        )
    }
}

/// The middle of several measurements.
pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// The time that 99 of 100 do not exceed.
pub(crate) fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[(times.len() * 99 / 100).min(times.len() - 1)]
}

/// Bytes in a time, in GB/s.
#[expect(clippy::cast_precision_loss, reason = "a figure with two digits")]
pub(crate) fn rate(bytes: usize, time: Duration) -> f64 {
    bytes as f64 / 1e9 / time.as_secs_f64()
}
