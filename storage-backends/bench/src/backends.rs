//! The backends that can be measured, by name.

use dunlin_api::StoreBackend;

/// All of them.
pub(crate) const NAMES: &[&str] = &["memory"];

/// Opens one over an empty medium.
///
/// # Errors
/// There is none of that name, or its medium refuses.
pub(crate) fn open(name: &str) -> Result<Box<dyn StoreBackend>, String> {
    match name {
        "memory" => Ok(Box::new(dunlin_memory_store::MemoryBackend::default())),
        _ => Err(format!("no backend {name}; there are {}", NAMES.join(", "))),
    }
}
