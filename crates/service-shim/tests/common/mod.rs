//! Drives the real shim program in a temporary directory.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use service_shim::log::{Entry, LogReader, Start, Stream};
use service_shim::protocol::{self, LaunchOrder, LineBuffer, Notice, Request};
use service_shim::{
    ExitRecord, Identity, LaunchSpec, LogPolicy, RawString, RunDir, StopPolicy, StopScope,
};

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A temporary place for run directories and logs.
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

/// A shim and the connection to it.
pub(crate) struct Shim {
    pub(crate) run: PathBuf,
    pub(crate) child: Child,
    stream: UnixStream,
    lines: LineBuffer,
}

impl Place {
    pub(crate) fn new() -> Place {
        let dir = tempfile::tempdir().expect("a temporary directory");
        // Services of other users must reach their programs and logs below it.
        std::fs::set_permissions(
            dir.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .expect("own");
        Place { dir }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn log_dir(&self) -> PathBuf {
        self.path().join("log")
    }

    /// `sh -c script`, captured, with a grace of two seconds.
    pub(crate) fn script(&self, script: &str) -> LaunchSpec {
        self.program("/bin/sh", &["-c", script])
    }

    pub(crate) fn program(&self, program: &str, args: &[&str]) -> LaunchSpec {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let salt = std::process::id();
        LaunchSpec {
            instance_id: format!("{salt:06x}{number:06x}")[..12].to_owned(),
            attempt: 1,
            program: program.into(),
            args: args.iter().map(|arg| RawString::from(*arg)).collect(),
            env: vec![("PATH".into(), "/usr/bin:/bin".into())],
            cwd: None,
            user: None,
            group: None,
            umask: 0o022,
            no_new_privs: false,
            log: LogPolicy::new(self.log_dir()),
            stop: stop(2000),
            notify: false,
            stdin: false,
            cgroup: false,
        }
    }

    pub(crate) fn launch(&self, spec: &LaunchSpec) -> Shim {
        let run = RunDir::create(&self.path().join("run"), &spec.instance_id)
            .expect("a fresh run directory");
        let mut shim = Shim::spawn("run", run.path());
        shim.write(&LaunchOrder::encode(spec.clone()));
        shim
    }

    pub(crate) fn started(&self, spec: &LaunchSpec) -> (Shim, Identity) {
        let mut shim = self.launch(spec);
        match shim.next() {
            Some(Notice::Started { identity }) => (shim, identity),
            other => panic!("not started: {other:?}"),
        }
    }

    /// All output of one stream that the log still has.
    pub(crate) fn output(&self, stream: Stream) -> Vec<u8> {
        output(&self.log_dir(), stream)
    }

    pub(crate) fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.output(Stream::Stdout)).into_owned()
    }
}

impl Shim {
    pub(crate) fn spawn(task: &str, run: &Path) -> Shim {
        Shim::spawn_by(Command::new(env!("CARGO_BIN_EXE_service-shim")), task, run)
    }

    pub(crate) fn spawn_by(mut command: Command, task: &str, run: &Path) -> Shim {
        let (stream, end) = UnixStream::pair().expect("a socket pair");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let child = command
            .arg(task)
            .arg(run)
            .stdin(Stdio::from(OwnedFd::from(end)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the shim's program");
        Shim {
            run: run.to_owned(),
            child,
            stream,
            lines: LineBuffer::default(),
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the shim listens");
    }

    pub(crate) fn ask(&mut self, request: Request) -> Option<Notice> {
        self.write(&protocol::encode(request));
        self.next()
    }

    /// The next notice; none when the connection has ended.
    pub(crate) fn next(&mut self) -> Option<Notice> {
        loop {
            if let Some(line) = self.lines.next_line() {
                return Some(protocol::decode(&line).expect("a notice"));
            }
            let mut buffer = [0u8; 4096];
            match self.stream.read(&mut buffer).expect("an answer in time") {
                0 => return None,
                read => self.lines.push(&buffer[..read]),
            }
        }
    }

    /// Everything up to the end, which is returned.
    pub(crate) fn exited(&mut self) -> ExitRecord {
        loop {
            match self.next() {
                Some(Notice::Exited { exit }) => break exit,
                Some(_) => {}
                None => panic!("the shim went without saying how it ended"),
            }
        }
    }

    /// As a crash would: at once, and unseen by the shim.
    pub(crate) fn kill_shim(&mut self) {
        self.child.kill().expect("own child");
        self.child.wait().expect("own child");
    }

    pub(crate) fn adopt(&self) -> Shim {
        Shim::spawn("adopt", &self.run)
    }

    pub(crate) fn run_dir(&self) -> RunDir {
        RunDir::open(&self.run).expect("still there")
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        // Nothing a test starts outlives it.
        if let Ok(run) = RunDir::open(&self.run)
            && let Ok(mut stream) = run.connect()
        {
            let _ = stream.write_all(&protocol::encode(Request::Kill));
        } else {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

pub(crate) fn stop(grace_ms: u64) -> StopPolicy {
    StopPolicy {
        grace: Duration::from_millis(grace_ms),
        scope: StopScope::Main,
        ..StopPolicy::default()
    }
}

pub(crate) fn entries(dir: &Path) -> Vec<Entry> {
    let mut reader = LogReader::open(dir, Start::Oldest).expect("a log");
    std::iter::from_fn(|| reader.next_entry().expect("readable")).collect()
}

pub(crate) fn output(dir: &Path, wanted: Stream) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in entries(dir) {
        if let Entry::Data { stream, bytes, .. } = entry
            && stream == wanted
        {
            all.extend(bytes);
        }
    }
    all
}

/// Waits until something holds; looks again every few milliseconds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < give_up, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Processes whose environment has the marker of an attempt.
pub(crate) fn marked(instance_id: &str) -> Vec<u32> {
    let marker = format!("HARNESS_INSTANCE_ID={instance_id}");
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("procfs").flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let environ = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        if environ
            .split(|byte| *byte == 0)
            .any(|item| item == marker.as_bytes())
        {
            found.push(pid);
        }
    }
    found
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A file system of one megabyte. Needs root.
pub(crate) struct SmallDisk {
    dir: tempfile::TempDir,
    pub(crate) path: std::path::PathBuf,
}

impl SmallDisk {
    pub(crate) fn mount() -> Option<SmallDisk> {
        if !is_root() {
            return None;
        }
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().to_owned();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(&path)
            .status()
            .is_ok_and(|status| status.success());
        mounted.then_some(SmallDisk { dir, path })
    }

    pub(crate) fn grow(&self) {
        let done = std::process::Command::new("mount")
            .args(["-o", "remount,size=8m"])
            .arg(&self.path)
            .status();
        assert!(done.expect("mount").success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(self.dir.path())
            .status();
    }
}
