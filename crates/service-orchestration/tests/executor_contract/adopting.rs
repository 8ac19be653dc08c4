//! What is found again by an executor that is new: as after a restart of the program that launched it.

use service_orchestration::executors::{Adoption, LaunchOrder, RunningAttempt};
use service_orchestration::logs::LogStream;
use testkit::{eventually, within};

use crate::ground::*;

pub(crate) async fn a_service_is_found_again_by_the_same_pid(ground: &dyn Ground) {
    let order = fixture(ground, &["hold"]);
    let first = launch(ground, order.clone()).await;
    let pid = pid_of(&*first);
    drop(first);
    assert!(ground.is_alive(pid), "letting go of it leaves it running");
    let mut again = alive(adopt(ground, &order).await);
    assert_eq!(pid_of(&*again), pid);
    let stop = politely(15, SOON);
    again.control().stop(&stop).await.expect("it runs");
    assert_eq!(plain(&end_of(&mut *again).await), ground.by_signal(15));
    assert!(!ground.is_alive(pid));
}

pub(crate) async fn an_end_that_nobody_watched_is_known(ground: &dyn Ground) {
    let order = fixture(ground, &["exit", "9", "20"]);
    let attempt = launch(ground, order.clone()).await;
    // It may have ended before anybody looked.
    let pid = attempt.facts().pid;
    drop(attempt);
    let has_ended = || pid.is_none_or(|pid| !ground.is_alive(pid));
    eventually(SOON, "it ends", has_ended).await;
    // Its end may be taken down only just now.
    let exit = match adopt(ground, &order).await {
        Adoption::Ended(exit) => exit,
        Adoption::Alive(mut ending) => end_of(&mut *ending).await,
        Adoption::NeverBegan => panic!("it ran"),
    };
    assert_eq!(plain(&exit), code(9));
    match adopt(ground, &order).await {
        Adoption::Ended(exit) => assert_eq!(plain(&exit), code(9), "asked again"),
        Adoption::Alive(_) | Adoption::NeverBegan => panic!("it has ended"),
    }
}

pub(crate) async fn what_was_said_meanwhile_is_in_the_log(ground: &dyn Ground) {
    let order = fixture(ground, &["lines", "200", "--rate", "1000", "--both"]);
    drop(launch(ground, order.clone()).await);
    if let Adoption::Alive(mut again) = adopt(ground, &order).await {
        end_of(&mut *again).await;
    }
    for (stream, name) in [(LogStream::Stdout, "stdout"), (LogStream::Stderr, "stderr")] {
        let written = written(ground, stream).await;
        testkit::lines::check_lines(&written, name, 200).expect("none lost, none doubled");
    }
}

pub(crate) async fn what_was_never_launched_has_not_begun_or_ended_unknown(ground: &dyn Ground) {
    match adopt(ground, &fixture(ground, &["hold"])).await {
        Adoption::NeverBegan => {}
        Adoption::Ended(exit) => assert_eq!(plain(&exit), (None, None, true)),
        Adoption::Alive(_) => panic!("it was never launched"),
    }
}

pub(crate) async fn what_has_ended_can_be_forgotten(ground: &dyn Ground) {
    let order = fixture(ground, &["exit", "0"]);
    let mut attempt = launch(ground, order.clone()).await;
    let executor = ground.executor();
    end_of(&mut *attempt).await;
    assert!(executor.known().await.contains(&order.instance_id));
    executor.forget(&order.instance_id).await;
    assert!(executor.known().await.is_empty());
    executor.forget(&order.instance_id).await;
}

async fn adopt(ground: &dyn Ground, order: &LaunchOrder) -> Adoption {
    let executor = ground.executor();
    let adopting = executor.adopt(ticket(order));
    let found = within(SOON, "the adoption", adopting).await;
    found.expect("what became of it can be found out")
}

fn alive(adoption: Adoption) -> Box<dyn RunningAttempt> {
    match adoption {
        Adoption::Alive(attempt) => attempt,
        ended @ (Adoption::Ended(_) | Adoption::NeverBegan) => {
            panic!("it should run: {ended:?}")
        }
    }
}
