//! `feature_flags`: switches of features that are being introduced.
//!
//! The names are the reference's. All of them concern JetStream, which reads them here.

use std::collections::BTreeMap;

use super::Config;
use crate::report::Report;
use crate::section::Field;
use crate::text::quote;
use crate::value::Value;

/// Known flags, each with its value where the file says nothing.
const FLAGS: [(&str, bool); 4] = [
    ("js_ack_fc_v2", false),
    ("js_api_reply_v2", false),
    ("js_raft_delete_range", true),
    ("js_snapshot_sources", false),
];

impl Config {
    /// Whether a feature is on. One that is not known is off, whatever the file says: a file may outlive a flag.
    pub fn feature_flag(&self, name: &str) -> bool {
        self.feature_flags_in_force()
            .get(name)
            .copied()
            .unwrap_or_default()
    }

    /// All known flags with the values in force.
    pub fn feature_flags_in_force(&self) -> BTreeMap<&'static str, bool> {
        merged(&FLAGS, &self.feature_flags)
    }
}

fn merged(known: &[(&'static str, bool)], given: &BTreeMap<String, bool>) -> BTreeMap<&'static str, bool> {
    let known = known.iter();
    known
        .map(|(name, default)| (*name, given.get(*name).copied().unwrap_or(*default)))
        .collect()
}

/// Reads `feature_flags`; an unknown one is remarked.
pub(super) fn feature_flags(field: &Field<'_>, report: &mut Report) -> Option<BTreeMap<String, bool>> {
    let Value::Table(table) = &field.node.value else {
        let got = field.node.value.type_name();
        return field.error(
            format!("error parsing feature flags: unsupported type {got}"),
            report,
        );
    };
    let mut flags = BTreeMap::new();
    for entry in table {
        let name = quote(&entry.key);
        let Value::Bool(on) = entry.node.value else {
            let got = entry.node.value.type_name();
            let reason = format!("error parsing feature flag {name}: expected bool, got {got}");
            report.error(&entry.key_pos, &entry.key, reason);
            continue;
        };
        if !FLAGS.iter().any(|(known, _)| *known == &*entry.key) {
            let known: Vec<&str> = FLAGS.iter().map(|(name, _)| *name).collect();
            report
                .notice(
                    &entry.key_pos,
                    &entry.key,
                    format!("feature flag {name} is not known"),
                )
                .remedy(format!("known are {}", known.join(", ")));
        }
        flags.insert(entry.key.to_string(), on);
    }
    Some(flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(flags: &[(&str, bool)]) -> BTreeMap<String, bool> {
        flags.iter().map(|(name, on)| ((*name).to_owned(), *on)).collect()
    }

    // CORE section 15 [TestGetMergedFeatureFlags]
    #[test]
    fn the_files_flags_win_over_defaults_and_unknown_ones_are_left_out() {
        let known = [("a", true), ("b", true)];
        let merged = merged(&known, &given(&[("a", false), ("stale", false)]));
        assert_eq!(merged, BTreeMap::from([("a", false), ("b", true)]));
    }

    // CORE section 15 [TestGetFeatureFlag]
    #[test]
    fn a_flag_is_the_files_else_its_default_and_off_if_unknown() {
        let mut config = Config::default();
        assert!(!config.feature_flag("") && config.feature_flag("js_raft_delete_range"));
        config.feature_flags = given(&[
            ("js_raft_delete_range", false),
            ("js_ack_fc_v2", true),
            ("stale", true),
        ]);
        assert!(!config.feature_flag("js_raft_delete_range") && config.feature_flag("js_ack_fc_v2"));
        assert!(!config.feature_flag("stale"));
    }
}
