//! Every saved input, through the same functions as the fuzzer: what it once found stays found.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::BuildHasher;
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

/// A short run of each target with every test run: pieces of saved inputs, put together anew. Another seed each time, which
/// is printed; `FUZZ_SEED` repeats one.
#[test]
fn inputs_made_of_pieces_of_saved_ones_are_taken() {
    let seed = match std::env::var("FUZZ_SEED") {
        Ok(seed) => seed.parse().expect("a number"),
        Err(_) => RandomState::new().hash_one("seed"),
    };
    eprintln!("FUZZ_SEED={seed}");
    let mut chance = Chance(seed | 1);
    for target in TARGETS {
        let inputs = saved(target.name);
        for round in 0..ROUNDS {
            let mut made = Vec::new();
            for _ in 0..=chance.below(3) {
                let (_, input) = &inputs[chance.below(inputs.len())];
                let (one, other) = (chance.below(input.len() + 1), chance.below(input.len() + 1));
                made.extend_from_slice(&input[one.min(other)..one.max(other)]);
            }
            if !made.is_empty() {
                let at = chance.below(made.len());
                made[at] = u8::try_from(chance.below(256)).expect("a byte");
            }
            made.truncate(target.max_bytes);
            eprintln!("{} {round}", target.name);
            (target.run)(&made);
        }
    }
}

/// Of each target; together about two seconds in a debug build.
const ROUNDS: usize = 4000;

/// Xorshift: enough to mix pieces.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).expect("below a usize")
    }
}
