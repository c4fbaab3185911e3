//! What the terminal shows: a live line on stderr while measuring, results on stdout.

use std::io::Write as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::window::Progress;
use crate::Error;

/// Steps of the bar.
const STEPS: u64 = 1_000;

/// The live line; invisible where stderr is no terminal.
#[derive(Debug)]
pub(crate) struct Line {
    bar: ProgressBar,
}

impl Line {
    /// A line with nothing on it yet.
    pub(crate) fn new() -> Self {
        let style = ProgressStyle::with_template("  {spinner} {bar:24.cyan/dim} {msg}")
            .expect("the template is a constant and correct")
            .progress_chars("━━╌");
        let bar = ProgressBar::new(STEPS).with_style(style);
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar }
    }

    /// What is being measured from now on.
    pub(crate) fn now(&self, what: &str) {
        self.bar.set_prefix(what.to_owned());
        self.bar.set_position(0);
        self.bar.set_message(what.to_owned());
    }

    /// How far it is.
    pub(crate) fn progress(&self, progress: Progress) {
        self.bar.set_position((progress.done * STEPS as f64) as u64);
        let what = self.bar.prefix();
        if progress.mb_per_s > 0.0 {
            self.bar
                .set_message(format!("{what}  {:.0} MB/s", progress.mb_per_s));
        }
    }

    /// Prints a line of results above the live line.
    pub(crate) fn print(&self, text: &str) {
        self.bar.suspend(|| print(text));
    }

    /// Takes the live line away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Prints a line to stdout. A reader that has gone (`| head`) is no error.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Prints an error to stderr, with what caused it.
pub(crate) fn error(error: &Error) {
    let mut out = std::io::stderr().lock();
    let _ = write!(out, "error: {error}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        let _ = write!(out, ": {inner}");
        cause = inner.source();
    }
    let _ = writeln!(out);
}
