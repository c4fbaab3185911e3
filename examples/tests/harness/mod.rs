//! A headless Chromium and the page, driven over WebDriver.

mod driver;

use std::time::Duration;

use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use peerloom_examples::browser;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinHandle;

use driver::Driver;

/// The longest that one script may take; a run of ten seconds at seven rates is far below.
const SCRIPT_TIMEOUT: Duration = Duration::from_secs(60);

/// Without the fake media UI Chromium hides addresses behind mDNS names and gathers no loopback;
/// without the background switches it calls home all the time.
const FLAGS: [&str; 11] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--allow-loopback-in-peer-connection",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
];

/// The page of the `browser` example, open in a Chromium of its own.
///
/// Call [`close`](Self::close) at the end; a test that panics before leaves it to the driver's drop.
pub(crate) struct Page {
    client: Client,
    server: JoinHandle<()>,
    /// Ends the browser, so it is dropped before the next test may start one.
    driver: Driver,
    _turn: MutexGuard<'static, ()>,
}

/// One browser at a time: two of them on two cores would measure each other.
static TURN: Mutex<()> = Mutex::const_new(());

impl Page {
    /// Starts the server, the driver and the browser, and opens the page.
    pub(crate) async fn open() -> Self {
        let turn = TURN.lock().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            browser::serve(listener).await.unwrap();
        });
        let driver = Driver::start();
        let mut flags: Vec<String> = FLAGS.map(String::from).into();
        flags.push(format!("--user-data-dir={}", driver.profile().display()));
        let mut options = json!({ "args": flags });
        if let Some(binary) = driver::chromium() {
            options["binary"] = binary.into();
        }
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "timeouts": { "script": SCRIPT_TIMEOUT.as_millis() as u64 },
        });
        let Value::Object(capabilities) = capabilities else {
            unreachable!("it is an object")
        };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(driver.url())
            .await
            .unwrap_or_else(|error| panic!("chromedriver starts no browser: {error}"));
        client.goto(&url).await.unwrap();
        Self {
            client,
            server,
            driver,
            _turn: turn,
        }
    }

    /// Runs the body of an async JavaScript function, with `a` for its argument, and returns what
    /// it returns. Panics with its error.
    pub(crate) async fn run(&self, body: &str, argument: Value) -> Value {
        self.attempt(body, argument)
            .await
            .unwrap_or_else(|error| panic!("in the page: {error}\n{body}"))
    }

    /// The same, for what may fail.
    pub(crate) async fn attempt(&self, body: &str, argument: Value) -> Result<Value, String> {
        let script = format!(
            "const [a, done] = arguments;
             (async () => {{ {body} }})().then(
               (value) => done({{ value: value ?? null }}),
               (error) => done({{ error: String(error?.message ?? error) }}));"
        );
        let mut answer = self
            .client
            .execute_async(&script, vec![argument])
            .await
            .map_err(|error| error.to_string())?;
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["value"].take()),
        }
    }

    /// Connects as `window.peerloom.connect` describes.
    pub(crate) async fn connect(&self, options: Value) -> Value {
        self.run("return peerloom.connect(a)", options).await
    }

    /// Ends the browser, the driver and the server.
    pub(crate) async fn close(self) {
        self.client.close().await.unwrap();
        self.server.abort();
        drop(self.driver);
    }
}
