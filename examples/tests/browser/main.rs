//! The library against real browsers: a headless Chromium and a headless Firefox.
//!
//! ```text
//! cargo test -p peerloom-examples --features browser-tests --test browser            # everything
//! cargo test -p peerloom-examples --features browser-tests --test browser -- firefox::restart
//! ```
//!
//! One browser process serves all cases of its kind, one after the other. A browser that is not
//! installed fails the cases. `PEERLOOM_SWEEP_SECS=10` gives each rate of the sweep ten seconds.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod cases;
mod harness;
#[path = "../terminal/mod.rs"]
mod terminal;

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};
use tokio::runtime::Runtime;

use cases::Case;
use harness::browser::{Browser, Kind, Setup};
use harness::server::{self, Pages};

/// The browsers that run, each started by the first case that needs it.
type Browsers = HashMap<(Kind, Setup), Browser>;

/// A case that takes longer hangs.
const CASE_TIMEOUT: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Two browsers on two cores would measure each other.
    arguments.test_threads = Some(1);
    let runtime = Arc::new(
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap(),
    );
    let pages = runtime.block_on(server::serve());
    let browsers = Arc::new(Mutex::new(Browsers::default()));
    let mut trials = Vec::new();
    for kind in Kind::ALL {
        for case in cases::all().into_iter().filter(|case| case.is_for(kind)) {
            let (runtime, browsers, pages) = (runtime.clone(), browsers.clone(), pages.clone());
            let name = match case.setup {
                Setup::Default => format!("{kind}::{}", case.name),
                Setup::Plain => format!("{kind}::plain::{}", case.name),
            };
            trials.push(Trial::test(name, move || {
                run(&runtime, &browsers, &pages, kind, &case);
                Ok(())
            }));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    let running = std::mem::take(&mut *lock(&browsers));
    for browser in running.into_values() {
        runtime.block_on(browser.close());
    }
    conclusion.exit_code()
}

fn run(runtime: &Runtime, browsers: &Mutex<Browsers>, pages: &Pages, kind: Kind, case: &Case) {
    // Taken, so that one whose case failed is not used again.
    let waiting = lock(browsers).remove(&(kind, case.setup));
    let browser = waiting.unwrap_or_else(|| runtime.block_on(Browser::start(kind, case.setup)));
    let began = Instant::now();
    let ran = runtime.block_on(async {
        let url = if case.example {
            &pages.example
        } else {
            &pages.plain
        };
        let whole = async {
            browser.goto(url).await;
            (case.run)(&browser).await;
        };
        tokio::time::timeout(CASE_TIMEOUT, whole).await
    });
    assert!(ran.is_ok(), "not done within {CASE_TIMEOUT:?}");
    lock(browsers).insert((kind, case.setup), browser);
    print!("{:.1} s, ", began.elapsed().as_secs_f64());
}

fn lock(browsers: &Mutex<Browsers>) -> MutexGuard<'_, Browsers> {
    browsers.lock().unwrap_or_else(PoisonError::into_inner)
}
