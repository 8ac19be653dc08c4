//! An engine, names of one's own, and cleaning up.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use container_engine::{
    ContainerConfig, ContainerId, Discovery, Engine, EngineError, Filters, LogRecord, LogsQuery,
};
use futures::{FutureExt, StreamExt};

pub(crate) const IMAGE: &str = "harness-test/busybox";

/// What this test has made bears this label; the value is its own.
pub(crate) const LABEL: &str = "org.harness.container-engine-test";

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) run: String,
}

impl World {
    /// A name that nobody else has.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.run)
    }

    /// A container of busybox that runs this line.
    pub(crate) fn shell(&self, line: &str) -> ContainerConfig {
        ContainerConfig {
            image: IMAGE.to_owned(),
            // Its entry point is left out of the way.
            entrypoint: Some(["/bin/sh", "-c", line].map(str::to_owned).into()),
            labels: self.labels(),
            ..ContainerConfig::default()
        }
    }

    /// What everything that a test makes has to bear: its own, and the one of the whole run of tests.
    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::from([(LABEL.to_owned(), self.run.clone())]);
        if let Ok(run) = std::env::var("HARNESS_TEST_RUN") {
            labels.insert("harness-test.run".to_owned(), run);
        }
        labels
    }

    pub(crate) async fn create(&self, name: &str, config: &ContainerConfig) -> ContainerId {
        self.engine.create(&self.name(name), config).await.unwrap()
    }

    pub(crate) async fn started(&self, name: &str, config: &ContainerConfig) -> ContainerId {
        let id = self.create(name, config).await;
        self.engine.start(&id).await.unwrap();
        id
    }

    pub(crate) fn mine(&self) -> Filters {
        Filters::all().label(LABEL, &self.run)
    }

    pub(crate) async fn logs(&self, id: &ContainerId, query: &LogsQuery) -> Vec<LogRecord> {
        let stream = self.engine.logs(id, query).await.unwrap();
        let records: Vec<_> = stream.collect().await;
        records.into_iter().map(Result::unwrap).collect()
    }

    async fn clean_up(&self) {
        for container in self.engine.list(&self.mine()).await.unwrap() {
            let removed = self.engine.remove(&container.id, true, true).await;
            assert!(matches!(
                removed,
                Ok(()) | Err(EngineError::NotFound { .. } | EngineError::BeingRemoved { .. })
            ));
        }
        for network in self.engine.networks(&self.mine()).await.unwrap() {
            self.engine.remove_network(&network.id).await.unwrap();
        }
        for volume in self.engine.volumes(&self.mine()).await.unwrap() {
            self.engine.remove_volume(&volume.name).await.unwrap();
        }
    }
}

/// Runs a test with an engine, and removes what it has made, whatever becomes of it.
pub(crate) fn with_engine(test: impl AsyncFnOnce(&World)) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let world = World {
        engine: Engine::discover(&Discovery::from_env()).unwrap(),
        run: format!("engine-test-{}-{number}", process::id()),
    };
    smol::block_on(async {
        let test = AssertUnwindSafe(in_time(test(&world))).catch_unwind().await;
        world.clean_up().await;
        if let Err(panic) = test {
            std::panic::resume_unwind(panic);
        }
    });
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    let too_late = async {
        async_io::Timer::after(Duration::from_secs(60)).await;
        panic!("not done within a minute")
    };
    smol::future::or(work, too_late).await
}

pub(crate) fn text(records: &[LogRecord]) -> String {
    let bytes: Vec<u8> = records.iter().flat_map(|r| r.bytes.to_vec()).collect();
    String::from_utf8(bytes).unwrap()
}
