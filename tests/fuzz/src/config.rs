//! Configuration files, in both syntaxes.

use dunlin_config::{Config, Format, LoadError, MapSource};

/// A file in nats.conf's syntax gives a configuration or says what is wrong, and does so twice the same.
pub fn nats_conf(data: &[u8]) {
    load(data, Format::NatsConf);
}

/// The same for TOML.
pub fn toml(data: &[u8]) {
    load(data, Format::Toml);
}

fn load(data: &[u8], format: Format) {
    let first = read(data, format);
    assert_eq!(first, read(data, format), "the same file means the same");
}

fn read(data: &[u8], format: Format) -> Result<(String, Config), String> {
    // Files to include: a plain one, one that includes itself, two that include each other.
    let source = MapSource::new()
        .file("a", "port: 4333\n")
        .file("b", "include b\n")
        .file("c", "include d\n")
        .file("d", "include c\n")
        .variable("VAR", "12");
    match Config::load_content(data, "fuzz.conf", format, &source) {
        Ok(loaded) => {
            for finding in loaded.report.findings() {
                assert!(!finding.reason.is_empty());
            }
            let _ = loaded.config.validate();
            let _ = format!("{:?}", loaded.config);
            Ok((loaded.digest, loaded.config))
        }
        Err(error) => {
            let text = error.to_string();
            assert!(!text.trim().is_empty(), "an error says what is wrong");
            if let LoadError::Invalid(report) = &error {
                assert!(report.has_errors());
            }
            Err(text)
        }
    }
}
