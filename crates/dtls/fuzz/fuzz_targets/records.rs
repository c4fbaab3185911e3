//! A datagram to an opener: no record that was not sealed for it opens, and an honest one opens after
//! any garbage.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peerloom_dtls::{
    ContentType, HEADROOM, KeySchedule, OVERHEAD, Opened, Role, TAILROOM, records,
};

fuzz_target!(|data: &[u8]| {
    let keys = KeySchedule::new(&[7; 48], [1; 32], [2; 32]);
    let mut sealer = keys.sealer(Role::Client, 0);
    let mut opener = keys.opener(Role::Server);
    let mut datagram = data.to_vec();
    let mut length = 0;
    for record in records(&mut datagram) {
        length += record.len();
        assert!(matches!(opener.open(record), Opened::Ignored(_)));
    }
    assert!(length <= data.len());
    assert!(matches!(
        opener.open(&mut data.to_vec()),
        Opened::Ignored(_)
    ));

    let mut record = vec![0; HEADROOM];
    record.extend_from_slice(&data[..data.len().min(16_384)]);
    record.extend([0; TAILROOM]);
    sealer
        .seal(ContentType::ApplicationData, &mut record)
        .expect("a record");
    assert_eq!(record.len(), OVERHEAD + data.len().min(16_384));
    match opener.open(&mut record) {
        Opened::ApplicationData(opened) => assert_eq!(opened, &data[..opened.len()]),
        other => panic!("{other:?}"),
    }
});
