//! The candidate line: no panic, and what is read once is stable.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peerloom_ice::Candidate;

fuzz_target!(|line: &str| {
    if let Ok(candidate) = line.parse::<Candidate>() {
        let again: Candidate = candidate
            .to_string()
            .parse()
            .expect("what we write, we read");
        assert_eq!(again, candidate);
    }
});
