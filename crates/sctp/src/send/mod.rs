//! The sending half.

