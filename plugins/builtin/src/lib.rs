//! The one list of the plugins in this binary, each behind a cargo feature of its own.

use dunlin_api::{Plugin, Registry, RegistryError};

/// Registers every plugin that this binary was built with.
///
/// # Errors
/// Two plugins of one kind with the same name.
pub fn register(registry: &mut Registry) -> Result<(), RegistryError> {
    plugins().into_iter().try_for_each(|plugin| registry.add(plugin))
}

fn plugins() -> Vec<Plugin> {
    vec![
        #[cfg(feature = "nats")]
        dunlin_nats::plugin(),
        #[cfg(feature = "auth-static")]
        dunlin_static_auth::plugin(),
        #[cfg(feature = "store-memory")]
        dunlin_memory_store::plugin(),
        #[cfg(feature = "example-auth")]
        dunlin_example_auth::plugin(),
        #[cfg(feature = "example-listener")]
        dunlin_example_listener::plugin(),
        #[cfg(feature = "example-store")]
        dunlin_example_store::plugin(),
        #[cfg(feature = "store-sled")]
        dunlin_sled::plugin(),
    ]
}
