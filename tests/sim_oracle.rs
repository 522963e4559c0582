//! An oracle that never speaks proves nothing: here something is broken on purpose, and it has to say what.

#![cfg(feature = "sim")]

use tdl::sim::{Fault, FaultSet, Options, Sabotage, Violation, run, shrink};

/// The promise that each sabotage breaks.
fn expected(sabotage: Sabotage) -> &'static str {
    match sabotage {
        Sabotage::ExecuteTwice => "ExecutedAgain",
        Sabotage::UpdateTwice => "UpdateTwice",
        Sabotage::UpdateOutOfOrder => "UpdateOutOfOrder",
        Sabotage::LoseUpdate => "UpdateLost",
        Sabotage::ExecuteRefused => "ExecutedAfterAll",
        Sabotage::OutOfTurn => "OutOfTurn",
        Sabotage::StrangeError => "WrongError",
        Sabotage::SwapAnswers => "WrongAnswer",
        Sabotage::NeverAnswer => "NeverEnded",
        Sabotage::EndTwice => "EndedTwice",
        Sabotage::Hoard => "Grown",
        Sabotage::Panic => "Panicked",
    }
}

#[test]
fn every_sabotage_is_noticed_and_named() {
    for sabotage in Sabotage::ALL {
        let options = Options { sabotage: Some(sabotage), ..Options::default() };
        let mut found = Vec::new();
        for seed in 0..200 {
            found.extend(run(seed, &options).violations.iter().map(Violation::name));
            if found.contains(&expected(sabotage)) {
                break;
            }
        }
        assert!(found.contains(&expected(sabotage)), "{sabotage:?}: {found:?}");
    }
}

/// Nothing else than what is broken is complained about, where nothing else is wrong.
#[test]
fn without_faults_only_the_sabotage_is_noticed() {
    let without: FaultSet = Fault::ALL.iter().copied().collect();
    for sabotage in [Sabotage::ExecuteTwice, Sabotage::UpdateTwice, Sabotage::UpdateOutOfOrder, Sabotage::EndTwice] {
        let options = Options { sabotage: Some(sabotage), without, ..Options::default() };
        for seed in 100..110 {
            for violation in run(seed, &options).violations {
                assert_eq!(violation.name(), expected(sabotage), "{sabotage:?}, seed {seed}: {violation}");
            }
        }
    }
}

#[test]
fn a_failing_seed_fails_again_and_can_be_shrunk() {
    let options = Options { sabotage: Some(Sabotage::UpdateTwice), ..Options::default() };
    let seed = (0..40).find(|seed| !run(*seed, &options).violations.is_empty()).expect("one of them fails");
    assert_eq!(run(seed, &options).violations, run(seed, &options).violations);
    let (fewer, report) = shrink(seed, &options).expect("it fails");
    assert!(!report.violations.is_empty());
    // Which other faults the world needs to come to the failure differs from seed to seed; most of them it does not.
    let whole = run(seed, &options).figures.faults;
    assert!(report.figures.faults.len() * 2 < whole.len(), "hardly any was needed: {:?} of {whole:?}", report.figures.faults);
    assert_eq!(run(seed, &fewer).violations, report.violations);
}

#[test]
fn worlds_without_faults_are_well() {
    let without: FaultSet = Fault::ALL.iter().copied().collect();
    let options = Options { without, ..Options::default() };
    for seed in 0..60 {
        let report = run(seed, &options);
        assert!(report.violations.is_empty(), "seed {seed}: {:?}", report.violations);
        assert!(report.figures.faults.is_empty());
    }
}
