//! The system calls that rustix does not wrap: the only file of the workspace with `unsafe` in it.
//!
//! Owns: making the service's process ([`spawn`]), the child-signal wake-up, a few one-line calls. Every other
//! module sees safe functions. Linux only.
#![allow(
    unsafe_code,
    reason = "the one file where it stands; every use says why it is sound"
)]

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_void};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::event::EventfdFlags;
use rustix::io::{Errno, FdFlags};
use rustix::process::Signal;

/// A process about to be made: everything is allocated beforehand, for after the fork nothing may be.
pub(crate) struct Exec<'a> {
    /// Paths to try, in order.
    pub(crate) candidates: &'a [CString],
    pub(crate) args: &'a [CString],
    pub(crate) env: &'a [CString],
    pub(crate) stdin: BorrowedFd<'a>,
    pub(crate) stdout: BorrowedFd<'a>,
    pub(crate) stderr: BorrowedFd<'a>,
    /// Stays open in the new process, and only there.
    pub(crate) lock: BorrowedFd<'a>,
    pub(crate) cwd: Option<&'a CStr>,
    pub(crate) ids: Option<Ids<'a>>,
    pub(crate) umask: u32,
    pub(crate) no_new_privs: bool,
    /// Write the normal badness back, which the shim has lowered for itself.
    pub(crate) reset_oom_score: bool,
    /// A directory of cgroup v2 to be born in.
    pub(crate) cgroup: Option<BorrowedFd<'a>>,
    /// What the process receives when the thread that made it ends.
    pub(crate) death_signal: Option<i32>,
}

/// Whom to become.
#[derive(Clone, Copy)]
pub(crate) struct Ids<'a> {
    pub(crate) uid: rustix::process::Uid,
    pub(crate) gid: rustix::process::Gid,
    pub(crate) groups: &'a [rustix::process::Gid],
}

/// Which step of making the process failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stage {
    Fork = 0,
    Prepare = 1,
    User = 2,
    WorkingDirectory = 3,
    Program = 4,
}

/// Makes the process and returns once it runs the program.
///
/// The child gets a session of its own, default signal handling and an empty signal mask.
pub(crate) fn spawn(exec: &Exec<'_>) -> Result<(u32, OwnedFd), (Stage, Errno)> {
    let fork = |error| (Stage::Fork, error);
    if [exec.stdin, exec.stdout, exec.stderr, exec.lock]
        .iter()
        .any(|fd| fd.as_raw_fd() < 3)
    {
        return Err((Stage::Fork, Errno::BADF));
    }
    let argv = pointers(exec.args);
    let envp = pointers(exec.env);
    let (report, report_out) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(fork)?;
    let mut pidfd: RawFd = -1;
    let mut args = CloneArgs {
        flags: CLONE_PIDFD | CLONE_VFORK,
        exit_signal: SIGCHLD as u64,
        ..CloneArgs::default()
    };
    if let Some(cgroup) = exec.cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = u64::try_from(cgroup.as_raw_fd()).map_err(|_| fork(Errno::BADF))?;
    }
    let pid = fork_with(&mut args, &mut pidfd);
    if pid == 0 {
        let (stage, error) = become_service(exec, &argv, &envp);
        let code = error.raw_os_error().to_ne_bytes();
        let message = [stage as u8, code[0], code[1], code[2], code[3]];
        // If even this cannot be said, the parent sees a child that ended at once; nothing else is left to do.
        let _ = rustix::io::write(&report_out, &message);
        // SAFETY: leaves without running destructors or exit handlers, which belong to the parent.
        unsafe { _exit(127) }
    }
    drop(report_out);
    let Some(pid) = u32::try_from(pid).ok().filter(|pid| *pid > 0) else {
        return Err(fork(last_errno()));
    };
    // SAFETY: the call succeeded, so it has stored a new descriptor that nobody else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let mut message = [0u8; 5];
    match rustix::io::read(&report, &mut message) {
        Ok(5) => {
            let code = i32::from_ne_bytes([message[1], message[2], message[3], message[4]]);
            let _ = rustix::process::waitid(
                rustix::process::WaitId::PidFd(pidfd.as_fd()),
                rustix::process::WaitIdOptions::EXITED,
            );
            Err((Stage::from_byte(message[0]), Errno::from_raw_os_error(code)))
        }
        // Closed by the exec.
        _ => Ok((pid, pidfd)),
    }
}

