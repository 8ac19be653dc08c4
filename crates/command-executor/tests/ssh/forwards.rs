//! Options of the layer: forwarded ports, an agent, a terminal.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command as Native, Stdio};

use command_executor::event::ProcessEventType;
use command_executor::ssh::SshForward;
use command_executor::{Exit, Target};
use futures_lite::StreamExt;
use futures_lite::future::block_on;
use testkit::{eventually_blocking, free_port, within};

use crate::common::SOON;
use crate::place::{Place, sh, through};

fn local(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

#[test]
fn a_local_forward_leads_there_as_long_as_the_command() {
    let place = Place::shared();
    let open = place.near();
    let port = free_port();
    let forward = SshForward::new(local(port), "127.0.0.1", 22).expect("a host");
    let handle = block_on(async {
        let layer = open.layer().with_local_forward(forward);
        let (mut events, handle) = through(layer)
            .launch(&Target::Command, sh("echo up; sleep 1000"))
            .await
            .expect("it runs");
        while let Some(event) = within(SOON, "it is up", events.next()).await {
            if event.event_type == ProcessEventType::Stdout {
                break;
            }
        }
        handle
    });
    let mut stream = TcpStream::connect(local(port)).expect("it is forwarded");
    let mut banner = [0; 4];
    stream.read_exact(&mut banner).expect("sshd speaks first");
    assert_eq!(&banner, b"SSH-");
    drop(stream);
    drop(handle);
    eventually_blocking(SOON, "nothing is forwarded any more", || {
        TcpStream::connect(local(port)).is_err()
    });
}

#[test]
fn a_remote_forward_leads_here() {
    let place = Place::shared();
    let open = place.near();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let here = listener.local_addr().expect("bound").port();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody comes");
        stream.write_all(b"from here\n").expect("written");
    });
    let there = local(free_port());
    let forward = SshForward::new(there, "127.0.0.1", here).expect("a host");
    let ask = format!(
        "bash -c 'exec 3<>/dev/tcp/127.0.0.1/{}; cat <&3'",
        there.port()
    );
    let executor = through(open.layer().with_remote_forward(forward));
    let completed = block_on(executor.execute(&Target::Command, sh(&ask))).expect("it runs");
    assert_eq!(String::from_utf8_lossy(&completed.stdout), "from here\n");
    answering.join().expect("it answered");
}

#[test]
fn a_terminal_is_one_and_nothing_is_forwarded_unasked() {
    let place = Place::shared();
    let open = place.near();
    let tell = "tty >/dev/null && echo terminal || echo none; echo ${SSH_AUTH_SOCK-no agent}";
    assert_eq!(open.sh(tell), "none\nno agent");
    let executor = through(open.layer().with_tty(true));
    let completed = block_on(executor.execute(&Target::Command, sh(tell))).expect("it runs");
    let said = String::from_utf8_lossy(&completed.stdout).into_owned();
    assert_eq!(
        said.replace('\r', ""),
        "terminal\nno agent\n",
        "{completed:?}"
    );
}

#[test]
fn an_agent_is_lent_where_it_is_asked_for() {
    let place = Place::shared();
    let open = place.near();
    let directory = testkit::temp_dir();
    let socket = directory.path().join("agent");
    let mut agent = Native::new("ssh-agent")
        .args(["-D", "-a"])
        .arg(&socket)
        .stdout(Stdio::null())
        .spawn()
        .expect("OpenSSH has one");
    eventually_blocking(SOON, "it listens", || socket.exists());
    // The variable is this process's, and the layer passes on what the client inherits: so the outermost place sets it.
    let launcher = command_executor::LayeredLauncher::new(command_executor::LocalLauncher::new())
        .with_layer(command_executor::LocalLayer::new().with_env("SSH_AUTH_SOCK", &socket))
        .with_layer(open.layer().with_agent_forwarding(true));
    let executor = command_executor::Executor::new(launcher);
    let ask = sh("ssh-add -l");
    let completed = block_on(executor.execute(&Target::Command, ask)).expect("it runs");
    assert_eq!(completed.exit, Exit::Code(1), "{completed:?}");
    assert_eq!(
        String::from_utf8_lossy(&completed.stdout),
        "The agent has no identities.\n"
    );
    agent.kill().expect("it is ours");
    agent.wait().expect("it ends");
}
