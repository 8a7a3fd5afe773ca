//! Crates with a published fix are past it. Their own tests hold the input that broke them.
#![allow(clippy::disallowed_methods, reason = "a test reads the lock file")]

use dunlin_tests::paths;

/// A crate, the first version with the fix, and the advisory; `None`: there is no fix, so it must not be used.
const FIXED: &[(&str, Option<[u64; 3]>, &str)] = &[
    ("bytes", Some([1, 11, 1]), "RUSTSEC-2026-0007"),
    (
        "rustls-webpki",
        Some([0, 103, 13]),
        "RUSTSEC-2026-0098, 0099, 0104",
    ),
    ("tungstenite", Some([0, 20, 1]), "RUSTSEC-2023-0065"),
    ("websocket", Some([0, 26, 5]), "RUSTSEC-2022-0035"),
    ("ws", None, "RUSTSEC-2020-0043"),
];

/// Names and versions of a lock file.
fn locked(text: &str) -> Vec<(String, [u64; 3])> {
    let value = |line: &str, key: &str| {
        let text = line.strip_prefix(key)?.strip_prefix(" = \"")?;
        text.strip_suffix('"').map(str::to_owned)
    };
    let lines: Vec<&str> = text.lines().collect();
    let pairs = lines.windows(2).filter_map(|pair| {
        let (name, version) = (value(pair[0], "name")?, value(pair[1], "version")?);
        let core = version.split(['-', '+']).next()?;
        let mut parts = core.split('.').map(|part| part.parse().unwrap_or(0));
        Some((name, std::array::from_fn(|_| parts.next().unwrap_or(0))))
    });
    pairs.collect()
}

// [RUSTSEC-2023-0065, 2022-0035, 2020-0043, 2026-0104, 2026-0098, 2026-0099, 2026-0007]
#[test]
fn crates_are_past_the_fixes_of_their_advisories() {
    let path = paths::root().join("Cargo.lock");
    let locked = locked(&std::fs::read_to_string(path).unwrap());
    assert!(locked.len() > 100, "a lock file of {} crates", locked.len());
    for (name, version) in &locked {
        for (fixed, since, advisory) in FIXED.iter().filter(|(fixed, ..)| fixed == name) {
            let is_fixed = since.is_some_and(|since| *version >= since);
            assert!(is_fixed, "{fixed} {version:?}: {advisory}");
        }
    }
}
