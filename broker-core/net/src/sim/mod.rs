//! A network in memory, for simulations: latency, byte-level chunking, partitions and resets, all from one seed.
//!
//! One [`SimWorld`] holds every connection; [`SimWorld::host`] gives each simulated machine its own
//! [`dunlin_api::Network`]. Everything runs on one current-thread runtime. Time is tokio's, which a test pauses;
//! randomness follows from the seed, so a run can be repeated. Bytes of one direction keep their order whatever
//! happens to them. No packet is ever lost or sent twice: that is the business of TCP, not of those who use it.

mod connection;
mod link;
mod world;

pub use link::LinkRules;
pub use world::{SimNetwork, SimWorld};

use dunlin_api::{CurrentThread, Disk, Env, EnvParts, Logger, MemoryDisk, SeededRandom, SimulatedClock};

/// [`sim_env_with`] an empty disk.
pub fn sim_env(seed: u64, network: SimNetwork, logger: Logger) -> Env {
    sim_env_with(seed, network, logger, MemoryDisk::default())
}

/// An environment on `network` with a simulated clock that starts now, and randomness that follows from `seed`. Tasks
/// run on the runtime that this is called in. A clone of `disk` outlives the broker, for its next start.
///
/// # Panics
/// Outside a tokio runtime.
pub fn sim_env_with(seed: u64, network: SimNetwork, logger: Logger, disk: impl Disk) -> Env {
    Env::new(EnvParts {
        clock: Box::new(SimulatedClock::new()),
        random: Box::new(SeededRandom::new(seed)),
        network: Box::new(network),
        disk: Box::new(disk),
        execution: Box::new(CurrentThread::new()),
        logger,
    })
}

#[cfg(test)]
mod tests;
