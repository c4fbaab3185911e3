//! Descriptors one after the other: whatever decodes with the structure in force encodes with it,
//! to something that decodes to the same, and can be resolved.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peerloom_rtp::extension::{DependencyDescriptor, DependencyReader};

fuzz_target!(|data: Vec<Vec<u8>>| {
    let mut reader = DependencyReader::new();
    for bytes in &data {
        let before = reader.structure().cloned();
        let Ok(descriptor) = reader.read(bytes) else {
            continue;
        };
        let before = before.as_ref();
        let mut out = vec![0; descriptor.encoded_len(before)];
        descriptor
            .encode(&mut out, before)
            .expect("what was decoded encodes");
        assert_eq!(
            DependencyDescriptor::decode(&out, before).as_ref(),
            Ok(&descriptor)
        );
        let frame = descriptor
            .resolve(reader.structure())
            .expect("the template is known");
        let structure = reader.structure().expect("a descriptor was read");
        assert_eq!(frame.dtis.len(), usize::from(structure.decode_targets()));
        assert_eq!(frame.chains.len(), usize::from(structure.chains()));
        assert!(out.len() <= bytes.len());
    }
});
