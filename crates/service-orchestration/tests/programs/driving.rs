//! Who drives a manager: its own thread, or an executor of whoever embeds it.

use std::time::Duration;

use service_orchestration::ServiceManager;
use service_orchestration::model::Goal;
use testkit::within;

use crate::place::*;

/// One service up and down again.
async fn a_round(manager: ServiceManager) {
    manager.adopted().await;
    up(&manager, [service("db", &["hold"])]).await;
    reach(&manager, &[], Goal::Ready).await;
    let pid = pid(&manager, "db").await;
    down(manager).await;
    assert!(!testkit::alive(pid));
}

#[test]
fn smol_drives_it() {
    smol::block_on(async {
        let place = Place::new();
        let (manager, driver) = place.builder().build().await.expect("a fresh state");
        let driving = smol::spawn(driver.run());
        a_round(manager).await;
        within(SOON, "the end of the driver", driving).await;
    });
}

#[test]
fn tokio_drives_it() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.build().expect("a runtime").block_on(async {
        let place = Place::new();
        let (manager, driver) = place.builder().build().await.expect("a fresh state");
        let driving = tokio::spawn(driver.run());
        a_round(manager).await;
        within(SOON, "the end of the driver", driving)
            .await
            .expect("it does not panic");
    });
}

#[test]
fn a_plain_executor_drives_it() {
    futures::executor::block_on(async {
        let place = Place::new();
        let (manager, driver) = place.builder().build().await.expect("a fresh state");
        futures::join!(driver.run(), a_round(manager));
    });
}

#[test]
fn more_threads_may_help() {
    let place = Place::new();
    let (manager, driver) = smol::block_on(place.builder().build()).expect("a fresh state");
    let (done, is_done) = async_channel::bounded::<()>(1);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (executor, is_done) = (driver.executor().clone(), is_done.clone());
            scope.spawn(move || {
                smol::block_on(executor.run(async { is_done.recv().await.is_err() }))
            });
        }
        smol::block_on(async {
            let round = within(Duration::from_secs(30), "a round", a_round(manager));
            futures::join!(driver.run(), round);
        });
        drop(done);
    });
}
