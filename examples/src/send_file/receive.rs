//! The receiver's end.

use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use peerloom::{DataChannel, Message};
use ring::digest;
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufWriter};

use super::note::hex;
use super::{Failure, Note, Offer};
use crate::meeting::say;

/// Bytes between two words about how much has come.
const TELL: u64 = 1 << 20;

/// Waits for an offer and takes the file into `dir`, under its own name, once its hash is known to
/// be right. Until then it is in a hidden file, which a later call goes on with. `progress` is told
/// how much there is, and of how much.
///
/// # Errors
/// [`Failure::Lost`] when the connection ends; it can be called again with the next one.
/// [`Failure::Final`] for a name that is taken or that cannot be, and for a wrong hash.
pub async fn receive(
    channel: &DataChannel,
    dir: &Path,
    progress: impl Fn(u64, u64),
) -> Result<PathBuf, Failure> {
    let Note::Offer(offer) = Note::receive(channel).await? else {
        return Err(Failure::last("the other end offers no file"));
    };
    let result = take(channel, dir, &offer, progress).await;
    if let Err(Failure::Final(error)) = &result {
        let why = error.to_string();
        // It may be what has failed; the error that is told is the first one.
        let _ = Note::Refuse { why }.send(channel).await;
    }
    result
}

async fn take(
    channel: &DataChannel,
    dir: &Path,
    offer: &Offer,
    progress: impl Fn(u64, u64),
) -> Result<PathBuf, Failure> {
    let path = dir.join(file_name(&offer.name)?);
    if fs::symlink_metadata(&path).await.is_ok() {
        return Err(taken(&path));
    }
    let mut partial = Partial::open(dir, offer).await?;
    let offset = partial.length;
    progress(offset, offer.size);
    if offset > 0 {
        say(&format!(
            "{}: going on at byte {offset} of {}",
            offer.name, offer.size
        ));
    }
    Note::Accept { offset }.send(channel).await?;
    let filled = fill(channel, &mut partial, offer.size, progress).await;
    // Also what came before the connection was lost: the next one goes on behind it.
    partial.flush().await?;
    filled?;
    partial.finish(offer, &path).await?;
    Note::Done.send(channel).await?;
    Ok(path)
}

async fn fill(
    channel: &DataChannel,
    partial: &mut Partial,
    size: u64,
    progress: impl Fn(u64, u64),
) -> Result<(), Failure> {
    let mut told = partial.length;
    while partial.length < size {
        let bytes = match channel.recv().await {
            None => return Err(Failure::lost("the connection has ended")),
            Some(Message::Binary(bytes)) => bytes,
            Some(Message::Text(text)) => {
                let cut: String = text.chars().take(100).collect();
                return Err(Failure::last(format!("{cut:?} instead of the file")));
            }
        };
        if bytes.len() as u64 > size - partial.length {
            return Err(Failure::last("more bytes than were offered"));
        }
        partial.append(bytes).await?;
        progress(partial.length, size);
        if partial.length - told >= TELL || partial.length == size {
            told = partial.length;
            Note::Have { bytes: told }.send(channel).await?;
        }
    }
    Ok(())
}

/// What has come of a file.
struct Partial {
    path: PathBuf,
    file: BufWriter<File>,
    hash: digest::Context,
    length: u64,
}

impl Partial {
    /// Opens what is there of this very file: its hash is part of the name.
    async fn open(dir: &Path, offer: &Offer) -> Result<Self, Failure> {
        let hash = &offer.sha256;
        if hash.len() != 64 || !hash.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(Failure::last("the offer has no SHA-256"));
        }
        let path = dir.join(format!(".{hash}.part"));
        let say = |error: std::io::Error| failed(&path, &error);
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .open(&path)
            .await
            .map_err(say)?;
        let mut hash = digest::Context::new(&digest::SHA256);
        let mut length = 0;
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = file.read(&mut buffer).await.map_err(say)?;
            if read == 0 {
                break;
            }
            hash.update(&buffer[..read]);
            length += read as u64;
        }
        if length > offer.size {
            file.set_len(0).await.map_err(say)?;
            hash = digest::Context::new(&digest::SHA256);
            length = 0;
        }
        Ok(Self {
            path,
            file: BufWriter::with_capacity(1 << 20, file),
            hash,
            length,
        })
    }

    async fn append(&mut self, bytes: Bytes) -> Result<(), Failure> {
        let written = self.file.write_all(&bytes).await;
        written.map_err(|error| failed(&self.path, &error))?;
        self.hash.update(&bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        let flushed = self.file.flush().await;
        flushed.map_err(|error| failed(&self.path, &error))
    }

    /// Checks the hash and gives the file its name, which nobody may have taken meanwhile.
    async fn finish(self, offer: &Offer, path: &Path) -> Result<(), Failure> {
        let say = |error: std::io::Error| failed(path, &error);
        if hex(&self.hash.finish()) != offer.sha256.to_ascii_lowercase() {
            fs::remove_file(&self.path).await.map_err(say)?;
            return Err(Failure::last("the hash of what came is wrong"));
        }
        // Unlike a rename, a link does not replace what is there.
        match fs::hard_link(&self.path, path).await {
            Ok(()) => fs::remove_file(&self.path).await.map_err(say),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(taken(path)),
            Err(error) => Err(say(error)),
        }
    }
}

/// The name, if it is one of a file in the directory and nothing else.
fn file_name(name: &str) -> Result<&str, Failure> {
    let mut components = Path::new(name).components();
    let plain = matches!(
        (components.next(), components.next()),
        (Some(Component::Normal(only)), None) if only == name
    );
    if plain && !name.contains(['/', '\\', ':']) && !name.chars().any(char::is_control) {
        Ok(name)
    } else {
        let cut: String = name.chars().take(100).collect();
        Err(Failure::last(format!("{cut:?} is no name for a file")))
    }
}

fn taken(path: &Path) -> Failure {
    Failure::last(format!("{} is there already", path.display()))
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::last(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name comes from the other end, and must not lead anywhere else.
    #[test]
    fn names_stay_in_the_directory() {
        for good in ["a", "a b.txt", "…", ".profile"] {
            assert!(file_name(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "/etc/passwd",
            "../a",
            "a/b",
            "a/",
            "a\\b",
            "c:a",
            "a\n",
        ] {
            assert!(file_name(bad).is_err(), "{bad}");
        }
    }
}
