use std::panic::catch_unwind;

use super::*;

/// Mutations of each target in a test run: some seconds in all without optimisation.
const ROUNDS: usize = 4000;

/// Replays what is kept, and mutations of it; on a panic it shows the input.
#[track_caller]
fn check(name: &str) {
    let target = TARGETS
        .iter()
        .find(|target| target.name == name)
        .expect("a target");
    let inputs = Corpus::load(name)
        .unwrap_or_else(|error| panic!("{error}"))
        .inputs;
    assert!(!inputs.is_empty(), "no kept inputs");
    let tokens = tokens(name).unwrap_or_else(|error| panic!("{error}"));
    assert!(!tokens.is_empty(), "no dictionary");
    let mut mutator = Mutator::new(1, &inputs, &tokens);
    let mutations = std::iter::repeat_with(|| mutator.make()).take(ROUNDS);
    for input in inputs.clone().into_iter().chain(mutations) {
        let shown = input.escape_ascii().to_string();
        let run = target.run;
        if catch_unwind(move || run(&input)).is_err() {
            panic!("{name} fails on b\"{shown}\"");
        }
    }
}

/// One test a target, and one that none is forgotten.
macro_rules! targets {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                check(stringify!($name));
            }
        )*

        #[test]
        fn every_target_is_tested() {
            let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

targets! {
    backup
    blocks
    connect
    headers
    info
    nats_conf
    protocol
    proxy
    small_files
    subjects
    toml
    transforms
}

#[test]
fn each_target_has_its_program() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).expect("fuzz/Cargo.toml");
    for Target { name, .. } in TARGETS {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        assert!(folder.join(format!("fuzz_targets/{name}.rs")).exists(), "{name}");
    }
}
