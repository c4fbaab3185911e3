//! Pages of the example programs. Where two ends meet in a room, the native one enters after the
//! page, so that the page has what the harness gives it before it gathers.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::browser::Browser;
use crate::terminal::Program;

const ECHO: &str = env!("CARGO_BIN_EXE_echo");
const CHAT: &str = env!("CARGO_BIN_EXE_chat");
const SEND_FILE: &str = env!("CARGO_BIN_EXE_send-file");

/// More than fits into any buffer on the way.
const SIZE: usize = 12_000_000;

/// The guide's first program, as its reader has it.
pub(super) async fn echo_sends_back(browser: &Browser) {
    let mut server = Program::start(ECHO, &["127.0.0.1:0"]);
    let line = server.expect("open http://");
    let url = line.split(' ').find(|word| word.starts_with("http://"));
    browser.goto(url.unwrap()).await;
    shows(browser, "log", "open").await;
    let body = "document.getElementById('text').value = a;
                document.getElementById('form').requestSubmit();";
    browser.run(body, json!("grüße")).await;
    shows(browser, "log", "back: grüße").await;
}

pub(super) async fn chat_with_a_page(browser: &Browser) {
    let mut server = Program::start(CHAT, &["--http", "127.0.0.1:0"]);
    let room = server.room("tea");
    browser.goto(&page_of(&room)).await;
    let mut chat = Program::start(CHAT, &[&room]);
    chat.type_line("hello, page");
    shows(browser, "lines", "hello, page").await;
    let body = "document.getElementById('text').value = a;
                document.getElementById('form').requestSubmit();";
    browser.run(body, json!("hello, terminal")).await;
    chat.expect("> hello, terminal");
    assert!(chat.finish().success());
    shows(browser, "lines", "the other end has left").await;
}

pub(super) async fn a_file_from_either_end(browser: &Browser) {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("page-{}", browser.kind));
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    let contents: Vec<u8> = (0..SIZE).map(|i| (i * 31 + 7) as u8).collect();
    let file = directory.join("down.bin");
    fs::write(&file, &contents).unwrap();

    // A program that serves the page and waits in another room.
    let directory = directory.to_str().unwrap();
    let args = ["receive", "--http", "127.0.0.1:0", "--dir", directory];
    let mut server = Program::start(SEND_FILE, &args);
    let room = server.room("tea");
    browser.goto(&page_of(&room)).await;
    let mut sender = Program::start(SEND_FILE, &["send", file.to_str().unwrap(), &room]);
    sender.expect("hash verified");
    assert!(sender.finish().success());
    let same = browser
        .run(
            "const link = document.querySelector('#files a');
             const bytes = new Uint8Array(await (await fetch(link.href)).arrayBuffer());
             return link.download === 'down.bin' && bytes.length === a
               && bytes.every((byte, i) => byte === (i * 31 + 7) % 256);",
            json!(SIZE),
        )
        .await;
    assert_eq!(same, true);

    let args = ["receive", &room, "--dir", directory];
    let mut receiver = Program::start(SEND_FILE, &args);
    browser
        .run(
            "const bytes = new Uint8Array(a).map((_, i) => i * 31 + 7);
             const files = new DataTransfer();
             files.items.add(new File([bytes], 'up.bin'));
             document.getElementById('file').files = files.files;
             document.getElementById('file').dispatchEvent(new Event('change'));",
            json!(SIZE),
        )
        .await;
    receiver.expect("hash verified");
    assert!(receiver.finish().success());
    assert!(fs::read(Path::new(directory).join("up.bin")).unwrap() == contents);
    shows(browser, "state", "sent up.bin").await;
}

/// The page beside the room.
fn page_of(room: &str) -> String {
    room.replace("/rooms/", "/?room=")
}

/// Waits until an element of the page says so.
async fn shows(browser: &Browser, element: &str, text: &str) {
    let body = "for (let tries = 0; tries < 3000; tries++) {
                  if (document.getElementById(a.element).textContent.includes(a.text)) return null;
                  await new Promise((resolve) => { setTimeout(resolve, 10); });
                }
                return document.getElementById(a.element).textContent;";
    let arguments = json!({ "element": element, "text": text });
    assert_eq!(
        browser.run(body, arguments).await,
        Value::Null,
        "no {text:?}"
    );
}
