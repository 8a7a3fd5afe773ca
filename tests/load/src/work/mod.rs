//! The workloads.

mod connect;
mod idle;
mod paced;
mod request;
mod stream;

use std::time::{Duration, Instant};

use crate::error::LoadError;
use crate::options::{Options, Work};
use crate::report::Report;

/// Does what `options` say and reports what it cost.
///
/// # Errors
/// See [`LoadError`]; a run that fails reports nothing.
pub fn run(options: &Options) -> Result<Report, LoadError> {
    match options.work {
        Work::Pub | Work::PubSub | Work::Queue if options.rate.is_none() => stream::run(options),
        Work::Pub | Work::PubSub | Work::Queue | Work::Trickle => paced::run(options),
        Work::Request => request::run(options),
        Work::Idle => idle::connections(options),
        Work::Subs => idle::subscriptions(options),
        Work::Connect => connect::run(options),
    }
}

/// The subject that everything is published on, unless a workload needs many.
const SUBJECT: &str = "load";

/// Bytes per read: large, so that reading costs the generator little.
const READ_BYTES: usize = 256 * 1024;

/// Ends a run that does not get on any more.
#[derive(Debug)]
struct Watch {
    progress: u64,
    since: Instant,
}

impl Watch {
    const PATIENCE: Duration = Duration::from_secs(10);

    fn new() -> Watch {
        Watch {
            progress: 0,
            since: Instant::now(),
        }
    }

    /// `progress` is any number that changes while things move; `state` describes them.
    fn see(&mut self, progress: u64, now: Instant, state: impl FnOnce() -> String) -> Result<(), LoadError> {
        if progress != self.progress {
            *self = Watch { progress, since: now };
        } else if now.duration_since(self.since) > Watch::PATIENCE {
            return Err(LoadError::Stuck(state()));
        }
        Ok(())
    }
}
