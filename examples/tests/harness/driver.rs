//! The chromedriver process, in a process group of its own: whatever ends the test ends the
//! browser with it.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, fs};

const HOW: &str = "Install both, on Debian with `apt-get install chromium chromium-driver`, or set \
                   CHROMEDRIVER and CHROMIUM to their paths.";

/// How long the driver may take to say its port.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// Names under which a browser is installed.
const BROWSERS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

pub(crate) struct Driver {
    child: Child,
    url: String,
    /// Everything that driver and browser write to disk.
    directory: PathBuf,
}

impl Driver {
    /// Starts chromedriver on a free port.
    pub(crate) fn start() -> Self {
        assert!(
            chromium().is_some(),
            "The browser tests need Chromium. {HOW}"
        );
        let program = env::var("CHROMEDRIVER").unwrap_or_else(|_| "chromedriver".into());
        let directory = env::temp_dir().join(format!(
            "peerloom-browser-{}-{}",
            std::process::id(),
            nonce()
        ));
        fs::create_dir_all(&directory).unwrap();
        let mut child = Command::new(&program)
            .arg("--port=0")
            .env("TMPDIR", &directory)
            .env("HOME", &directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("The browser tests need {program}: {error}. {HOW}"));
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let (said, port) = mpsc::channel();
        // The driver stops when nobody reads what it says: read to the end.
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if let Some(port) = port_of(&line) {
                    let _ = said.send(port);
                }
            }
        });
        let driver = Self {
            child,
            url: String::new(),
            directory,
        };
        let port = port
            .recv_timeout(START_TIMEOUT)
            .unwrap_or_else(|_| panic!("{program} did not say its port in {START_TIMEOUT:?}"));
        Self::with_url(driver, format!("http://127.0.0.1:{port}"))
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Where the browser keeps its profile.
    pub(crate) fn profile(&self) -> PathBuf {
        self.directory.join("profile")
    }

    fn with_url(mut driver: Self, url: String) -> Self {
        driver.url = url;
        driver
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The group's id is the child's. Killing the driver alone would leave the browser behind.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.child.wait();
        remove(&self.directory);
    }
}

/// The browser to drive: `CHROMIUM`, or the first that is installed.
pub(crate) fn chromium() -> Option<String> {
    if let Ok(path) = env::var("CHROMIUM") {
        return Some(path);
    }
    let path = env::var_os("PATH")?;
    BROWSERS.into_iter().find_map(|name| {
        env::split_paths(&path)
            .map(|directory| directory.join(name))
            .find(|file| file.is_file())
            .map(|file| file.display().to_string())
    })
}

/// "ChromeDriver was started successfully on port 41234."
fn port_of(line: &str) -> Option<u16> {
    line.strip_prefix("ChromeDriver was started successfully on port ")?
        .trim_end_matches('.')
        .parse()
        .ok()
}

/// Distinguishes the directories of one process's tests.
fn nonce() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Killed processes of the group may still be closing files: a few tries.
fn remove(directory: &Path) {
    for _ in 0..20 {
        if fs::remove_dir_all(directory).is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
