//! `registry publish`: a service that is registered for as long as this program runs.
//!
//! Owns: what ends that: an interrupt, the end of the command beside it, or the daemon's refusal. A program that is killed
//! without a word is found out by the daemon.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use clap::{Args, ValueEnum};
use futures_lite::future;
use harness_core::AutoStart;
use harness_core::client::Registration;
use harness_core::protocol::{Health, InstanceName, PublishEndpoint, RegistryPublishParams};
use harness_core::spec::UnitName;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use smol::Timer;
use smol::net::TcpStream;
use smol::process::{Child, Command};

use super::registry_failure::RegistryFailure;
use crate::context::Context;
use crate::failure::Failure;
use crate::interrupt::{Interrupt, Interrupts};
use crate::time;

/// Register a service that the daemon does not run, for as long as this program runs
///
/// With a command, for as long as that runs; it ends with its exit code. Who is not a deployer needs a grant: `harness
/// daemon invite --register`, or `daemon grant --register`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct PublishArgs {
    /// What it is called
    #[arg(value_name = "STACK:SERVICE")]
    name: InstanceName,
    /// A port it listens on, [NAME=]PORT; the first is *the* port of the service
    #[arg(long = "port", value_name = "PORT", value_parser = port)]
    ports: Vec<PublishEndpoint>,
    /// The address it is reached at [default: the one this program is seen at]
    #[arg(long, value_name = "IP")]
    address: Option<IpAddr>,
    /// The machine it runs on, where that is another one (deployers only)
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// How long it stays registered when this program is gone without a word
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = time::duration)]
    ttl: Duration,
    /// Find out whether it answers, and tell
    #[arg(long, value_name = "HOW", requires = "ports")]
    health: Option<Probe>,
    /// What to run meanwhile
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// How a service is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Probe {
    /// By a connection to its first port, every five seconds
    Tcp,
}

const EXAMPLES: &str = "\
Examples:
  harness registry publish shop:search --port 9200
  harness registry publish shop:search --port http=9200 --health tcp -- ./search
  harness --context build.lan registry publish shop:cache --port redis=6379 --address 10.0.0.7";

pub(super) async fn run(args: PublishArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client(AutoStart::WhenActive).await?;
    // Before anything is registered: from here on it is withdrawn, whatever ends this program in order.
    let mut interrupts = Interrupts::with_hangup().map_err(Failure::io("listen for signals"))?;
    let service = RegistryPublishParams {
        ttl_ms: u64::try_from(args.ttl.as_millis()).unwrap_or(u64::MAX),
        endpoints: args.ports.clone(),
        health: match args.health {
            Some(_) => Health::Running,
            None => Health::Ready,
        },
        ip: args.address,
        host: args.host.clone(),
        ..RegistryPublishParams::new(args.name.clone(), 0)
    };
    let registration = client.register(service).await;
    let registration = registration.map_err(RegistryFailure::from)?;
    context.tell(&format!(
        "`{}` is registered, as run {}",
        registration.name(),
        registration.incarnation()
    ));
    let outcome = attend(&args, &registration, &mut interrupts, context).await;
    if let Err(error) = registration.close().await
        && outcome.is_ok()
    {
        return Err(RegistryFailure::from(error).into());
    }
    outcome
}

/// Waits for what ends it.
async fn attend(
    args: &PublishArgs,
    registration: &Registration,
    interrupts: &mut Interrupts,
    context: &Context,
) -> Result<(), Failure> {
    let Some((program, arguments)) = args.command.split_first() else {
        let work = until_interrupted(interrupts, registration);
        return future::or(work, probe(args, registration)).await;
    };
    match Command::new(program).args(arguments).spawn() {
        Ok(child) => {
            let work = beside(child, interrupts, registration, context);
            future::or(work, probe(args, registration)).await
        }
        Err(source) => {
            let program = program.clone();
            Err(RegistryFailure::Command { program, source }.into())
        }
    }
}

