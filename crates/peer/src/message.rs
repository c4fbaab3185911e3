//! What travels on a data channel.

use bytes::Bytes;

/// One message, text or binary, as the other end sees it (W3C WebRTC §6.2 `send`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// UTF-8 text; arrives as a `string` in a browser.
    Text(String),
    /// Bytes; arrive as an `ArrayBuffer` or `Blob` in a browser.
    Binary(Bytes),
}

impl Message {
    /// The length in bytes (of the UTF-8 form for text).
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether it has no bytes. Empty messages are sent and received like any other.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, whichever kind it is.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
        }
    }

    /// The bytes, whichever kind it is, without copying.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Message::Text(text) => Bytes::from(text),
            Message::Binary(bytes) => bytes,
        }
    }

    /// The text, if this is a text message.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Message::Text(text) => Some(text),
            Message::Binary(_) => None,
        }
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Message::Text(text.to_owned())
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Message::Text(text)
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Message::Binary(bytes)
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Message::Binary(bytes.into())
    }
}

impl From<&'static [u8]> for Message {
    fn from(bytes: &'static [u8]) -> Self {
        Message::Binary(Bytes::from_static(bytes))
    }
}
