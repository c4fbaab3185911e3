//! Ends a run that hangs: a benchmark that never returns says nothing about why.

use std::time::Duration;

use super::args::Run;
use super::live;
use super::report::Report;

/// What set-up and closing may take beside the window.
const GRACE: Duration = Duration::from_secs(45);

/// Exit code of a run that hung.
const HUNG: i32 = 3;

/// Ends the process if it still runs when `run` should long be over.
pub(crate) fn start(run: &Run, json: bool) {
    let run = *run;
    std::thread::spawn(move || {
        std::thread::sleep(run.window + GRACE);
        let why = "hang: the run is not over in time";
        live::print(&if json {
            Report::failed(&run, why).json()
        } else {
            Report::failed(&run, why).to_string()
        });
        std::process::exit(HUNG);
    });
}
