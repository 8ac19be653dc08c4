//! Where everything lies: configuration, state, run directories and logs of one user's harness.
//!
//! Owns: the reading of `HARNESS_HOME`, `HOME` and the XDG variables; nothing else in the workspace reads them. Never
//! opens a file in the directories: their owners do.
//!
//! | | with `HARNESS_HOME` | else |
//! |---|---|---|
//! | configuration | `config` in it | `$XDG_CONFIG_HOME/harness`, `~/.config/harness` |
//! | state | `state` in it | `$XDG_STATE_HOME/harness`, `~/.local/state/harness` |
//! | run | `run` in it | `$XDG_RUNTIME_DIR/harness`, `run` in the state directory |
//! | log | `log` in it | `log` in the state directory |

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use std::os::unix::fs::{DirBuilderExt, MetadataExt};

/// The directories of one installation. Absolute paths; nothing is made before [`Dirs::create`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dirs {
    home: Option<PathBuf>,
    config: PathBuf,
    state: PathBuf,
    run: PathBuf,
    log: PathBuf,
}

/// Why there is no place for our files, or none that is safe.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirsError {
    /// Neither `HARNESS_HOME` nor `HOME` says where to put them.
    #[error(
        "neither HARNESS_HOME nor HOME is set: set HARNESS_HOME to a directory for configuration and state"
    )]
    Homeless,
    /// The working directory, against which `HARNESS_HOME` is resolved, cannot be read.
    #[error(
        "HARNESS_HOME is relative and the working directory cannot be read: set it to an absolute path"
    )]
    WorkingDirectory {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A directory cannot be made or looked at.
    #[error("cannot {action} {} (HARNESS_HOME chooses another place)", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which directory.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A directory is open to others.
    #[error("{} has mode {mode:04o}, so others have access to it: run `chmod go= {}`", path.display(), path.display())]
    Exposed {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A directory belongs to someone else.
    #[error("{} belongs to user {owner}: set HARNESS_HOME to a directory of your own", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Whose it is, as a numeric user id.
        owner: u32,
    },
}

impl Dirs {
    /// The directories that this process's environment asks for.
    ///
    /// # Errors
    /// [`DirsError::Homeless`] and [`DirsError::WorkingDirectory`].
    pub fn from_env() -> Result<Self, DirsError> {
        Self::resolve(|name| std::env::var_os(name), std::env::current_dir)
    }

    /// The directories that an environment asks for. An empty variable counts as absent, and so does an XDG variable
    /// that is no absolute path (as that specification demands).
    ///
    /// # Errors
    /// As [`Dirs::from_env`].
    pub fn resolve(
        variable: impl Fn(&str) -> Option<OsString>,
        working_directory: impl FnOnce() -> io::Result<PathBuf>,
    ) -> Result<Self, DirsError> {
        let path = |name: &str| {
            variable(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        if let Some(home) = path("HARNESS_HOME") {
            if home.is_absolute() {
                return Ok(Self::under(home));
            }
            let base =
                working_directory().map_err(|source| DirsError::WorkingDirectory { source })?;
            return Ok(Self::under(base.join(home)));
        }
        let xdg = |name: &str| {
            path(name)
                .filter(|path| path.is_absolute())
                .map(|path| path.join(PROGRAM))
        };
        let in_home = |below: &str| {
            path("HOME")
                .map(|home| home.join(below).join(PROGRAM))
                .ok_or(DirsError::Homeless)
        };
        let config = xdg("XDG_CONFIG_HOME").map_or_else(|| in_home(".config"), Ok)?;
        let state = xdg("XDG_STATE_HOME").map_or_else(|| in_home(".local/state"), Ok)?;
        let run = xdg("XDG_RUNTIME_DIR").unwrap_or_else(|| state.join("run"));
        let log = state.join("log");
        Ok(Self {
            home: None,
            config,
            state,
            run,
            log,
        })
    }

    /// All directories below one, as `HARNESS_HOME` has it. The path must be absolute to mean the same to everyone.
    pub fn under(home: impl Into<PathBuf>) -> Self {
        let home = home.into();
        let below = |name: &str| home.join(name);
        Self {
            config: below("config"),
            state: below("state"),
            run: below("run"),
            log: below("log"),
            home: Some(home),
        }
    }

    /// Settings.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Keys and certificates.
    pub fn pki(&self) -> PathBuf {
        self.config.join("pki")
    }

    /// What survives a restart.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// What lives as long as the programs it belongs to.
    pub fn run(&self) -> &Path {
        &self.run
    }

    /// Output of services, and of the daemon.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The variable that makes another process, wherever it works, find the same directories; `None` when its
    /// environment says so already.
    pub fn variable(&self) -> Option<(&'static str, &OsStr)> {
        self.home
            .as_ref()
            .map(|home| ("HARNESS_HOME", home.as_os_str()))
    }

    /// Makes the directories, for their owner alone.
    ///
    /// # Errors
    /// [`DirsError::Io`], and [`DirsError::Exposed`] or [`DirsError::Foreign`] for one that is there and not private.
    pub fn create(&self) -> Result<(), DirsError> {
        [&self.config, &self.state, &self.run, &self.log]
            .into_iter()
            .try_for_each(|path| create_private(path))
    }
}

fn create_private(path: &Path) -> Result<(), DirsError> {
    let failed = |action| {
        move |source| DirsError::Io {
            action,
            path: path.to_owned(),
            source,
        }
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed("create"))?;
    let metadata = std::fs::metadata(path).map_err(failed("look at"))?;
    let owner = metadata.uid();
    if owner != rustix::process::geteuid().as_raw() {
        return Err(DirsError::Foreign {
            path: path.to_owned(),
            owner,
        });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(DirsError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
}

const PROGRAM: &str = "harness";

/// The part of this process's environment that a daemon which it starts gets.
pub(crate) fn daemon_environment() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| is_for_daemons(&name.to_string_lossy()))
}

/// Whether a variable of whoever happens to start the daemon is for the daemon too. What else is in that environment, a
/// secret perhaps, would stay in the daemon's for as long as it runs.
fn is_for_daemons(name: &str) -> bool {
    const NAMES: [&str; 12] = [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "LANGUAGE",
        "TZ",
        "TMPDIR",
        "SSH_AUTH_SOCK",
        "RUST_BACKTRACE",
        "LLVM_PROFILE_FILE",
    ];
    // `HARNESS_` and `XDG_` say where its files are, `DOCKER_` where the engine is, `LD_` and `FAKETIME` under what it runs.
    const PREFIXES: [&str; 6] = ["HARNESS_", "XDG_", "LC_", "DOCKER_", "LD_", "FAKETIME"];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn resolve(variables: &[(&str, &str)]) -> Result<Dirs, DirsError> {
        let lookup = |name: &str| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.into())
        };
        Dirs::resolve(lookup, || Ok(PathBuf::from("/work-here")))
    }

