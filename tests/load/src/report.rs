//! The result of one run: one line of JSON.

use serde::{Deserialize, Serialize};

/// What one run measured. All costs are per [`unit`](Report::unit).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Name of the workload.
    pub work: String,
    /// What was counted: `message`, `delivery`, `request`, `connection` or `subscription`.
    pub unit: String,
    /// How many of them.
    pub count: u64,
    /// Wall time of the measured part, until everything was delivered.
    pub seconds: f64,
    /// `count / seconds`.
    pub per_second: f64,
    /// Processor time of the server, user and system, in µs. `None` when its process is not known.
    pub server_cpu_us: Option<f64>,
    /// The same of this generator: when it comes near to `seconds`, the generator was the limit.
    pub load_cpu_us: f64,
    /// Latencies, where the workload has any.
    pub latency: Option<LatencyReport>,
    /// Growth of the server's resident memory in bytes. `None` unless the workload is about memory.
    pub bytes: Option<f64>,
}

/// Latencies in µs; each is one of the measured values, not an interpolation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencyReport {
    /// Half of all were at most this.
    pub p50: f64,
    /// 99 % were at most this.
    pub p99: f64,
    /// 99.9 % were at most this.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}
