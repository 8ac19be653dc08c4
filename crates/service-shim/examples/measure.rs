//! What a shim costs: start and stop of many services, throughput of captured output, memory.
//!
//! `cargo run --release -p service-shim --example measure -- DIR [SERVICES]`, after
//! `cargo build --release -p service-shim`. Prints one line per figure, next to a plain spawn loop.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use service_shim::protocol::{self, LaunchOrder, Notice, Request};
use service_shim::{LaunchSpec, LogPolicy, RawString, RunDir, StopPolicy};

fn main() {
    let mut args = std::env::args().skip(1);
    if std::env::args()
        .nth(1)
        .is_some_and(|first| first == "--write")
    {
        let numbers: Vec<usize> = args
            .skip(1)
            .map(|text| text.parse().expect("a number"))
            .collect();
        return write_all(numbers[0], numbers[1]);
    }
    let dir = PathBuf::from(args.next().expect("a directory to work in"));
    let services: u32 = args
        .next()
        .map_or(100, |text| text.parse().expect("a number of services"));
    floor(services);
    starts(&dir, services);
    for _ in 0..3 {
        throughput(&dir, 64 << 10, 4 << 30);
        throughput(&dir, 200, 1 << 30);
    }
}

/// The service of the throughput test: writes so many bytes in pieces of a size.
fn write_all(size: usize, bytes: usize) {
    let piece = vec![b'x'; size];
    let mut out = std::fs::File::from(
        std::io::stdout()
            .as_fd()
            .try_clone_to_owned()
            .expect("open"),
    );
    for _ in 0..bytes / size {
        out.write_all(&piece).expect("somebody reads");
    }
}

fn floor(services: u32) {
    let begun = Instant::now();
    let spawn = |_| {
        Command::new("/bin/sleep")
            .arg("1000")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
    };
    let mut children: Vec<Child> = (0..services)
        .map(spawn)
        .map(|child| child.expect("sleep"))
        .collect();
    println!("floor: spawn of {services}: {:?}", begun.elapsed());
    let begun = Instant::now();
    children
        .iter_mut()
        .for_each(|child| child.kill().expect("own"));
    children
        .iter_mut()
        .for_each(|child| assert!(!child.wait().expect("own").success()));
    println!("floor: kill of {services}: {:?}", begun.elapsed());
}

fn starts(dir: &Path, services: u32) {
    for cgroup in [false, true] {
        let begun = Instant::now();
        let mut shims: Vec<Shim> = (0..services)
            .map(|number| Shim::launch(dir, number, "sleep", &["1000"], cgroup))
            .collect();
        shims
            .iter_mut()
            .for_each(|shim| assert!(matches!(shim.next(), Notice::Started { .. })));
        println!(
            "start of {services} (cgroup wanted: {cgroup}): {:?}",
            begun.elapsed()
        );
        let pss: u64 = shims.iter().map(|shim| pss_kib(shim.child.id())).sum();
        println!("PSS of a shim: {} KiB", pss / u64::from(services));
        let begun = Instant::now();
        shims
            .iter_mut()
            .for_each(|shim| shim.say(Request::Stop(StopPolicy::default())));
        shims
            .iter_mut()
            .for_each(|shim| while !matches!(shim.next(), Notice::Exited { .. }) {});
        println!("stop of {services}: {:?}", begun.elapsed());
        shims.iter_mut().for_each(Shim::clear);
    }
}

fn throughput(dir: &Path, size: u64, bytes: u64) {
    let own = std::env::current_exe().expect("procfs");
    let args = ["--write", &size.to_string(), &bytes.to_string()];
    let begun = Instant::now();
    let mut file = Command::new(&own);
    let out = std::fs::File::create(dir.join("floor")).expect("a file");
    file.args(args).stdout(out).status().expect("own program");
    let floor = begun.elapsed();
    std::fs::remove_file(dir.join("floor")).expect("just made");
    let begun = Instant::now();
    let mut shim = Shim::launch(dir, 1, own.to_str().expect("text"), &args, false);
    let pid = shim.child.id();
    while !matches!(shim.next(), Notice::Exited { .. }) {}
    let took = begun.elapsed();
    let cpu = cpu_seconds(pid);
    shim.clear();
    let (gib, rate) = (
        bytes as f64 / f64::from(1 << 30),
        |took: std::time::Duration| bytes as f64 / 1e6 / took.as_secs_f64(),
    );
    let (ours, floor) = (rate(took), rate(floor));
    println!(
        "{size} B writes: {ours:.0} MB/s, to a plain file {floor:.0} MB/s, shim CPU {:.2} s per GiB",
        cpu / gib
    );
}

struct Shim {
    run: PathBuf,
    child: Child,
    stream: BufReader<UnixStream>,
}

impl Shim {
    fn launch(dir: &Path, number: u32, program: &str, args: &[&str], cgroup: bool) -> Shim {
        let instance_id = format!("{number:012x}");
        let run = RunDir::create(&dir.join("run"), &instance_id).expect("fresh");
        let (mut stream, end) = UnixStream::pair().expect("a socket pair");
        let shim = std::env::current_exe().expect("procfs");
        let shim = shim
            .parent()
            .and_then(Path::parent)
            .expect("in target/release/examples")
            .join("service-shim");
        let child = Command::new(shim)
            .arg("run")
            .arg(run.path())
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(end)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the shim");
        let spec = LaunchSpec {
            instance_id,
            attempt: 1,
            program: program.into(),
            args: args.iter().map(|arg| RawString::from(*arg)).collect(),
            env: vec![("PATH".into(), "/usr/bin:/bin".into())],
            cwd: None,
            user: None,
            group: None,
            umask: 0o022,
            no_new_privs: true,
            log: LogPolicy::new(dir.join("log").join(number.to_string())),
            stop: StopPolicy::default(),
            notify: false,
            stdin: false,
            cgroup,
        };
        stream
            .write_all(&LaunchOrder::encode(spec))
            .expect("the shim listens");
        Shim {
            run: run.path().to_owned(),
            child,
            stream: BufReader::new(stream),
        }
    }

    fn next(&mut self) -> Notice {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("the shim speaks");
        protocol::decode(line.as_bytes()).expect("a notice")
    }

    fn say(&mut self, request: Request) {
        self.stream
            .get_mut()
            .write_all(&protocol::encode(request))
            .expect("the shim listens");
    }

    fn clear(&mut self) {
        self.child.wait().expect("own");
        service_shim::remove_run_dir(&self.run).expect("own");
    }
}

fn pss_kib(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("own");
    let line = text
        .lines()
        .find(|line| line.starts_with("Pss:"))
        .expect("in every rollup");
    line.split_whitespace()
        .nth(1)
        .and_then(|number| number.parse().ok())
        .expect("a number")
}

/// Before the shim is waited for, its times are still there.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("own");
    let after_name = stat.rsplit(") ").next().expect("well formed").to_owned();
    let ticks: Vec<f64> = after_name
        .split(' ')
        .skip(11)
        .take(2)
        .map(|field| field.parse().expect("ticks"))
        .collect();
    ticks.iter().sum::<f64>() / 100.0
}
