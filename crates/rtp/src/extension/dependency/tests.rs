use proptest::prelude::*;
use smallvec::smallvec;

use super::*;

/// L1T2 as libwebrtc sends it: two decode targets, one chain.
fn l1t2() -> TemplateStructure {
    use DecodeTargetIndication::{Discardable, NotPresent, Required, Switch};
    let template = |temporal, dtis: [_; 2], fdiffs: &[u16], chain| Template {
        spatial: 0,
        temporal,
        dtis: dtis.as_slice().into(),
        fdiffs: fdiffs.into(),
        chain_diffs: smallvec![chain],
    };
    let templates = vec![
        template(0, [Switch, Switch], &[], 0),
        template(0, [Switch, Switch], &[2], 2),
        template(1, [NotPresent, Discardable], &[1], 1),
        template(1, [NotPresent, Required], &[1, 2], 1),
    ];
    TemplateStructure::new(60, templates, &[0, 0], &[(1280, 720)]).unwrap()
}

fn plain(template_id: u8, frame_number: u16) -> DependencyDescriptor {
    DependencyDescriptor {
        start_of_frame: true,
        end_of_frame: false,
        template_id,
        frame_number: SequenceNumber(frame_number),
        structure: None,
        active_decode_targets: None,
        custom_dtis: None,
        custom_fdiffs: None,
        custom_chains: None,
    }
}

fn encode(descriptor: &DependencyDescriptor, structure: Option<&TemplateStructure>) -> Vec<u8> {
    let mut bytes = vec![0xff; descriptor.encoded_len(structure)];
    descriptor.encode(&mut bytes, structure).unwrap();
    bytes
}

/// A key frame brings the structure; later frames use it, by numbers that wrap at 64.
#[test]
fn structure_is_kept() {
    let mut reader = DependencyReader::new();
    assert_eq!(
        reader.read(&[0xbc, 0, 7]),
        Err(DecodeError::MissingState("template structure"))
    );
    let mut key = plain(60, 7);
    key.structure = Some(Box::new(l1t2()));
    assert_eq!(reader.read(&encode(&key, None)), Ok(key));
    assert_eq!(reader.active_decode_targets(), 0b11);

    let delta = encode(&plain(63, 8), reader.structure());
    assert_eq!(delta, [0x80 | 63, 0, 8]);
    let delta = reader.read(&delta).unwrap();
    let frame = delta.resolve(reader.structure()).unwrap();
    assert_eq!((frame.spatial, frame.temporal), (0, 1));
    assert_eq!(frame.fdiffs, [1, 2]);
    assert_eq!(frame.chains, [1]);
    assert_eq!(frame.resolution, Some((1280, 720)));
    assert_eq!(
        reader.read(&[0x80, 0, 9]),
        Err(DecodeError::Malformed("template id"))
    );
    assert_eq!(reader.structure().unwrap().target_layers(0), (0, 0));
    assert_eq!(reader.structure().unwrap().target_layers(1), (0, 1));
}

/// Everything a frame can say for itself overrides the template.
#[test]
fn customs() {
    let structure = l1t2();
    let mut reader = DependencyReader::new();
    let mut key = plain(60, 7);
    key.structure = Some(Box::new(structure.clone()));
    reader.read(&encode(&key, None)).unwrap();
    let custom = DependencyDescriptor {
        active_decode_targets: Some(0b01),
        custom_dtis: Some(smallvec![DecodeTargetIndication::Required; 2]),
        custom_fdiffs: Some(smallvec![1, 16, 17, 256, 257, 4096]),
        custom_chains: Some(smallvec![255]),
        ..plain(61, 9)
    };
    let read = reader.read(&encode(&custom, Some(&structure))).unwrap();
    assert_eq!(read, custom);
    let frame = read.resolve(reader.structure()).unwrap();
    assert_eq!(frame.fdiffs, [1, 16, 17, 256, 257, 4096]);
    assert_eq!(frame.chains, [255]);
    assert_eq!(reader.active_decode_targets(), 1);

    let unfit = DependencyDescriptor {
        custom_chains: Some(smallvec![1, 2]),
        ..plain(61, 9)
    };
    assert!(unfit.encode(&mut [0; 50], Some(&structure)).is_err());
}

/// Cut anywhere, a descriptor is an error or, after its third byte only, a plain one.
#[test]
fn truncation() {
    let mut key = plain(60, 7);
    key.structure = Some(Box::new(l1t2()));
    let bytes = encode(&key, None);
    for len in 0..bytes.len() {
        assert!(
            DependencyDescriptor::decode(&bytes[..len], None).is_err(),
            "{len}"
        );
    }
}

fn any_structure() -> impl Strategy<Value = TemplateStructure> {
    let steps = prop::collection::vec(0u8..3, 0..12);
    (0u8..64, 1usize..=32, steps, any::<u64>(), any::<bool>()).prop_flat_map(
        |(offset, targets, steps, seed, resolutions)| {
            (0..=targets)
                .prop_map(move |chains| build(offset, targets, chains, &steps, seed, resolutions))
        },
    )
}

/// A structure from a few numbers; `seed` stands for all the small values.
fn build(
    offset: u8,
    targets: usize,
    chains: usize,
    steps: &[u8],
    seed: u64,
    with_resolutions: bool,
) -> TemplateStructure {
    use DecodeTargetIndication::{Discardable, NotPresent, Required, Switch};
    let mut state = seed;
    let mut next = move |bound: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % bound
    };
    let (mut spatial, mut temporal) = (0u8, 0u8);
    let mut templates = Vec::new();
    for step in std::iter::once(&0).chain(steps) {
        match step {
            1 if temporal < 7 => temporal += 1,
            2 if spatial < 3 => (spatial, temporal) = (spatial + 1, 0),
            _ => {}
        }
        let kinds = [NotPresent, Discardable, Switch, Required];
        templates.push(Template {
            spatial,
            temporal,
            dtis: (0..targets).map(|_| kinds[next(4) as usize]).collect(),
            fdiffs: (0..next(5)).map(|_| next(16) as u16 + 1).collect(),
            chain_diffs: (0..chains).map(|_| next(16) as u8).collect(),
        });
    }
    let protected: Vec<u8> = match chains {
        0 => vec![],
        chains => (0..targets).map(|_| next(chains as u64) as u8).collect(),
    };
    let count = if with_resolutions {
        usize::from(spatial) + 1
    } else {
        0
    };
    let resolutions: Vec<_> = (0..count)
        .map(|_| (next(65_536) as u32 + 1, next(65_536) as u32 + 1))
        .collect();
    TemplateStructure::new(offset, templates, &protected, &resolutions).unwrap()
}

proptest! {
    /// Any structure comes back as it was.
    #[test]
    fn any_structure_comes_back(structure in any_structure(), frame in any::<u16>()) {
        let mut key = plain(structure.id_offset(), frame);
        key.structure = Some(Box::new(structure));
        let bytes = encode(&key, None);
        prop_assert_eq!(DependencyDescriptor::decode(&bytes, None), Ok(key));
    }

    /// Whatever decodes means the same when it is encoded and decoded again.
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let structure = l1t2();
        if let Ok(descriptor) = DependencyDescriptor::decode(&bytes, Some(&structure)) {
            let again = encode(&descriptor, Some(&structure));
            prop_assert_eq!(DependencyDescriptor::decode(&again, Some(&structure)), Ok(descriptor));
        }
    }
}
