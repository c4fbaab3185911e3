//! The code that people see first is code that runs.
#![expect(
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

/// The README shows `pair.rs` as it is, and `programs.rs` runs it.
#[test]
fn the_readme_shows_the_pair_example() {
    assert_eq!(
        block("README.md", "rust").trim(),
        include_str!("../src/bin/pair.rs").trim(),
        "copy examples/src/bin/pair.rs into README.md"
    );
}

/// The guide's first chapter shows `echo.rs` and its page as they are, and `programs.rs` runs them.
#[test]
fn the_guide_shows_the_echo_example() {
    let guide = "docs/guide/getting-started.md";
    assert_eq!(
        block(guide, "rust,ignore").trim(),
        include_str!("../src/bin/echo.rs").trim(),
        "copy examples/src/bin/echo.rs into {guide}"
    );
    assert_eq!(
        block(guide, "html").trim(),
        include_str!("../src/bin/echo.html").trim(),
        "copy examples/src/bin/echo.html into {guide}"
    );
}

/// The first block of a language in a document of the repository.
fn block(document: &str, language: &str) -> String {
    let path = format!("{}/../{document}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.split(&format!("```{language}\n"))
        .nth(1)
        .and_then(|rest| rest.split_once("```"))
        .map(|(code, _)| code.to_owned())
        .unwrap_or_else(|| panic!("{document} has no block of {language}"))
}
