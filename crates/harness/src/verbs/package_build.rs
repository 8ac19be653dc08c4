//! `package build`: a directory and a recipe become an archive and its signature.
//!
//! Owns: where both end up. They are written beside their places and renamed, so a package that is there is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use clap::Args;
use harness_core::Dirs;
use harness_package::{Built, KeyId, Recipe, SecretKey, Signature, build as pack};
use serde_json::json;

use super::host::Shown;
use super::package::own_key;
use super::package_failure::PackageFailure;
use crate::context::Context;
use crate::failure::Failure;
use crate::render::{json_line, package_lines, print};

/// Pack a directory as its recipe says, and sign it
///
/// The same files give the same bytes with the same version of this program. The recipe is `package.yaml` in the directory,
/// and is not packed itself.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct BuildArgs {
    /// What is packed
    #[arg(value_name = "DIRECTORY", default_value = ".")]
    directory: PathBuf,
    /// The recipe [default: package.yaml in the directory]
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Where the archive goes; the signature beside it [default: NAME-VERSION.tar.gz here]
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// The secret key to sign with [default: the one of `package keygen`]
    #[arg(long, value_name = "FILE", conflicts_with = "unsigned")]
    key: Option<PathBuf>,
    /// Without a signature: no host takes it
    #[arg(long)]
    unsigned: bool,
    #[command(flatten)]
    shown: Shown,
}

const EXAMPLES: &str = "\
Examples:
  harness package build api
  harness package build api --to dist/api.tar.gz --key ci.key
  harness package build api -o json";

impl BuildArgs {
    pub(super) fn is_json(&self) -> bool {
        self.shown.is_json()
    }
}

/// What was made.
#[derive(Debug)]
pub(super) struct Made {
    built: Built,
    path: PathBuf,
    signer: Option<KeyId>,
    is_json: bool,
}

/// Reads, packs, signs. Blocks.
pub(super) fn build(args: &BuildArgs) -> Result<Made, Failure> {
    // First, because packing may take long.
    let key = match (args.unsigned, &args.key) {
        (true, _) => None,
        (false, Some(path)) => Some(secret_key(path)?),
        (false, None) => Some(secret_key(&own_key(&Dirs::from_env()?))?),
    };
    let made = make(args, key.as_ref())?;
    Ok(made)
}

fn make(args: &BuildArgs, key: Option<&SecretKey>) -> Result<Made, PackageFailure> {
    let recipe_path = match &args.recipe {
        Some(path) => path.clone(),
        None => args.directory.join("package.yaml"),
    };
    let text =
        fs::read_to_string(&recipe_path).map_err(PackageFailure::io("read", &recipe_path))?;
    let recipe = Recipe::from_yaml(&text).map_err(|source| PackageFailure::Recipe {
        path: recipe_path,
        source,
    })?;
    let path = args.to.clone().unwrap_or_else(|| {
        let about = &recipe.about;
        PathBuf::from(format!("{}-{}.tar.gz", about.name, about.version))
    });
    if recipe.picks.is_none() && is_inside(&path, &args.directory) {
        return Err(PackageFailure::Inside { path });
    }
    let mut out = Unnamed::beside(&path)?;
    let built =
        pack(&args.directory, &recipe, &mut out.file).map_err(|source| PackageFailure::Build {
            directory: args.directory.clone(),
            source,
        })?;
    let signer = key.map(|key| sign(&mut out.file, key, &built, &path));
    let signer = signer.transpose()?;
    out.place()?;
    Ok(Made {
        built,
        path,
        signer,
        is_json: args.is_json(),
    })
}

/// Whether a file would be among what is packed.
fn is_inside(path: &Path, directory: &Path) -> bool {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    match (fs::canonicalize(parent), fs::canonicalize(directory)) {
        (Ok(parent), Ok(directory)) => parent.starts_with(directory),
        // One of them is not there, which is told by whoever needs it.
        _ => false,
    }
}

fn secret_key(path: &Path) -> Result<SecretKey, PackageFailure> {
    let path = path.to_owned();
    let metadata = match fs::metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(PackageFailure::NoKey { path });
        }
        Err(error) => return Err(PackageFailure::io("read", path)(error)),
    };
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(PackageFailure::ExposedKey { path, mode });
    }
    let text = fs::read_to_string(&path).map_err(PackageFailure::io("read", &path))?;
    SecretKey::parse(&text).map_err(|source| PackageFailure::Key { path, source })
}

/// Signs what was packed. The signature has its place first: an archive that is there has the right one, or none that fits.
fn sign(
    archive: &mut File,
    key: &SecretKey,
    built: &Built,
    path: &Path,
) -> Result<KeyId, PackageFailure> {
    let about = built.manifest.about();
    let comment = format!("{} {} sha256:{}", about.name, about.version, built.sha256);
    let signed = archive
        .rewind()
        .and_then(|()| Signature::of(&mut *archive, key, &comment));
    let signature = signed.map_err(PackageFailure::io("sign", path))?;
    let place = signature_path(path);
    let mut out = Unnamed::beside(&place)?;
    out.file
        .write_all(signature.to_text().as_bytes())
        .map_err(PackageFailure::io("write", &place))?;
    out.place()?;
    Ok(signature.key())
}

/// Where the signature of an archive is looked for, as minisign names it.
pub(super) fn signature_path(archive: &Path) -> PathBuf {
    let mut name = archive.as_os_str().to_owned();
    name.push(".minisig");
    PathBuf::from(name)
}

/// A file that gets its name when it is whole, and is gone otherwise.
struct Unnamed {
    file: File,
    at: PathBuf,
    path: PathBuf,
}

impl Unnamed {
    fn beside(path: &Path) -> Result<Self, PackageFailure> {
        let mut at = path.as_os_str().to_owned();
        at.push(format!(".{}.new", std::process::id()));
        let at = PathBuf::from(at);
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create_new(true).mode(0o644);
        let file = options
            .open(&at)
            .map_err(PackageFailure::io("write", &at))?;
        let path = path.to_owned();
        Ok(Self { file, at, path })
    }

    fn place(&self) -> Result<(), PackageFailure> {
        self.file
            .sync_all()
            .and_then(|()| fs::rename(&self.at, &self.path))
            .map_err(PackageFailure::io("write", &self.path))
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        // It is not there any more once it was given its name.
        let _ = fs::remove_file(&self.at);
    }
}

impl Made {
    pub(super) fn show(&self, context: &Context) -> Result<(), Failure> {
        let Built {
            manifest,
            sha256,
            size,
        } = &self.built;
        let about = manifest.about();
        if self.is_json {
            return print(&json_line(&json!({
                "name": about.name, "version": about.version, "archive": self.path, "size": size, "sha256": sha256,
                "signature": self.signer.map(|_| signature_path(&self.path)),
                "key": self.signer.map(|key| key.to_string()),
            })));
        }
        let signer = self.signer.map(|key| key.to_string());
        let lines = package_lines(&context.data, about, &self.path, *size, *sha256, signer);
        print(&lines)
    }
}
