//! What must not be lost or left when a shim is killed at a bad moment.

use std::time::Duration;

use command_executor::raise_open_files;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use service_shim::{ProcessRef, Signal};
use testkit::eventually;

use super::{Place, WithStdin, embedded, exit_of, kill_shim, shim_of, start};

/// The shim does not come to it any more, the service has ended, and nobody but its owner has the pipes open.
pub(super) async fn output_outlives_shim_and_service() {
    let place = Place::new();
    let script = "echo up; read x; echo its last words; exec sleep 1000";
    let mut process = start(place.script(script).with_stdin(), &embedded().into()).await;
    place.wait_for(b"up\n").await;
    let input = process.control();
    let service = ProcessRef::open(process.identity())
        .expect("procfs")
        .expect("it runs");
    let shim = shim_of(process.run_dir()).await;
    // The input is in the pipe before the shim can no longer write it.
    input.write_stdin(b"go\n").await.expect("it reads");
    shim.signal(Signal::STOP).expect("own");
    let comm = format!("/proc/{}/comm", process.pid());
    eventually(LIMIT, "it has said all", || {
        std::fs::read_to_string(&comm).is_ok_and(|name| name.trim() == "sleep")
    })
    .await;
    service.signal(Signal::KILL).expect("own");
    eventually(LIMIT, "it has ended", || !service.identity().is_alive()).await;
    shim.signal(Signal::KILL).expect("own");
    exit_of(&mut process).await;
    assert_eq!(
        String::from_utf8_lossy(&place.output()),
        "up\nits last words\n"
    );
}

/// An order to end brings up another shim, of which whoever watches the service never hears.
pub(super) async fn a_successor_for_an_order_is_no_zombie() {
    let place = Place::new();
    let script = "trap '' TERM; echo up; while :; do sleep 0.1; done";
    let process = start(place.script(script), &embedded().into()).await;
    place.wait_for(b"up\n").await;
    kill_shim(process.run_dir()).await;
    process
        .control()
        .stop(super::stop(300))
        .await
        .expect("a new shim takes it");
    // It goes on until the grace is over.
    let successor = shim_of(process.run_dir()).await;
    let successor = format!("/proc/{}", successor.identity().pid);
    let is_gone = || !std::path::Path::new(&successor).exists();
    eventually(LIMIT, "the successor was waited for", is_gone).await;
}

/// A process of its own: the limit belongs to all of its tests.
pub(super) async fn services_begin_with_the_limit_we_began_with() {
    let hard = getrlimit(Resource::Nofile).maximum;
    let low = Rlimit {
        current: Some(200),
        maximum: hard,
    };
    setrlimit(Resource::Nofile, low).expect("lower is always allowed");
    assert_eq!(raise_open_files(), hard);
    let place = Place::new();
    let mut process = start(place.script("ulimit -S -n"), &embedded().into()).await;
    exit_of(&mut process).await;
    assert_eq!(place.output(), b"200\n");
}

const LIMIT: Duration = Duration::from_secs(20);
