//! The run directory of one attempt: which files it has, and how the parent makes, reads and removes it.
//!
//! Owns: the names of version [`LAYOUT_VERSION`](crate::LAYOUT_VERSION) and the access to them.
//!
//! | file | written by | what |
//! |---|---|---|
//! | `lock` | shim | `flock` held by the shim and, inherited, by the service; a record lock held by the one shim that serves |
//! | `launch.json` | shim | [`LaunchRecord`], before the service is started |
//! | `stdout`, `stderr` | service | FIFOs; the service holds both ends of each |
//! | `stdin` | shim | FIFO, only when asked for |
//! | `identity.json` | shim | [`Identity`] of the service |
//! | `control.sock` | shim | see [`crate::protocol`] |
//! | `notify.sock` | shim | `sd_notify`, only when asked for |
//! | `notify.json` | shim | what the service said there, for a successor of the shim |
//! | `exit.json` | shim | [`ExitRecord`], once every process is gone; takes the place of `launch.json` |
//!
//! A FIFO keeps what is in it as long as anybody has it open: the service alone is enough, so a shim may die at any
//! instant. Whoever learns of that first holds them too ([`RunDir::hold_output`]), until a successor has come. When the
//! service ends before anybody does, what was still in its pipes (256 KiB at most) goes with it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::exit::ExitRecord;
use crate::identity::Identity;
use crate::spec::{LAYOUT_VERSION, LaunchRecord};

/// An open run directory.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    dir: OwnedFd,
}

