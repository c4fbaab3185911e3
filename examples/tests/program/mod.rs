//! A program that serves, run as a user would run it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// A program that serves until it is dropped.
pub(crate) struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program that prints its address; the address.
pub(crate) fn serve(program: &str, args: &[&str]) -> (Served, String) {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let served = Served(child);
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let url = line
        .split_whitespace()
        .find(|word| word.starts_with("http://"));
    let url = url
        .unwrap_or_else(|| panic!("{program} printed {line:?}"))
        .to_owned();
    // It goes on printing: somebody has to read.
    std::thread::spawn(move || stdout.lines().for_each(drop));
    (served, url)
}
