//! The reload of a running broker: all of a new configuration, or nothing of it (CORE-132 to CORE-134).

use std::sync::Arc;

use dunlin_api::config::Config;
use dunlin_api::config::reload::{NotReloadable, Plan};
use dunlin_api::{ReloadHost, Setup};

use crate::assembly::{Assembly, AssemblyError};
use crate::server::Server;

/// Why a reload was refused; nothing has changed then. `Display` is the reference's text where it has one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// A key differs that cannot change while the broker runs.
    #[error(transparent)]
    NotReloadable(#[from] NotReloadable),
    /// The auth provider cannot be made from it.
    #[error(transparent)]
    Assembly(#[from] AssemblyError),
    /// A listener or the program around the broker cannot take it over.
    #[error("{0}")]
    Refused(String),
}

impl Server {
    /// What `config` would change of the configuration in force, and what would need a restart.
    pub fn plan(&self, config: &Config) -> Plan {
        let mut old = Config::clone(&self.broker().config());
        if let Some(port) = self.client_port().filter(|_| old.port == -1) {
            old.port = i32::from(port);
        }
        Plan::between(&old, config)
    }

    /// Takes over `config`, whose flags must be applied and which must be valid; `digest` of its file is logged. When this
    /// returns, open sessions have been decided about and the log has said what changed. Reloads wait for each other.
    ///
    /// # Errors
    /// See [`ReloadError`]; the broker goes on as it was.
    pub async fn reload(
        &self,
        config: Config,
        digest: &str,
        host: &mut dyn ReloadHost,
    ) -> Result<Plan, ReloadError> {
        let _one_at_a_time = self.reloading.lock().await;
        let plan = self.plan(&config);
        plan.check()?;
        let config = Arc::new(config);
        let setup = Setup {
            env: &self.env,
            config: &config,
        };
        let auth = Assembly::new(&self.registry, setup).auth()?;
        let prepared: Result<Vec<_>, String> = self
            .listeners
            .iter()
            .map(|(listener, _)| listener.reload(&config))
            .collect();
        let prepared = prepared.map_err(ReloadError::Refused)?;
        host.prepare(&plan, &config).map_err(ReloadError::Refused)?;
        // Nothing can fail from here on.
        for take_over in prepared {
            take_over();
        }
        self.log_steps(&plan, &config, host);
        host.finish(&config);
        self.router.reload(config, auth).await;
        let digest = if digest.is_empty() {
            String::new()
        } else {
            format!("({digest})")
        };
        self.env
            .log()
            .notice(format_args!("Reloaded server configuration {digest}"));
        Ok(plan)
    }

    fn log_steps(&self, plan: &Plan, config: &Config, host: &mut dyn ReloadHost) {
        let log = self.env.log();
        for step in plan.steps() {
            if let Some(change) = step.change {
                if change.key == "max_connections" {
                    self.close_excess(config);
                }
                host.take_over(&change.key, config);
            }
            for line in step.line.lines() {
                log.notice(format_args!("{line}"));
            }
        }
    }

    fn close_excess(&self, config: &Config) {
        let limit = usize::try_from(config.max_connections).unwrap_or(usize::MAX);
        let closed = self.router.close_excess(limit);
        if closed > 0 {
            let log = self.env.log();
            log.notice(format_args!(
                "Closed {closed} connections to fall within max_connections"
            ));
        }
    }
}
