//! A network in memory, for simulations: latency, byte-level chunking, partitions and resets, all from one seed.
//!
//! One [`SimWorld`] holds every connection; [`SimWorld::host`] gives each simulated machine its own
//! [`dunlin_api::Network`]. Time is tokio's, which a test pauses; randomness follows from the seed, so a run can be
//! repeated. Bytes of one direction keep their order whatever happens to them.

mod link;
mod socket;
mod world;

pub use link::LinkRules;
pub use world::{SimNetwork, SimWorld};

use dunlin_api::{CurrentThread, Env, EnvParts, Logger, MemoryDisk, SeededRandom, SimulatedClock};

/// An environment on `network` with a simulated clock, an empty disk and seeded randomness. Tasks run on the runtime
/// that this is called in.
pub fn sim_env(seed: u64, network: SimNetwork, logger: Logger) -> Env {
    Env::new(EnvParts {
        clock: Box::new(SimulatedClock::new()),
        random: Box::new(SeededRandom::new(seed)),
        network: Box::new(network),
        disk: Box::new(MemoryDisk::default()),
        execution: Box::new(CurrentThread::new()),
        logger,
    })
}

#[cfg(test)]
mod tests;
