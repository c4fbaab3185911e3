//! The WebDriver process, in a process group of its own: whatever ends the tests ends the browser
//! with it.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, fs};

use super::browser::Kind;

/// How long the driver may take to say its port.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs the driver and, when nobody holds our end of its standard input any more, ends the whole
/// process group: also after a test process that was killed. (A shell starts what it puts into the
/// background without standard input, so the driver does not hold it.)
const GUARD: &str = "\"$@\" </dev/null & cat >/dev/null; kill -KILL 0";

pub(crate) struct Driver {
    child: Child,
    url: String,
    /// Everything that driver and browser write to disk.
    directory: PathBuf,
}

impl Driver {
    /// Starts the driver of that kind of browser on a free port.
    pub(crate) fn start(kind: Kind) -> Self {
        let program = installed(kind.driver());
        let directory = env::temp_dir().join(format!(
            "peerloom-{kind}-{}-{}",
            std::process::id(),
            nonce()
        ));
        fs::create_dir_all(&directory).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, "sh"]).arg(&program);
        match kind {
            Kind::Chromium => command.arg("--port=0"),
            // Its second port is for WebDriver BiDi, which is not used.
            Kind::Firefox => command
                .args(["--port", "0", "--websocket-port", "0", "--profile-root"])
                .arg(&directory),
        };
        let mut child = command
            .env("TMPDIR", &directory)
            .env("HOME", &directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
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
        let mut driver = Self {
            child,
            url: String::new(),
            directory,
        };
        let port = port
            .recv_timeout(START_TIMEOUT)
            .unwrap_or_else(|_| panic!("{program} did not say its port in {START_TIMEOUT:?}"));
        driver.url = format!("http://127.0.0.1:{port}");
        driver
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Where the browser keeps its profile.
    pub(crate) fn profile(&self) -> PathBuf {
        self.directory.join("profile")
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

/// A program that the tests need: the path in an environment variable, or the first name that is
/// installed.
#[derive(Clone, Copy)]
pub(crate) struct Needed {
    pub(crate) variable: &'static str,
    pub(crate) names: &'static [&'static str],
    pub(crate) how: &'static str,
}

/// Its path. Panics without it: a browser that is missing must not look like one that works.
pub(crate) fn installed(needed: Needed) -> String {
    if let Ok(path) = env::var(needed.variable) {
        return path;
    }
    let path = env::var_os("PATH").unwrap_or_default();
    needed
        .names
        .iter()
        .flat_map(|name| env::split_paths(&path).map(move |directory| directory.join(name)))
        .find(|file| file.is_file())
        .unwrap_or_else(|| {
            panic!(
                "The browser tests need {}: {}, or set {} to its path.",
                needed.names[0], needed.how, needed.variable
            )
        })
        .display()
        .to_string()
}

/// "ChromeDriver was started successfully on port 41234.", "… Listening on 127.0.0.1:41234".
fn port_of(line: &str) -> Option<u16> {
    let (_, port) = line
        .split_once("started successfully on port ")
        .or_else(|| line.split_once("Listening on 127.0.0.1:"))?;
    port.trim_end_matches('.').trim().parse().ok()
}

/// Distinguishes the directories of one process's browsers.
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
