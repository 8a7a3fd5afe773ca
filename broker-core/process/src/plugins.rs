//! The list of plugins, for people.

use dunlin_api::Registry;

/// One plugin a line, its kind, name and summary; below it its options.
pub fn list(registry: &Registry) -> String {
    let mut text = String::new();
    for plugin in registry.iter() {
        text.push_str(&format!(
            "{:<9} {:<18} {}\n",
            plugin.kind().key(),
            plugin.name(),
            plugin.summary()
        ));
        for key in plugin.keys() {
            let doc = key.doc.lines().next().unwrap_or_default();
            text.push_str(&format!("{:<29}{}: {doc}\n", "", key.name));
        }
    }
    text
}
