//! Every saved input, through the same functions as the fuzzer: what it once found stays found.

use std::fs;
use std::path::PathBuf;

use fuzz_targets::TARGETS;

fn saved(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../corpus");
    let directory = directory.join(target);
    let entries =
        fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut saved: Vec<(PathBuf, Vec<u8>)> = entries
        .map(|entry| entry.expect("readable").path())
        .map(|path| (path.clone(), fs::read(path).expect("readable")))
        .collect();
    saved.sort();
    saved
}

#[test]
fn every_saved_input_is_taken() {
    for target in TARGETS {
        let inputs = saved(target.name);
        assert!(inputs.len() > 5, "{} has a corpus", target.name);
        for (path, input) in inputs {
            assert!(
                input.len() <= target.max_bytes,
                "{} is longer than {} bytes",
                path.display(),
                target.max_bytes
            );
            // Its name, should it panic or never end.
            eprintln!("{}", path.display());
            (target.run)(&input);
        }
    }
}

#[test]
fn saved_inputs_that_are_cut_short_or_changed_are_taken_too() {
    for target in TARGETS {
        for (path, input) in saved(target.name) {
            eprintln!("{}", path.display());
            for at in (0..input.len()).step_by(input.len() / 16 + 1) {
                (target.run)(&input[..at]);
                let mut changed = input.clone();
                changed[at] ^= 0x81;
                (target.run)(&changed);
            }
        }
    }
}