    #[test]
    fn one_variable_puts_everything_under_one_folder() {
        let dirs = resolve(&[
            ("HARNESS_HOME", "/h"),
            ("XDG_STATE_HOME", "/x"),
            ("HOME", "/u"),
        ])
        .expect("a home");
        assert_eq!(dirs, Dirs::under("/h"));
        assert_eq!(dirs.state(), Path::new("/h/state"));
        assert_eq!(dirs.variable(), Some(("HARNESS_HOME", OsStr::new("/h"))));
    }

    #[test]
    fn a_relative_home_is_taken_from_the_working_directory() {
        assert_eq!(
            resolve(&[("HARNESS_HOME", "h")]).expect("a home"),
            Dirs::under("/work-here/h")
        );
    }

    #[test]
    fn without_it_the_xdg_directories_are_used() {
        let set = [
            ("HOME", "/u"),
            ("XDG_STATE_HOME", "/s"),
            ("XDG_RUNTIME_DIR", "/r"),
            ("XDG_CONFIG_HOME", "/c"),
        ];
        let dirs = resolve(&set).expect("a home");
        assert_eq!(dirs.config(), Path::new("/c/harness"));
        assert_eq!(dirs.state(), Path::new("/s/harness"));
        assert_eq!(dirs.run(), Path::new("/r/harness"));
        assert_eq!(dirs.log(), Path::new("/s/harness/log"));
        assert_eq!(dirs.variable(), None);
    }

    #[test]
    fn empty_and_relative_xdg_variables_count_as_absent() {
        let set = [
            ("HOME", "/u"),
            ("XDG_STATE_HOME", "s"),
            ("XDG_RUNTIME_DIR", ""),
            ("HARNESS_HOME", ""),
        ];
        let dirs = resolve(&set).expect("a home");
        assert_eq!(dirs.config(), Path::new("/u/.config/harness"));
        assert_eq!(dirs.run(), Path::new("/u/.local/state/harness/run"));
    }

    #[test]
    fn without_a_home_the_error_says_what_to_set() {
        let error = resolve(&[]).expect_err("nowhere to go");
        assert!(error.to_string().contains("set HARNESS_HOME"), "{error}");
    }

    #[test]
    fn directories_are_made_private_and_an_open_one_is_refused() {
        let temporary = testkit::temp_dir();
        let dirs = Dirs::under(temporary.path().join("deep/home"));
        dirs.create().expect("made");
        dirs.create().expect("there already");
        let mode = std::fs::metadata(dirs.state())
            .expect("made")
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o700);
        std::fs::set_permissions(dirs.state(), PermissionsExt::from_mode(0o750)).expect("ours");
        let error = dirs.create().expect_err("open to others");
        assert!(
            matches!(error, DirsError::Exposed { mode: 0o750, .. }),
            "{error}"
        );
    }
}