/// 0 in the child, its number in the parent, -1 with `errno` when there is none. `pidfd` is set in the parent.
fn fork_with(args: &mut CloneArgs, pidfd: &mut RawFd) -> c_long {
    args.pidfd = ptr::from_mut(pidfd) as u64;
    // SAFETY: clone3 without CLONE_VM is a fork: the child gets its own copy of memory and goes on from here.
    // `args` is a valid clone_args of the size given, and `pidfd` outlives the call.
    let pid = unsafe { syscall(SYS_CLONE3, ptr::from_mut(args), size_of::<CloneArgs>()) };
    let is_refused = pid == -1 && last_errno() == Errno::NOSYS;
    match SYS_CLONE {
        // The filter of a container engine may refuse clone3, because it cannot look into its arguments. The older call
        // does the same, except for the control group.
        Some(number) if is_refused && args.flags & CLONE_INTO_CGROUP == 0 => {
            let flags = args.flags | args.exit_signal;
            // SAFETY: as above. Without a stack of its own the child goes on with its copy of this one; the kernel
            // stores the descriptor where the third argument points; the last two are unused without their flags.
            unsafe { syscall(number, flags, 0_u64, ptr::from_mut(pidfd), 0_u64, 0_u64) }
        }
        _ => pid,
    }
}

impl Stage {
    fn from_byte(byte: u8) -> Stage {
        match byte {
            2 => Stage::User,
            3 => Stage::WorkingDirectory,
            4 => Stage::Program,
            _ => Stage::Prepare,
        }
    }
}

/// Runs in the child: only system calls, no allocation, no lock. Returns only when it failed.
fn become_service(
    exec: &Exec<'_>,
    argv: &[*const c_char],
    envp: &[*const c_char],
) -> (Stage, Errno) {
    if let Err(error) = prepare(exec) {
        return (Stage::Prepare, error);
    }
    if let Some(ids) = exec.ids
        && let Err(error) = switch_user(ids)
    {
        return (Stage::User, error);
    }
    if let Some(cwd) = exec.cwd
        && let Err(error) = rustix::process::chdir(cwd)
    {
        return (Stage::WorkingDirectory, error);
    }
    // After the switch of user, which clears it.
    if let Some(signal) = exec.death_signal {
        // SAFETY: the number was a valid signal when the order was read; the kernel checks it again.
        let signal = unsafe { Signal::from_raw_unchecked(signal) };
        if let Err(error) = rustix::process::set_parent_process_death_signal(Some(signal)) {
            return (Stage::Prepare, error);
        }
    }
    if exec.no_new_privs
        && let Err(error) = rustix::thread::set_no_new_privs(true)
    {
        return (Stage::Prepare, error);
    }
    let mut failure = Errno::NOENT;
    for path in exec.candidates {
        // SAFETY: path, argv and envp are NUL-terminated and live in this process; the lists end in null.
        unsafe { execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
        let error = last_errno();
        // As a shell does: go on looking, but remember a program that was there and refused.
        if !matches!(error, Errno::NOENT | Errno::NOTDIR) {
            failure = error;
            if !matches!(error, Errno::ACCESS) {
                break;
            }
        }
    }
    (Stage::Program, failure)
}

fn prepare(exec: &Exec<'_>) -> Result<(), Errno> {
    rustix::process::setsid()?;
    rustix::stdio::dup2_stdin(exec.stdin)?;
    rustix::stdio::dup2_stdout(exec.stdout)?;
    rustix::stdio::dup2_stderr(exec.stderr)?;
    rustix::io::fcntl_setfd(exec.lock, FdFlags::empty())?;
    reset_signals();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(exec.umask));
    if exec.reset_oom_score {
        let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::CLOEXEC;
        if let Ok(file) = rustix::fs::open(
            c"/proc/self/oom_score_adj",
            flags,
            rustix::fs::Mode::empty(),
        ) {
            let _ = rustix::io::write(&file, b"0");
        }
    }
    Ok(())
}

fn switch_user(ids: Ids<'_>) -> Result<(), Errno> {
    rustix::thread::set_thread_groups(ids.groups)?;
    rustix::thread::set_thread_res_gid(ids.gid, ids.gid, ids.gid)?;
    rustix::thread::set_thread_res_uid(ids.uid, ids.uid, ids.uid)
}

/// Gives signals that are commonly ignored or blocked their default meaning back.
fn reset_signals() {
    for number in [1, 2, 3, 10, 12, 13, 14, 15, 17, 20, 21, 22] {
        // SAFETY: SIG_DFL (0) is a valid disposition for every one of these signals.
        unsafe { signal(number, 0) };
    }
    unblock_signals();
}

fn unblock_signals() {
    let none = [0u64; 16];
    // SAFETY: `none` is at least as large as the C library's sigset_t and all zero, the empty set.
    unsafe { sigprocmask(SIG_SETMASK, none.as_ptr().cast(), ptr::null_mut()) };
}

