//! The keys of one installation: what its state is sealed with, and what its hashes are made with.
//!
//! Owns: `seal.key`, 32 bytes of chance that only its owner can read, made when a state directory is first used. Both
//! keys come from it, so one file is all there is to keep. A key that others can read, or that is cut short, is refused,
//! never replaced: what was sealed with it could not be opened any more.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac};
use zeroize::Zeroizing;

use super::StoreError;
use super::seal::Sealer;

/// The name of the key's file.
pub(super) const KEY_FILE: &str = "seal.key";

const KEY_BYTES: usize = 32;

/// What hashes of definitions are made with, so that nobody who sees one can guess a value by trying.
#[derive(Clone)]
pub struct DefinitionKey(hmac::Key);

impl DefinitionKey {
    /// The same parts have the same hash under the same key: 16 hexadecimal digits behind a mark of the method.
    pub(crate) fn hash(&self, parts: &[Vec<u8>]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            // With its length before it, no part can pass for a piece of another.
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        format!("k{}", short(context.sign().as_ref()))
    }

    /// The hash that version 1 of the state had of a definition.
    pub(crate) fn without_key(definition: &[u8]) -> String {
        short(digest::digest(&digest::SHA256, definition).as_ref())
    }
}

/// A key for as long as nothing is kept: it is in no file.
impl Default for DefinitionKey {
    fn default() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Self(key.expect("the kernel has chance to give"))
    }
}

impl fmt::Debug for DefinitionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DefinitionKey(***)")
    }
}

fn short(digest: &[u8]) -> String {
    let bytes = digest.iter().take(8);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// The keys of the installation whose state is in this directory. They are made when nothing was sealed yet.
pub(super) fn open(
    directory: &Path,
    is_sealed: bool,
) -> Result<(Sealer, DefinitionKey), StoreError> {
    let path = directory.join(KEY_FILE);
    let failed = |source| StoreError::Open {
        path: path.clone(),
        source,
    };
    let bytes = match read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_sealed => {
            return Err(StoreError::KeyGone { path });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make(directory, &path).map_err(failed)?
        }
        other => other.map_err(failed)?,
    };
    let root = hmac::Key::new(hmac::HMAC_SHA256, bytes.as_ref());
    let derive = |purpose: &[u8]| hmac::sign(&root, purpose);
    let sealer = Sealer::new(derive(b"harness state seal 1").as_ref());
    let definition = derive(b"harness definition hash 1");
    let definition = hmac::Key::new(hmac::HMAC_SHA256, definition.as_ref());
    Ok((sealer, DefinitionKey(definition)))
}

fn read(path: &Path) -> io::Result<Zeroizing<[u8; KEY_BYTES]>> {
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)?;
    let metadata = file.metadata()?;
    let refuse = |reason: &str| Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    if metadata.mode() & 0o077 != 0 {
        return refuse("others can read this key: `chmod 600` it, and change what it sealed");
    }
    if metadata.len() != KEY_BYTES as u64 {
        return refuse("this is no key: it has not 32 bytes");
    }
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    file.read_exact(bytes.as_mut())?;
    Ok(bytes)
}

/// Makes the key. It is whole before it has its name, and on the disk before anything is sealed with it.
fn make(directory: &Path, path: &Path) -> io::Result<Zeroizing<[u8; KEY_BYTES]>> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    SystemRandom::new()
        .fill(bytes.as_mut())
        .map_err(|_| io::Error::other("the kernel gives no chance"))?;
    let new = directory.join("seal.key.new");
    // Only the owner of the state's lock comes here: one that lies there is of an owner who was killed.
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(bytes.as_ref())?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    File::open(directory)?.sync_all()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_and_private() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(KEY_FILE);
        let (_, first) = open(directory.path(), false).expect("made");
        let mode = std::fs::metadata(&path).expect("there").mode();
        assert_eq!(mode & 0o777, 0o600);
        let (_, again) = open(directory.path(), true).expect("found");
        let parts = [b"definition".to_vec()];
        assert_eq!(first.hash(&parts), again.hash(&parts));
        assert_ne!(first.hash(&parts), DefinitionKey::default().hash(&parts));
    }

    #[test]
    fn a_key_that_is_exposed_short_or_gone_is_refused_and_not_replaced() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(KEY_FILE);
        let _ = open(directory.path(), false).expect("made");
        let exposed = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(&path, exposed).expect("ours");
        assert!(matches!(
            open(directory.path(), true),
            Err(StoreError::Open { .. })
        ));
        std::fs::remove_file(&path).expect("ours");
        assert!(matches!(
            open(directory.path(), true),
            Err(StoreError::KeyGone { .. })
        ));
        assert!(!path.exists());
        std::fs::write(&path, b"short").expect("ours");
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&path, private).expect("ours");
        assert!(matches!(
            open(directory.path(), true),
            Err(StoreError::Open { .. })
        ));
    }
}
