//! The example of the README, run.

#[path = "../examples/protect.rs"]
mod protect;

/// Its assertions hold.
#[test]
fn protect_runs() {
    protect::main().unwrap();
}