impl RunDir {
    /// Makes the directory of a new attempt, readable by its owner only.
    ///
    /// # Errors
    /// `instance_id` is not twelve hexadecimal digits, the directory exists already, or the system refuses.
    pub fn create(root: &Path, instance_id: &str) -> io::Result<RunDir> {
        if !is_instance_id(instance_id) {
            let message =
                format!("`{instance_id}` is not an instance id: twelve hexadecimal digits");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let path = root.join(instance_id);
        match rustix::fs::mkdir(&path, Mode::RWXU) {
            Err(rustix::io::Errno::NOENT) => {
                std::fs::create_dir_all(root)?;
                rustix::fs::mkdir(&path, Mode::RWXU)?;
            }
            other => other?,
        }
        RunDir::open(&path)
    }

    /// Opens the directory of an attempt that was launched before.
    ///
    /// # Errors
    /// It does not exist, is a link, or may not be read.
    pub fn open(path: &Path) -> io::Result<RunDir> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(RunDir {
            path: path.to_owned(),
            dir,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How the attempt ended; none while it may still be running.
    ///
    /// # Errors
    /// The record cannot be read, or is of a later version.
    pub fn exit(&self) -> io::Result<Option<ExitRecord>> {
        self.read_versioned(EXIT)
    }

    /// Who the service is; none when none was started.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn identity(&self) -> io::Result<Option<Identity>> {
        self.read_json(IDENTITY)
    }

    /// What the attempt was launched with; none when its shim never came so far.
    ///
    /// # Errors
    /// The record cannot be read, or is of a later version.
    pub fn launch(&self) -> io::Result<Option<LaunchRecord>> {
        self.read_versioned(LAUNCH)
    }

    /// Connects to the shim that serves this attempt.
    ///
    /// # Errors
    /// Nobody serves it: the socket is missing, or refuses.
    pub fn connect(&self) -> io::Result<UnixStream> {
        UnixStream::connect(self.short_path(CONTROL))
    }

    /// Makes the FIFOs of the output where they are missing, and opens them as [`RunDir::hold_output`] does. Done before a
    /// shim is started, nothing that its service writes can be lost, whoever is killed, for as long as they are held.
    ///
    /// # Errors
    /// One of them can be neither made nor opened.
    pub fn make_output(&self) -> io::Result<Vec<OwnedFd>> {
        let make = |name| {
            self.make_fifo(name)?;
            self.open_fifo(name, OFlags::RDONLY)
        };
        [STDOUT, STDERR].into_iter().map(make).collect()
    }

    /// Opens the FIFOs of the output, so that what is in them stays there while nobody else has them open: when a shim and
    /// its service die together. None of one that is not there.
    pub fn hold_output(&self) -> Vec<OwnedFd> {
        let open = |name| self.open_fifo(name, OFlags::RDONLY).ok();
        [STDOUT, STDERR].into_iter().filter_map(open).collect()
    }

    /// A path of fixed length to a file in here: socket addresses hold 108 bytes, however deep the directory lies.
    pub(crate) fn short_path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.dir.as_raw_fd()))
    }

    pub(crate) fn open_file(&self, name: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        rustix::fs::openat(
            &self.dir,
            name,
            flags | OFlags::CLOEXEC | OFlags::NOFOLLOW,
            Mode::RUSR | Mode::WUSR,
        )
    }

    pub(crate) fn make_fifo(&self, name: &str) -> rustix::io::Result<()> {
        match rustix::fs::mknodat(
            &self.dir,
            name,
            rustix::fs::FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        ) {
            Err(rustix::io::Errno::EXIST) => Ok(()),
            other => other,
        }
    }

    /// Opens one of the FIFOs, and nothing that merely has its name.
    pub(crate) fn open_fifo(&self, name: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let fifo = self.open_file(name, flags | OFlags::NONBLOCK)?;
        let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&fifo)?.st_mode);
        if kind != rustix::fs::FileType::Fifo {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("`{name}` is no FIFO"),
            ));
        }
        Ok(fifo)
    }

    pub(crate) fn unlink(&self, name: &str) {
        // What is not there need not be removed; anything else shows when the name is used next.
        let _ = rustix::fs::unlinkat(&self.dir, name, AtFlags::empty());
    }

    /// Replaces a file in one step. No sync: a killed process needs none, and after a power cut nothing of the
    /// attempt is alive, which the boot id tells.
    pub(crate) fn write_json<T: serde::Serialize>(&self, name: &str, value: &T) -> io::Result<()> {
        let bytes = serde_json::to_vec(value).map_err(io::Error::other)?;
        let temporary = format!("{name}.new");
        let file = self.open_file(&temporary, OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC)?;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            rest = &rest[rustix::io::write(&file, rest)?..];
        }
        rustix::fs::renameat(&self.dir, temporary.as_str(), &self.dir, name)?;
        Ok(())
    }

    /// A record that says which layout it is of. One of a later version is not read as if it were of this one.
    fn read_versioned<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        #[derive(Deserialize)]
        struct Versioned {
            layout: u32,
        }
        match self.read_json::<Versioned>(name)? {
            Some(Versioned { layout }) if layout > LAYOUT_VERSION => {
                let message = format!(
                    "{name} has layout {layout}; this program knows up to {LAYOUT_VERSION}"
                );
                Err(io::Error::new(io::ErrorKind::Unsupported, message))
            }
            Some(_) => self.read_json(name),
            None => Ok(None),
        }
    }

    pub(crate) fn read_json<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        let file = match self.open_file(name, OFlags::RDONLY) {
            Ok(file) => File::from(file),
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let text = io::read_to_string(file)?;
        let invalid =
            |error| io::Error::new(io::ErrorKind::InvalidData, format!("{name}: {error}"));
        serde_json::from_str(&text).map(Some).map_err(invalid)
    }
}

impl AsFd for RunDir {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

/// Removes a run directory once the end of its attempt is recorded elsewhere. One that is gone already is no error.
///
/// # Errors
/// Something in it cannot be removed.
pub fn remove_run_dir(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Whether a text can name a run directory.
pub fn is_instance_id(text: &str) -> bool {
    text.len() == 12
        && text
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())
}

pub(crate) const LOCK: &str = "lock";
pub(crate) const LAUNCH: &str = "launch.json";
pub(crate) const IDENTITY: &str = "identity.json";
pub(crate) const EXIT: &str = "exit.json";
pub(crate) const STDIN: &str = "stdin";
pub(crate) const STDOUT: &str = "stdout";
pub(crate) const STDERR: &str = "stderr";
pub(crate) const CONTROL: &str = "control.sock";
pub(crate) const NOTIFY: &str = "notify.sock";
pub(crate) const NOTIFY_STATE: &str = "notify.json";
