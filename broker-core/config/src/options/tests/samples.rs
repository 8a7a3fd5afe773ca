//! The samples in `conf/`: each exists in both syntaxes, and both say the same.

use super::Config;
use crate::source::MapSource;

macro_rules! sample {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../../../../conf/", $name, ".conf")),
            include_str!(concat!("../../../../../conf/", $name, ".toml")),
        )
    };
}

/// Each sample in both syntaxes.
pub(crate) fn twins() -> Vec<(&'static str, &'static str, &'static str)> {
    vec![
        sample!("minimal"),
        sample!("users"),
        sample!("accounts"),
        sample!("permissions"),
        sample!("limits"),
        sample!("logging"),
        sample!("plugins"),
    ]
}

#[test]
fn twins_give_the_same_options() {
    for (name, nats_conf, toml) in twins() {
        let source = MapSource::new().file("a.conf", nats_conf).file("a.toml", toml);
        let [left, right] = ["a.conf", "a.toml"].map(|path| match Config::load(path, &source) {
            Ok(loaded) => {
                assert_eq!(
                    loaded.report.findings(),
                    Vec::<&crate::Finding>::new(),
                    "{name}: {path}"
                );
                loaded.config.validate().unwrap();
                loaded.config
            }
            Err(error) => panic!("{name}: {path}: {error}"),
        });
        assert_eq!(left, right, "{name}");
        assert_ne!(left, Config::default(), "{name}");
    }
}
