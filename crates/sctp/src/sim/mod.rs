//! A seeded link on virtual time, for tests (feature `sim`).
