//! The programs whose two ends meet in a room, run as a user would.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod terminal;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use peerloom_examples::{meeting, rooms, send_file};
use serde_json::Value;
use terminal::Program;
use tokio::net::TcpListener;

const CHAT: &str = env!("CARGO_BIN_EXE_chat");
const SEND_FILE: &str = env!("CARGO_BIN_EXE_send-file");
const STATS: &str = env!("CARGO_BIN_EXE_stats");

/// Room and page of our own, on a free port.
const HERE: [&str; 2] = ["--http", "127.0.0.1:0"];

#[test]
fn two_terminals_chat() {
    let mut first = Program::start(CHAT, &HERE);
    let room = first.room("room");
    let mut second = Program::start(CHAT, &[&room]);
    first.type_line("hello, second");
    second.expect("> hello, second");
    // What would clear the terminal does not reach it.
    second.type_line("hello,\u{1b}[2J first");
    first.expect("> hello,\u{fffd}[2J first");
    assert!(second.finish().success());
    first.expect("the other end has left");
    // The next one is welcome.
    let mut third = Program::start(CHAT, &[&room]);
    third.type_line("and the third");
    first.expect("> and the third");
    assert!(first.finish().success());
    third.expect("the other end has left");
}

#[test]
fn a_file_arrives_whole_and_replaces_nothing() {
    let (from, to) = (directory("whole-from"), directory("whole-to"));
    for (name, size) in [("some.bin", 3_000_000), ("empty", 0)] {
        let file = from.join(name);
        fs::write(&file, contents(size)).unwrap();
        let (mut receiver, room) = receiver(&to);
        let mut sender = Program::start(SEND_FILE, &["send", text(&file), &room]);
        sender.expect("hash verified");
        receiver.expect("hash verified");
        assert!(sender.finish().success() && receiver.finish().success());
        assert!(fs::read(to.join(name)).unwrap() == contents(size), "{name}");
    }
    assert_eq!(
        fs::read_dir(&to).unwrap().count(),
        2,
        "nothing else is left"
    );

    fs::write(to.join("some.bin"), "mine").unwrap();
    let (mut receiver, room) = receiver(&to);
    let mut sender = Program::start(SEND_FILE, &["send", text(&from.join("some.bin")), &room]);
    sender.expect("refuses: ");
    receiver.expect("some.bin is there already");
    assert_eq!(sender.finish().code(), Some(1));
    assert_eq!(receiver.finish().code(), Some(1));
    assert_eq!(fs::read(to.join("some.bin")).unwrap(), b"mine");
}

/// The sender dies in the middle. The receiver waits in the room, and what it has is not sent
/// again.
#[test]
fn a_transfer_goes_on_with_the_next_connection() {
    const SIZE: usize = 8_000_000;
    let (from, to) = (directory("again-from"), directory("again-to"));
    let file = from.join("large.bin");
    fs::write(&file, contents(SIZE)).unwrap();
    let (mut receiver, room) = receiver(&to);
    let slow = ["send", text(&file), &room, "--rate", "4000000"];
    let mut sender = Program::start(SEND_FILE, &slow);
    while partial(&to) < 2_000_000 {
        std::thread::sleep(Duration::from_millis(10));
    }
    sender.kill();
    let mut sender = Program::start(SEND_FILE, &["send", text(&file), &room]);
    let line = receiver.expect("going on at byte");
    let offset: u64 = line.split(' ').find_map(|word| word.parse().ok()).unwrap();
    assert!((2_000_000..SIZE as u64).contains(&offset), "{line}");
    sender.expect("hash verified");
    receiver.expect("hash verified");
    assert!(fs::read(to.join("large.bin")).unwrap() == contents(SIZE));
}

