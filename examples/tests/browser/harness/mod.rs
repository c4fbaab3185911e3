//! Real browsers, the page that the tests speak to, and the native end.

pub(crate) mod browser;
mod driver;
pub(crate) mod pair;
pub(crate) mod server;
pub(crate) mod wire;
