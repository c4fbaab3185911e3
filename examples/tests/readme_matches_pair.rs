//! The code that people see first is code that runs.

/// The README shows `pair.rs` as it is, and `programs.rs` runs it.
#[test]
fn the_readme_shows_the_pair_example() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let readme = std::fs::read_to_string(path).expect("README.md is there");
    let program = include_str!("../src/bin/pair.rs");
    let shown = readme
        .split("```rust\n")
        .nth(1)
        .and_then(|rest| rest.split_once("```"))
        .map(|(code, _)| code)
        .expect("README.md has a block of Rust");
    assert_eq!(
        shown.trim(),
        program.trim(),
        "copy examples/src/bin/pair.rs into README.md"
    );
}