async fn until_interrupted(
    interrupts: &mut Interrupts,
    registration: &Registration,
) -> Result<(), Failure> {
    let interrupted = async {
        interrupts.next().await;
        Ok(())
    };
    let ended = async { Err(RegistryFailure::from(registration.ended().await).into()) };
    future::or(interrupted, ended).await
}

/// Waits for the end of the command. What ends this program is passed on to it.
async fn beside(
    mut child: Child,
    interrupts: &mut Interrupts,
    registration: &Registration,
    context: &Context,
) -> Result<(), Failure> {
    enum Event {
        Ended(std::io::Result<ExitStatus>),
        Interrupted(Interrupt),
    }
    // Not waited for yet, so that the number is still its own.
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let handle = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    let refused = async {
        let error = RegistryFailure::from(registration.ended().await);
        context.tell(&format!(
            "`{}` is not registered any longer, and runs on: {error}",
            registration.name()
        ));
        future::pending().await
    };
    let attend = async {
        loop {
            let ended = async { Event::Ended(child.status().await) };
            let interrupted = async { Event::Interrupted(interrupts.next().await) };
            match future::or(ended, interrupted).await {
                Event::Ended(status) => {
                    return status.map_err(Failure::io("wait for the command"));
                }
                // The terminal tells the command itself.
                Event::Interrupted(Interrupt::Int) => {}
                Event::Interrupted(by @ (Interrupt::Term | Interrupt::Hangup)) => {
                    let signal = match by {
                        Interrupt::Hangup => Signal::HUP,
                        Interrupt::Int | Interrupt::Term => Signal::TERM,
                    };
                    if let Some(handle) = &handle {
                        // One that has ended meanwhile needs no signal.
                        let _ended = pidfd_send_signal(handle, signal);
                    }
                }
            }
        }
    };
    let status = future::or(attend, refused).await?;
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    match code.and_then(|code| u8::try_from(code).ok()) {
        Some(0) => Ok(()),
        Some(exit_code) => Err(Failure::Ended { exit_code }),
        None => Err(Failure::Ended { exit_code: 1 }),
    }
}

/// Tells for ever whether the service answers, if that is wanted.
async fn probe<T>(args: &PublishArgs, registration: &Registration) -> T {
    let (Some(Probe::Tcp), Some(first)) = (args.health, args.ports.first()) else {
        return future::pending().await;
    };
    let own = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let address = args.address.filter(|ip| !ip.is_unspecified());
    let address = SocketAddr::new(address.unwrap_or(own), first.port);
    let mut was = Health::Running;
    loop {
        let connected = async { TcpStream::connect(address).await.is_ok() };
        let too_late = async {
            Timer::after(PROBE_TIMEOUT).await;
            false
        };
        let is = match (future::or(connected, too_late).await, was) {
            (true, _) => Health::Ready,
            // It may still be on its way up.
            (false, Health::Running) => Health::Running,
            (false, _) => Health::Unhealthy,
        };
        if is != was {
            registration.set_health(is);
            was = is;
        }
        Timer::after(match is {
            Health::Running => PROBE_SOON,
            Health::Ready | Health::Unhealthy => PROBE_EVERY,
        })
        .await;
    }
}

/// A port: `9200`, or `http=9200`.
fn port(text: &str) -> Result<PublishEndpoint, String> {
    let (name, number) = match text.split_once('=') {
        Some((name, number)) => {
            let name = UnitName::new(name).map_err(|error| error.to_string())?;
            (Some(name), number)
        }
        None => (None, text),
    };
    match number.parse() {
        Ok(port) if port > 0 => Ok(PublishEndpoint {
            port,
            name,
            scheme: None,
        }),
        Ok(_) | Err(_) => Err("a port is a number from 1 to 65535, or NAME=PORT".to_owned()),
    }
}

const PROBE_EVERY: Duration = Duration::from_secs(5);
/// While it has not answered yet.
const PROBE_SOON: Duration = Duration::from_millis(500);
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
