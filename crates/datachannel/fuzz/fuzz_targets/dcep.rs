//! Whatever decodes encodes to the same bytes; nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peerloom_datachannel::DcepMessage;

fuzz_target!(|data: &[u8]| {
    if let Ok(message) = DcepMessage::decode(data) {
        assert_eq!(message.encode(), data);
        assert_eq!(message.encoded_len(), data.len());
    }
});