/// Both ends restart ICE while the file is on its way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_takes_no_notice_of_ice_restarts() {
    const SIZE: usize = 4_000_000;
    let (from, to) = (directory("restart-from"), directory("restart-to"));
    let file = from.join("file.bin");
    fs::write(&file, contents(SIZE)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let room = format!("http://{}/rooms/restart", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, rooms::router()).await });
    let (here, there) = tokio::join!(
        meeting::connect(&room, "file"),
        meeting::connect(&room, "file")
    );
    let ((sender, outgoing), (receiver, incoming)) = (here.unwrap(), there.unwrap());
    let password = |peer: &peerloom::PeerConnection| {
        let sdp = peer.local_description().unwrap().sdp;
        let line = sdp.lines().find(|line| line.starts_with("a=ice-pwd:"));
        line.unwrap().to_owned()
    };

    let offer = send_file::describe(&file).await.unwrap();
    let done = AtomicU64::new(0);
    let restarts = async {
        for (number, peer) in [&sender, &receiver, &sender].into_iter().enumerate() {
            let before = password(peer);
            peer.restart_ice().unwrap();
            while password(peer) == before {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let reached = done.load(Relaxed);
            assert!(reached < SIZE as u64, "restart {number} came too late");
            // Bytes flow over the new one.
            while done.load(Relaxed) == reached {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    let sending = send_file::send(&outgoing, &file, &offer, Some(1_000_000), |_| {});
    let receiving = send_file::receive(&incoming, &to, |bytes, _| done.store(bytes, Relaxed));
    let (sent, received, ()) = tokio::join!(sending, receiving, restarts);
    sent.unwrap();
    assert!(fs::read(received.unwrap()).unwrap() == contents(SIZE));
    sender.close().await;
    receiver.close().await;
}

#[test]
fn stats_shows_what_flows() {
    let mut alone = Program::start(STATS, &["--once", "--json", "--interval", "0.5"]);
    assert_flows(&alone.expect("{"));
    assert!(alone.finish().success());

    let mut chat = Program::start(CHAT, &HERE);
    let room = chat.room("stats");
    let mut first = Program::start(STATS, &[&room, "--json", "--interval", "0.5"]);
    let mut second = Program::start(STATS, &[&room, "--once", "--rate", "5"]);
    assert_flows(&first.expect("{"));
    for shown in ["connected, with", "round trip", "cwnd", "packets a call"] {
        second.expect(shown);
    }
    assert!(second.finish().success());
    first.expect("the connection has ended: closed by the other end");
    assert!(first.finish().success());
}

fn assert_flows(line: &str) {
    let figures: Value = serde_json::from_str(line).unwrap();
    assert_eq!(figures["state"], "connected", "{line}");
    for flows in [
        "sent_mb_per_s",
        "received_mb_per_s",
        "rtt_ms",
        "cwnd",
        "packets_per_send",
    ] {
        assert!(figures[flows].as_f64().unwrap() > 0.0, "{flows}: {line}");
    }
}

/// Whoever mistypes reads what was wrong, and a script sees it.
#[test]
fn errors_name_what_is_wrong() {
    for (program, args, code, named) in [
        (CHAT, &["http://127.0.0.1:9/rooms/a"][..], 1, "127.0.0.1:9"),
        (CHAT, &["--http", "here"], 2, "here"),
        (SEND_FILE, &["send", "/no/such/file"], 1, "/no/such/file"),
        (SEND_FILE, &["send", "/"], 1, "/ is no file"),
        (SEND_FILE, &["receive", "--dir", "/no/such"], 1, "/no/such"),
        (SEND_FILE, &["send"], 2, "FILE"),
        (STATS, &["--rate", "-1"], 2, "-1"),
    ] {
        let mut program = Program::start(program, args);
        program.expect(named);
        assert_eq!(program.finish().code(), Some(code), "{args:?}");
    }
}

/// A receiver, and the room that it serves.
fn receiver(to: &Path) -> (Program, String) {
    let mut receiver = Program::start(SEND_FILE, &["receive", "--dir", text(to), HERE[0], HERE[1]]);
    let room = receiver.room("room");
    (receiver, room)
}

/// Bytes of the file that is on its way.
fn partial(directory: &Path) -> u64 {
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum()
}

fn contents(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i * 31 + i / 251) as u8).collect()
}

/// A new directory of that name.
fn directory(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    directory
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
