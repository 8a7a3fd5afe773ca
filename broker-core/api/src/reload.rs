//! The program around a broker, as a reload sees it.

use dunlin_config::Config;
use dunlin_config::reload::Plan;

/// What a program takes over itself when its broker reloads, such as where its log goes. A program that takes nothing
/// over is `&mut ()`.
pub trait ReloadHost: Send {
    /// Makes ready for `config`; whatever can fail, fails here.
    ///
    /// # Errors
    /// One line for the operator; nothing is changed then, here and in the broker.
    fn prepare(&mut self, plan: &Plan, config: &Config) -> Result<(), String> {
        let _ = (plan, config);
        Ok(())
    }

    /// The turn of `key`, which differs: called in the order of the plan, before the log has its line.
    fn take_over(&mut self, key: &str, config: &Config) {
        let _ = (key, config);
    }

    /// All keys have had their turn; open sessions have not been decided about yet.
    fn finish(&mut self, config: &Config) {
        let _ = config;
    }
}

impl ReloadHost for () {}
