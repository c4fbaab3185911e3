//! Any file: readers end, with memory bounded by the file and the limits; what was read is written
//! and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peerloom_rtp::Limits;
use peerloom_rtp::container::{
    AnnexBReader, AnnexBWriter, IvfReader, IvfWriter, OggOpusReader, RtpDumpReader, RtpDumpWriter,
};

fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    let mut limits = Limits::default();
    limits.container_record = 1 << 16;
    let mut record = Vec::new();
    match kind % 4 {
        0 => {
            let Ok(mut reader) = IvfReader::new(data, &limits) else {
                return;
            };
            let mut writer = IvfWriter::new(Vec::new(), *reader.header()).unwrap();
            let mut count = 0;
            while let Ok(Some(timestamp)) = reader.read(&mut record) {
                writer.write(timestamp, &record).unwrap();
                count += 1;
            }
            let written = writer.into_inner();
            let mut reader = IvfReader::new(&written[..], &limits).unwrap();
            while reader.read(&mut record).unwrap().is_some() {
                count -= 1;
            }
            assert_eq!(count, 0);
        }
        1 => {
            let Ok(mut reader) = RtpDumpReader::new(data) else {
                return;
            };
            let mut writer =
                RtpDumpWriter::new(Vec::new(), reader.source(), reader.start()).unwrap();
            while let Ok(Some(entry)) = reader.read(&mut record) {
                writer.write(entry, &record).unwrap();
            }
            let written = writer.into_inner();
            let mut reader = RtpDumpReader::new(&written[..]).unwrap();
            while reader.read(&mut record).unwrap().is_some() {}
        }
        2 => {
            let mut reader = AnnexBReader::new(data, &limits);
            let mut writer = AnnexBWriter::new(Vec::new());
            let mut units = Vec::new();
            while let Ok(true) = reader.read(&mut record) {
                writer.write(&record).unwrap();
                units.push(record.clone());
            }
            let written = writer.into_inner();
            let mut reader = AnnexBReader::new(&written[..], &limits);
            for unit in units {
                assert!(reader.read(&mut record).unwrap());
                assert_eq!(record, unit);
            }
        }
        _ => {
            let Ok(mut reader) = OggOpusReader::new(data, &limits) else {
                return;
            };
            while let Ok(true) = reader.read(&mut record) {
                assert!(record.len() <= data.len());
            }
        }
    }
});
