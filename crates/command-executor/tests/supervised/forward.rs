//! The forwarder as a supervised service.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use command_executor::supervised::{SupervisedEvent, SupervisedLaunch, SupervisedProcess};

use crate::{Place, adopted, embedded, exit_of, start, stop};

/// The first argument that makes this program a starter which dies as if it were killed.
const STARTER: &str = "--launch-forwarder-and-die";

/// `STARTER DIR INSTANCE LISTEN TO`: launches, and is gone without having let go of anything.
pub(crate) fn launch_and_die_if_asked() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, dir, instance_id, listen, to] = args.as_slice()
        && flag == STARTER
    {
        let address = |text: &String| text.parse().expect("an address");
        let mut order = order(&Place::in_dir(dir), address(listen), address(to));
        instance_id.clone_into(&mut order.instance_id);
        smol::block_on(async {
            let _process = start(order, &embedded().into()).await;
            let own = rustix::process::getpid();
            rustix::process::kill_process(own, rustix::process::Signal::KILL).expect("own");
        });
    }
}

pub(crate) async fn outlives_its_starter() {
    let place = Place::new();
    let (target, listen) = target();
    let to = target.local_addr().expect("bound");
    let order = order(&place, listen, to);
    let starter = Command::new(std::env::current_exe().expect("procfs"))
        .arg(STARTER)
        .arg(&place.dir)
        .arg(&order.instance_id)
        .args([listen.to_string(), to.to_string()])
        .status()
        .expect("this program");
    assert!(!starter.success());
    let mut process = adopted(&order.run_dir(), &embedded().into()).await;
    ready(&mut process).await;
    assert_eq!(carried(listen, &target), *b"through");
    let program = Path::new("/proc").join(process.pid().to_string());
    assert!(program.exists());
    process.control().stop(stop(5000)).await.expect("alive");
    let exit = exit_of(&mut process).await;
    assert_eq!(exit.signal, Some(service_shim::Signal::TERM));
    assert!(TcpStream::connect(listen).is_err());
}

pub(crate) async fn says_why() {
    let place = Place::new();
    let (target, listen) = target();
    let _taken = TcpListener::bind(listen).expect("its port is ours");
    let order = order(&place, listen, target.local_addr().expect("bound"));
    let mut process = start(order, &embedded().into()).await;
    assert_eq!(exit_of(&mut process).await.code, Some(73));
    let said = String::from_utf8_lossy(&place.output()).into_owned();
    assert!(said.starts_with(&format!("{listen} is in use: ")), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

pub(crate) fn order(place: &Place, listen: SocketAddr, to: SocketAddr) -> SupervisedLaunch {
    let (program, args): (PathBuf, _) = embedded().forwarder(listen, to).expect("a program");
    let mut order = place.program("");
    order.program = program.into_os_string();
    order.args = args;
    order.notify = true;
    order
}

/// A listener on 127.0.0.1, and the address with its port on 127.0.0.2.
pub(crate) fn target() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    (listener, SocketAddr::from(([127, 0, 0, 2], port)))
}

pub(crate) async fn ready(process: &mut SupervisedProcess) {
    loop {
        match process.next_event().await {
            SupervisedEvent::Notify(state) if state.ready => return,
            SupervisedEvent::Exited(exit) => panic!("{exit:?}"),
            _ => {}
        }
    }
}

/// What arrives of a word that is said to the forwarder.
fn carried(listen: SocketAddr, target: &TcpListener) -> [u8; 7] {
    let mut client = TcpStream::connect(listen).expect("it listens");
    client.write_all(b"through").expect("connected");
    let (mut served, _) = target.accept().expect("it is carried");
    let mut word = [0u8; 7];
    served.read_exact(&mut word).expect("carried");
    word
}
