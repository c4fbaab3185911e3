//! A headless browser, driven over WebDriver.

use std::fmt;
use std::time::Duration;

use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

use super::driver::{Driver, Needed, installed};

/// The longest that one script may take.
const SCRIPT_TIMEOUT: Duration = Duration::from_secs(60);

/// Without the fake media UI Chromium hides addresses behind mDNS names and gathers no loopback;
/// without the background switches it calls home all the time.
const CHROMIUM_FLAGS: [&str; 12] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--mute-audio",
    "--allow-loopback-in-peer-connection",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
];

/// The same for Firefox, whose page must also hold a stream while it gathers.
const FIREFOX_PREFS: [(&str, bool); 5] = [
    ("media.peerconnection.ice.loopback", true),
    ("media.peerconnection.ice.obfuscate_host_addresses", false),
    ("media.navigator.permission.disabled", true),
    ("media.navigator.permission.fake", true),
    ("media.navigator.streams.fake", true),
];

/// DTLS 1.2 as Firefox counts versions.
const DTLS_1_2: u16 = 0x0303;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Chromium,
    Firefox,
}

impl Kind {
    pub(crate) const ALL: [Kind; 2] = [Kind::Chromium, Kind::Firefox];

    fn binary(self) -> Needed {
        match self {
            Kind::Chromium => Needed {
                variable: "CHROMIUM",
                names: &[
                    "chromium",
                    "chromium-browser",
                    "google-chrome",
                    "google-chrome-stable",
                ],
                how: "`apt-get install chromium`",
            },
            Kind::Firefox => Needed {
                variable: "FIREFOX",
                names: &["firefox-esr", "firefox"],
                how: "`apt-get install firefox-esr`",
            },
        }
    }

    pub(super) fn driver(self) -> Needed {
        match self {
            Kind::Chromium => Needed {
                variable: "CHROMEDRIVER",
                names: &["chromedriver"],
                how: "`apt-get install chromium-driver`",
            },
            Kind::Firefox => Needed {
                variable: "GECKODRIVER",
                names: &["geckodriver"],
                how: "`cargo install geckodriver --locked`",
            },
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Chromium => "chromium",
            Kind::Firefox => "firefox",
        })
    }
}

/// How a browser is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Setup {
    /// As users have it: DTLS 1.3 offered, with a post-quantum key share, in two datagrams.
    Default,
    /// As it was a few years ago: no post-quantum share, and DTLS 1.2 alone where that can be set.
    Plain,
}

pub(crate) struct Browser {
    pub(crate) kind: Kind,
    client: Client,
    /// Ends the browser.
    driver: Driver,
}

impl Browser {
    /// Starts driver and browser.
    pub(crate) async fn start(kind: Kind, setup: Setup) -> Self {
        let binary = installed(kind.binary());
        let driver = Driver::start(kind);
        let mut capabilities = match kind {
            Kind::Chromium => chromium(setup, &binary, &driver),
            Kind::Firefox => firefox(setup, &binary),
        };
        capabilities["timeouts"] = json!({ "script": SCRIPT_TIMEOUT.as_millis() as u64 });
        let Value::Object(capabilities) = capabilities else {
            unreachable!("it is an object")
        };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(driver.url())
            .await
            .unwrap_or_else(|error| panic!("the driver starts no {kind}: {error}"));
        Self {
            kind,
            client,
            driver,
        }
    }

    /// Opens a page, or loads it anew.
    pub(crate) async fn goto(&self, url: &str) {
        self.client.goto(url).await.unwrap();
        if self.kind == Kind::Firefox {
            let hold = "window.held = await navigator.mediaDevices.getUserMedia({ audio: true });";
            self.run(hold, Value::Null).await;
        }
    }

    /// The page that is open.
    pub(crate) async fn url(&self) -> String {
        self.client.current_url().await.unwrap().into()
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

    /// Ends the browser and the driver.
    pub(crate) async fn close(self) {
        // Whatever it answers, the driver's end is the browser's.
        let _ = self.client.close().await;
        drop(self.driver);
    }
}

fn chromium(setup: Setup, binary: &str, driver: &Driver) -> Value {
    let mut flags: Vec<String> = CHROMIUM_FLAGS.map(String::from).into();
    flags.push(format!("--user-data-dir={}", driver.profile().display()));
    if setup == Setup::Plain {
        flags.push("--disable-features=WebRtcPqcForDtls".into());
    }
    json!({
        "browserName": "chrome",
        "goog:chromeOptions": { "args": flags, "binary": binary },
    })
}

fn firefox(setup: Setup, binary: &str) -> Value {
    let mut prefs: serde_json::Map<String, Value> = FIREFOX_PREFS
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.into()))
        .collect();
    if setup == Setup::Plain {
        prefs.insert(
            "media.peerconnection.dtls.version.max".into(),
            DTLS_1_2.into(),
        );
        prefs.insert("media.webrtc.enable_pq_hybrid_kex".into(), false.into());
        prefs.insert("media.webrtc.send_mlkem_keyshare".into(), false.into());
    }
    json!({
        "browserName": "firefox",
        "moz:firefoxOptions": { "args": ["-headless"], "prefs": prefs, "binary": binary },
    })
}
