//! What the fuzz targets check, on generated and damaged requests and on the inputs that fuzzing starts from, without a
//! nightly compiler.

use std::path::Path;

use proptest::prelude::*;

use crate::dice::{Dice, cases, seeds};
use crate::generate::request;
use crate::tree::SIGNALS;
use crate::validate::spoil;

#[path = "../../../../tests/fuzz/bodies/columns.rs"]
mod columns;
#[path = "../../../../tests/fuzz/bodies/input.rs"]
mod input;
#[path = "../../../../tests/fuzz/bodies/splice.rs"]
mod splice;
#[path = "../../../../tests/fuzz/bodies/validate.rs"]
mod validate;

/// A target: its name, how many bytes of its input are choices, and what it does with an input.
type Target = (&'static str, usize, fn(&[u8]));

const TARGETS: [Target; 3] =
    [("validate", 0, validate::check), ("columns", 0, columns::check), ("splice", input::CHOICES, splice::check)];

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn hold_on_generated_requests((seed, size) in seeds(), odd: bool, damage: Option<u64>) {
        let mut dice = Dice::new(seed);
        for (first, signal) in (0..).zip(SIGNALS) {
            let mut bytes = request(signal, seed, size, odd);
            if let Some(damage) = damage {
                spoil(&mut bytes, damage);
            }
            for (_, choices, check) in TARGETS {
                let mut input = vec![first];
                input.extend((0..choices).map(|_| dice.below(256) as u8));
                input.extend_from_slice(&bytes);
                check(&input);
            }
        }
    }
}

/// Inputs that fuzzing found something with are put beside the seeds; so each stays a case here.
#[test]
fn hold_on_the_committed_inputs() {
    for (name, _, check) in TARGETS {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/seeds").join(name);
        let inputs: Vec<_> = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(inputs.len() >= SIGNALS.len(), "{}", directory.display());
        for path in inputs {
            check(&std::fs::read(path).unwrap());
        }
    }
}
