//! What looking after services costs: time on a core for each probe, by command, TCP and HTTP.
//!
//! Usage: `probes [SERVICES]`, by default 20, each probed ten times a second. The floor of a command is to spawn it and to
//! wait for it; a connection has none.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bench::contender::{Contender, Kind, present};
use bench::failure::Failure;
use bench::machine::Machine;
use bench::ours::Ours;
use bench::process::Usage;
use bench::report::{Column, Report};
use bench::service::Service;
use bench::stage::Stage;
use serde_json::{Value, json};

fn main() -> ExitCode {
    let count = std::env::args().nth(1).and_then(|word| word.parse().ok());
    match measure(count.unwrap_or(20)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("probes: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn measure(count: usize) -> Result<(), Failure> {
    let (kinds, _) = present();
    let mut report = Report::new("probes", Machine::here(&std::env::temp_dir()), vec![]);
    let command = "command probe, CPU each";
    report.add(command, "ms", Column::Of(Kind::Floor), floor()?.into());
    if kinds.contains(&Kind::Ours) {
        let stage = Stage::new()?;
        let probe = json!({"command": "/bin/sh", "args": ["-c", format!("echo p >{}", stage.voice().display())]});
        let cost = probed(&stage, count, &probe, || stage.lines_now())?;
        report.add(command, "ms", Column::Of(Kind::Ours), cost.into());
        for (name, is_http) in [
            ("TCP probe, CPU each", false),
            ("HTTP probe, CPU each", true),
        ] {
            let stage = Stage::new()?;
            let server = Server::new()?;
            let probe = if is_http {
                json!({"http": format!("http://127.0.0.1:{}/", server.port)})
            } else {
                json!({"tcp": {"port": server.port}})
            };
            let mut seen = 0;
            let cost = probed(&stage, count, &probe, || {
                let all = server.answered.load(Ordering::Relaxed);
                let new = all - seen;
                seen = all;
                new
            })?;
            report.add(name, "ms", Column::Of(Kind::Ours), cost.into());
        }
    }
    report.finish()
}

/// Milliseconds on a core for spawning the probe's command and waiting for it, those of the child included.
fn floor() -> Result<f64, Failure> {
    let own = [std::process::id()];
    let before = Usage::of(&own);
    for _ in 0..SPAWNS {
        let status = Command::new("/bin/sh")
            .args(["-c", "echo p >/dev/null"])
            .stdin(Stdio::null())
            .status()
            .map_err(Failure::io("run a probe"))?;
        if !status.success() {
            return Err(Failure::Wrong(format!("the probe ended with {status}")));
        }
    }
    let used = Usage::of(&own).since(before);
    Ok((used.cpu + used.cpu_of_children).as_secs_f64() * 1e3 / f64::from(SPAWNS))
}

/// Milliseconds on a core that all supervisors and their probes take for each probe, over [`WATCHED`].
///
/// `count_new` tells how many probes there were since it was asked last.
fn probed(
    stage: &Stage,
    count: usize,
    probe: &Value,
    mut count_new: impl FnMut() -> u64,
) -> Result<f64, Failure> {
    let services = Service::idle_many(stage, count);
    let mut ours = Ours::with(stage, &services, |_, entry| {
        let mut probe = probe.clone();
        probe["interval"] = json!("100ms");
        entry.insert("readiness".into(), probe);
    })?;
    ours.start()?;
    let names = services.iter().map(|service| service.name.as_str());
    let wait = ["wait", "--for", "ready", "--timeout", "30s"];
    ours.run(&wait.into_iter().chain(names).collect::<Vec<_>>())?;
    let pids: Vec<u32> = ours
        .pids()?
        .values()
        .filter_map(|pid| u32::try_from(*pid).ok())
        .collect();
    let supervisors = ours.supervisors(&pids)?;
    count_new();
    let before = Usage::of(&supervisors);
    std::thread::sleep(WATCHED);
    let used = Usage::of(&supervisors).since(before);
    let probes = count_new();
    Box::new(ours).close()?;
    eprintln!(
        "{probes} probes, {:?} and {:?} of their own",
        used.cpu, used.cpu_of_children
    );
    Ok((used.cpu + used.cpu_of_children).as_secs_f64() * 1e3 / probes.max(1) as f64)
}

/// Accepts whoever comes, answers whoever asks, and counts.
struct Server {
    port: u16,
    answered: Arc<AtomicU64>,
    end: Arc<std::sync::atomic::AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    fn new() -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(Failure::io("listen"))?;
        let port = listener.local_addr().map_err(Failure::io("listen"))?.port();
        let answered = Arc::new(AtomicU64::new(0));
        let end = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (counter, over) = (Arc::clone(&answered), Arc::clone(&end));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                answer(stream);
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
        Ok(Self {
            port,
            answered,
            end,
            thread: Some(thread),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        let woken = TcpStream::connect(("127.0.0.1", self.port));
        if let (Ok(_), Some(thread)) = (woken, self.thread.take()) {
            // It has nothing that could panic.
            let _ = thread.join();
        }
    }
}

fn answer(mut stream: TcpStream) {
    // A TCP probe hangs up without a word: both ends of it are fine.
    if let Ok(1..) = stream.read(&mut [0; 4096]) {
        let _ =
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    }
}

const SPAWNS: u32 = 1000;
const WATCHED: Duration = Duration::from_secs(10);
