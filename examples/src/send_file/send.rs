//! The sender's end.

use std::io::SeekFrom;
use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use peerloom::DataChannel;
use ring::digest;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::time::Instant;

use super::note::hex;
use super::{Failure, Note, Offer};
use crate::Result;

/// Bytes in one message: what every browser takes.
const MESSAGE: usize = 64 << 10;

/// Bytes read from the file at once.
const READ: usize = 1 << 20;

/// Reads the file for its size and hash.
///
/// # Errors
/// What cannot be read, or has no name that can be sent.
pub async fn describe(path: &Path) -> Result<Offer> {
    let say = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = File::open(path).await.map_err(say)?;
    if !file.metadata().await.map_err(say)?.is_file() {
        return Err(format!("{} is no file", path.display()).into());
    }
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| format!("the name of {} is not UTF-8", path.display()))?;
    let mut hash = digest::Context::new(&digest::SHA256);
    let mut size = 0;
    let mut buffer = vec![0; READ];
    loop {
        let read = file.read(&mut buffer).await.map_err(say)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        size += read as u64;
    }
    Ok(Offer {
        name: name.to_owned(),
        size,
        sha256: hex(&hash.finish()),
    })
}

/// Offers the file, sends what the other end wants of it, at most `rate` bytes a second, and
/// waits until that has it. `progress` is told how much it has.
///
/// # Errors
/// [`Failure::Lost`] when the connection ends; it can be called again with the next one.
pub async fn send(
    channel: &DataChannel,
    path: &Path,
    offer: &Offer,
    rate: Option<u64>,
    progress: impl Fn(u64),
) -> Result<(), Failure> {
    Note::Offer(offer.clone()).send(channel).await?;
    let offset = loop {
        match Note::receive(channel).await? {
            Note::Accept { offset } if offset <= offer.size => break offset,
            Note::Refuse { why } => return Err(refused(&why)),
            // It has a file, too; which of the two goes is for the people to say.
            Note::Offer(_) => {
                let why = "this end sends, too".to_owned();
                Note::Refuse { why }.send(channel).await?;
            }
            note @ (Note::Accept { .. } | Note::Have { .. } | Note::Done) => {
                return Err(out_of_place(&note));
            }
        }
    };
    progress(offset);
    let listening = async {
        loop {
            match Note::receive(channel).await? {
                Note::Have { bytes } => progress(bytes),
                Note::Done => return Ok(()),
                Note::Refuse { why } => return Err(refused(&why)),
                note @ (Note::Offer(_) | Note::Accept { .. }) => return Err(out_of_place(&note)),
            }
        }
    };
    let sending = send_from(channel, path, offer, offset, rate);
    tokio::pin!(listening, sending);
    // The sender's end is not the transfer's: that is when the other end says so.
    tokio::select! {
        ended = &mut listening => ended,
        sent = &mut sending => {
            sent?;
            listening.await
        }
    }
}

async fn send_from(
    channel: &DataChannel,
    path: &Path,
    offer: &Offer,
    offset: u64,
    rate: Option<u64>,
) -> Result<(), Failure> {
    let say = |error: std::io::Error| Failure::last(format!("{}: {error}", path.display()));
    let mut file = File::open(path).await.map_err(say)?;
    file.seek(SeekFrom::Start(offset)).await.map_err(say)?;
    let began = Instant::now();
    let mut left = offer.size - offset;
    while left > 0 {
        let want = left.min(READ as u64);
        let mut buffer = BytesMut::with_capacity(want as usize);
        let read = (&mut file).take(want).read_buf(&mut buffer).await;
        if read.map_err(say)? == 0 {
            let became = format!("{} became shorter meanwhile", path.display());
            return Err(Failure::last(became));
        }
        let mut bytes: Bytes = buffer.freeze();
        while !bytes.is_empty() {
            let message = bytes.split_to(bytes.len().min(MESSAGE));
            left -= message.len() as u64;
            // Waits while the other end does not keep up.
            channel.send(message).await.map_err(Failure::lost)?;
            if let Some(rate) = rate {
                let sent = offer.size - offset - left;
                let due = Duration::from_secs_f64(sent as f64 / rate as f64);
                tokio::time::sleep_until(began + due).await;
            }
        }
    }
    Ok(())
}

fn refused(why: &str) -> Failure {
    Failure::last(format!("the other end refuses: {why}"))
}

fn out_of_place(note: &Note) -> Failure {
    Failure::last(format!("the other end says {note:?} out of place"))
}
