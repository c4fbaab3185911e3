//! A program as its user has it: what it prints, and what is typed.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// The longest wait for a line or for the end.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Program {
    pub(crate) fn start(program: &str, args: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        let errors = sender.clone();
        std::thread::spawn(move || {
            let _ = stdout
                .lines()
                .map_while(Result::ok)
                .try_for_each(|it| sender.send(it));
        });
        std::thread::spawn(move || {
            let _ = stderr
                .lines()
                .map_while(Result::ok)
                .try_for_each(|it| errors.send(it));
        });
        let stdin = child.stdin.take();
        Self {
            child,
            stdin,
            lines,
            said: Vec::new(),
        }
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(crate) fn type_line(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().expect("it is open"), "{line}").unwrap();
    }

    /// The next line that contains this; of two threads, so in no order between output and errors.
    pub(crate) fn expect(&mut self, what: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.contains(what) => return line,
                Ok(line) => self.said.push(line),
                Err(RecvTimeoutError::Timeout) => panic!("no {what:?} in {:?}", self.said),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("ended without {what:?}: {:?}", self.said)
                }
            }
        }
    }

    /// The address of the room that it serves, with this name in place of its own.
    pub(crate) fn room(&mut self, name: &str) -> String {
        let line = self.expect("/rooms/");
        let url = line.split(' ').find(|word| word.contains("/rooms/"));
        let (base, _) = url.unwrap().rsplit_once('/').unwrap();
        format!("{base}/{name}")
    }

    /// Ends its input and waits for its end.
    pub(crate) fn finish(mut self) -> ExitStatus {
        drop(self.stdin.take());
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it goes on: {:?}", self.said)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}
