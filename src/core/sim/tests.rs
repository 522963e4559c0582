//! Tests of the simulation itself. That many worlds are good is shown by `tests/sim_sessions.rs`.

use super::*;

#[test]
fn a_run_is_a_function_of_its_seed() {
    let options = Options { log: true, ..Options::default() };
    for seed in [3, 17] {
        let (one, two) = (run(seed, &options), run(seed, &options));
        assert!(!one.log.is_empty());
        assert_eq!(one.log, two.log);
        assert_eq!(one.figures, two.figures);
    }
}