/// Makes this process deaf to the signals that are sent to whole groups and machines: it ends when its service has.
/// And to the one that says that a pipe has no reader, which is an error like any other.
pub(crate) fn ignore_signals() {
    unblock_signals();
    for number in [1, 2, 13, 15] {
        // SAFETY: SIG_IGN (1) is a valid disposition for these signals.
        unsafe { signal(number, 1) };
    }
}

/// A descriptor that becomes readable whenever a child has ended.
pub(crate) fn watch_children() -> io::Result<OwnedFd> {
    let wake = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    CHILD_WAKE.store(wake.as_raw_fd(), Ordering::Release);
    // SAFETY: the handler only does one write to a descriptor, which is allowed in a signal handler.
    unsafe { signal(SIGCHLD, on_child as *const () as usize) };
    Ok(wake)
}

extern "C" fn on_child(_: c_int) {
    let fd = CHILD_WAKE.load(Ordering::Acquire);
    // SAFETY: the descriptor was stored by `watch_children` and its owner lives as long as the shim's process.
    let wake = unsafe { BorrowedFd::borrow_raw(fd) };
    let _ = rustix::io::write(wake, &1u64.to_ne_bytes());
}

/// Closes every descriptor from `first` on. Nothing in the process may own one of them.
pub(crate) fn close_from(first: u32) {
    // SAFETY: called once, before the shim has opened anything; what is closed was inherited by accident.
    unsafe { syscall(SYS_CLOSE_RANGE, first, u32::MAX, 0) };
}

/// Takes the descriptor that the shim was given as its standard input, and puts nothing else there.
pub(crate) fn take_stdin() -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?)
}

/// Sends any signal, the real-time ones included.
pub(crate) fn pidfd_send_signal(pidfd: BorrowedFd<'_>, number: i32) -> Result<(), Errno> {
    // SAFETY: the value is only passed to the kernel, which checks it; no handler is installed for it.
    let signal = unsafe { Signal::from_raw_unchecked(number) };
    rustix::process::pidfd_send_signal(pidfd, signal)
}

/// The wait status of a process that has ended and been reaped by anybody, where the kernel keeps it (6.15 and later).
pub(crate) fn pidfd_exit_status(pidfd: BorrowedFd<'_>) -> Option<i32> {
    let mut info = PidfdInfo {
        mask: PIDFD_INFO_EXIT,
        ..PidfdInfo::default()
    };
    // SAFETY: `info` has the size that is part of the request's number, and lives through the call.
    let result = unsafe {
        ioctl(
            pidfd.as_raw_fd(),
            PIDFD_GET_INFO,
            ptr::from_mut(&mut info).cast::<c_void>(),
        )
    };
    (result == 0 && info.mask & PIDFD_INFO_EXIT != 0).then_some(info.exit_code)
}

/// Hands memory that was needed for starting back to the system.
pub(crate) fn trim_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: has no preconditions.
    unsafe {
        malloc_trim(0);
    }
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings
        .iter()
        .map(|string| string.as_ptr())
        .chain([ptr::null()])
        .collect()
}

fn last_errno() -> Errno {
    Errno::from_raw_os_error(io::Error::last_os_error().raw_os_error().unwrap_or(0))
}

#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup_id: u64,
    ids: [u32; 11],
    exit_code: i32,
}

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn ioctl(fd: c_int, request: std::ffi::c_ulong, ...) -> c_int;
    fn execve(path: *const c_char, argv: *const *const c_char, envp: *const *const c_char)
    -> c_int;
    fn signal(number: c_int, handler: usize) -> usize;
    fn sigprocmask(how: c_int, set: *const c_void, old: *mut c_void) -> c_int;
    fn _exit(code: c_int) -> !;
    #[cfg(target_env = "gnu")]
    fn malloc_trim(pad: usize) -> c_int;
}

static CHILD_WAKE: AtomicI32 = AtomicI32::new(-1);

// The same number on every architecture, as all calls that came after 2019.
const SYS_CLONE3: c_long = 435;
// Where the order of its arguments is the one that is used here.
const SYS_CLONE: Option<c_long> = if cfg!(target_arch = "x86_64") {
    Some(56)
} else if cfg!(any(target_arch = "aarch64", target_arch = "riscv64")) {
    Some(220)
} else {
    None
};
const SYS_CLOSE_RANGE: c_long = 436;
const CLONE_PIDFD: u64 = 0x1000;
const CLONE_VFORK: u64 = 0x4000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
const SIGCHLD: c_int = 17;
const SIG_SETMASK: c_int = 2;
const PIDFD_INFO_EXIT: u64 = 1 << 3;
// _IOWR(0xff, 11, 64 bytes)
const PIDFD_GET_INFO: std::ffi::c_ulong = 0xc040_ff0b;
