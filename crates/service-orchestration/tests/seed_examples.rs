//! The code of the founding documents: it compiles as it stands there, and what can be run is run.
//!
//! Between `// begin` and `// end` nothing may be changed: it is what people have read. One crate had another name then.
#![allow(
    unused_variables,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the code is that of the documents, unchanged"
)]

use std::error::Error;
use std::future::Future;

use service_orchestration as orchestrator;
use service_orchestration::supervisor::{ApplyError, OrderError};
use service_orchestration::{RunningService, ServiceConfig, ServiceTarget, StartError};
use testkit::run_everywhere;

type Outcome = Result<(), Box<dyn Error>>;

fn everywhere<F: Future<Output = Outcome>>(body: impl Fn() -> F) {
    run_everywhere(|| async { body().await.expect("the example runs") });
}

/// A service that runs the fixture.
fn fixture(name: &str, arguments: &[&str], dependencies: &[&str]) -> ServiceConfig {
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    ServiceConfig {
        name: name.to_owned(),
        target: ServiceTarget::Process {
            binary: testkit::fixture_path().display().to_string(),
            args: words(arguments),
            env: std::collections::HashMap::new(),
            working_dir: None,
        },
        dependencies: words(dependencies),
        health_check: None,
    }
}

mod manager {
    use super::*;

    // begin
    use service_orchestration::{ServiceConfig, ServiceManager};
    // end

    pub(super) async fn example(config: ServiceConfig) -> Outcome {
        // begin
        let manager = ServiceManager::new().await?;

        // Start a service
        let running_service = manager.start_service("my-service", config).await?;

        // Check service status
        let status = manager.get_service_status("my-service").await?;

        // Stop a service
        manager.stop_service("my-service").await?;

        // List all active services
        let services = manager.list_services().await?;
        // end
        assert_eq!(status.pid, running_service.pid);
        assert_eq!(running_service.name, "my-service");
        let network = running_service.network_info.expect("it is on this machine");
        assert!(network.ip.is_loopback());
        assert!(!testkit::alive(running_service.pid.expect("it ran")));
        assert_eq!(services[0].state, "idle");
        Ok(())
    }
}

#[test]
fn a_manager_starts_tells_and_stops() {
    everywhere(|| manager::example(fixture("my-service", &["hold"], &[])));
}

mod executor {
    use super::*;

    // begin
    use service_orchestration::{ProcessExecutor, ServiceExecutor};
    // end

    pub(super) async fn example(config: ServiceConfig) -> Outcome {
        // begin
        let executor = ProcessExecutor::new();
        let running_service = executor.start(config).await?;
        let event_stream = executor.stream_events(&running_service).await?;
        // end
        drop(event_stream);
        executor.stop(&running_service).await?;
        super::events::example(&executor, fixture("talker", &["lines", "3"], &[])).await?;
        Ok(())
    }
}

#[test]
fn an_executor_starts_and_streams() {
    everywhere(|| executor::example(fixture("my-service", &["hold"], &[])));
}

mod events {
    use super::*;

    // begin
    use command_executor::event::{ProcessEvent, ProcessEventType};
    use futures::StreamExt;
    use service_orchestration::ServiceExecutor;
    // end

    pub(super) async fn example(executor: &impl ServiceExecutor, config: ServiceConfig) -> Outcome {
        // begin
        // Start a service
        let service = executor.start(config).await?;

        // Stream events from the service
        let mut event_stream = executor.stream_events(&service).await?;

        while let Some(event) = event_stream.next().await {
            match event.event_type {
                ProcessEventType::Stdout => {
                    println!("[{}] {}", service.name, event.data);
                }
                ProcessEventType::Stderr => {
                    eprintln!("[{}] ERROR: {}", service.name, event.data);
                }
                ProcessEventType::Exit => {
                    println!(
                        "[{}] Process exited with code: {}",
                        service.name, event.data
                    );
                    break;
                }
                _ => {} // Handle other event types as needed
            }
        }
        // end
        let again: Vec<ProcessEvent> = executor.stream_events(&service).await?.collect().await;
        assert_eq!(again.len(), 5, "Started, three lines, Exit");
        Ok(())
    }
}

mod usage {
    // begin
    use service_orchestration::{ServiceConfig, ServiceManager, ServiceTarget};
    use std::collections::HashMap;
    // end

    pub(super) async fn example() -> super::Outcome {
        // begin
        // Create service manager
        let manager = ServiceManager::new().await?;

        // Define a service configuration
        let config = ServiceConfig {
            name: "my-service".to_string(),
            target: ServiceTarget::Process {
                binary: "my-app".to_string(),
                args: vec!["--port".to_string(), "8080".to_string()],
                env: HashMap::new(),
                working_dir: None,
            },
            dependencies: vec![],
            health_check: None,
        };

        // Start the service
        let running_service = manager.start_service("my-service", config).await?;

        // Check status
        let status = manager.get_service_status("my-service").await?;
        // end
        Ok(())
    }
}

#[test]
fn a_program_that_is_not_there_is_named() {
    run_everywhere(|| async {
        let refused = usage::example()
            .await
            .expect_err("there is no such program");
        assert!(refused.to_string().contains("my-app"), "{refused}");
    });
}

mod readme {
    // begin
    use orchestrator::{HealthCheck, ServiceConfig, ServiceManager, ServiceTarget};
    use std::collections::HashMap;
    // end
    use super::orchestrator;

    // begin
    #[tokio::main]
    pub(super) async fn main() -> Result<(), Box<dyn std::error::Error>> {
        // Create service manager
        let manager = ServiceManager::new().await?;

        // Define a local process service
        let service = ServiceConfig {
            name: "my-api".to_string(),
            target: ServiceTarget::Process {
                binary: "./target/release/api-server".to_string(),
                args: vec!["--port".to_string(), "8080".to_string()],
                env: HashMap::from([("LOG_LEVEL".to_string(), "info".to_string())]),
                working_dir: None,
            },
            dependencies: vec!["database".to_string()],
            health_check: Some(HealthCheck {
                command: "curl".to_string(),
                args: vec!["-f".to_string(), "http://localhost:8080/health".to_string()],
                interval: 30,
                retries: 3,
                timeout: 10,
            }),
        };

        // Start the service
        manager.start_service("my-api", service).await?;

        // Check service status
        let status = manager.get_service_status("my-api").await?;
        println!("Service status: {:?}", status);

        Ok(())
    }
    // end

    pub(super) fn docker_service() -> ServiceConfig {
        // begin
        let docker_service = ServiceConfig {
            name: "postgres".to_string(),
            target: ServiceTarget::Docker {
                image: "postgres:15".to_string(),
                env: HashMap::from([("POSTGRES_PASSWORD".to_string(), "secret".to_string())]),
                ports: vec![5432],
                volumes: vec!["/data/postgres:/var/lib/postgresql/data".to_string()],
            },
            dependencies: vec![],
            health_check: Some(HealthCheck {
                command: "pg_isready".to_string(),
                args: vec![],
                interval: 10,
                retries: 5,
                timeout: 5,
            }),
        };
        // end
        docker_service
    }

    /// The same service, with a program that is there.
    pub(super) fn with_a_real_program(check: &str) -> ServiceConfig {
        ServiceConfig {
            health_check: Some(HealthCheck {
                command: "sh".to_string(),
                args: vec!["-c".to_string(), check.to_string()],
                interval: 30,
                retries: 3,
                timeout: 10,
            }),
            ..super::fixture("my-api", &["hold"], &["database"])
        }
    }
}

#[test]
fn a_dependency_that_nobody_knows_is_named_at_once() {
    let refused = readme::main().expect_err("`database` was never started");
    let refused = refused
        .downcast::<StartError>()
        .expect("the start was refused");
    let StartError::Definition(ApplyError::UnknownDependency { unit, dependency }) = *refused
    else {
        panic!("{refused:?}")
    };
    assert_eq!((unit.as_str(), dependency.as_str()), ("my-api", "database"));
}

#[test]
fn a_known_dependency_is_started_first_and_the_health_is_told() {
    everywhere(|| async {
        let manager = orchestrator::ServiceManager::new().await?;
        manager
            .start_service("database", fixture("database", &["hold"], &[]))
            .await?;
        manager.stop_service("database").await?;
        let api = readme::with_a_real_program("exit 0");
        let running: RunningService = manager.start_service("my-api", api).await?;
        assert!(format!("{running:?}").contains("my-api"));
        let database = manager.get_service_status("database").await?;
        assert!(
            database.pid.is_some_and(testkit::alive),
            "it was started again"
        );
        testkit::eventually_async(
            std::time::Duration::from_secs(30),
            "it is healthy",
            async || {
                let status = manager
                    .get_service_status("my-api")
                    .await
                    .expect("it is known");
                status.ready
            },
        )
        .await;
        let needed = manager.stop_service("database").await;
        assert!(
            matches!(needed, Err(OrderError::Needed { .. })),
            "{needed:?}"
        );
        manager.shutdown(false).await;
        Ok(())
    });
}

#[test]
fn a_target_that_cannot_be_run_yet_is_refused_and_not_ignored() {
    everywhere(|| async {
        let manager = orchestrator::ServiceManager::new().await?;
        let remote = ServiceConfig {
            target: ServiceTarget::RemoteLan {
                host: "elsewhere".to_string(),
                user: "nobody".to_string(),
                binary: "postgres".to_string(),
                args: vec![],
            },
            ..readme::docker_service()
        };
        let refused = manager.start_service("postgres", remote).await;
        let Err(StartError::Order(OrderError::Unsupported { unit, .. })) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(unit, "postgres");
        Ok(())
    });
}

/// The example as it stands, but for where its data lie: that is nobody's path to write to.
#[cfg(feature = "docker-tests")]
#[test]
fn the_container_of_the_examples_runs() {
    everywhere(|| async {
        let manager = orchestrator::ServiceManager::new().await?;
        let mut postgres = readme::docker_service();
        let ServiceTarget::Docker { volumes, .. } = &mut postgres.target else {
            panic!("a container")
        };
        let data = tempfile::tempdir()?;
        *volumes = vec![format!(
            "{}:/var/lib/postgresql/data",
            data.path().display()
        )];
        let running = manager.start_service("postgres", postgres).await?;
        assert!(running.container_id.is_some());
        let network = running.network_info.clone().expect("it has a port");
        assert!(network.ports.contains_key("5432"), "{network:?}");
        manager.shutdown(false).await;
        Ok(())
    });
}

#[path = "../examples/embed.rs"]
#[allow(dead_code, reason = "an example, of which its `main` is not called")]
mod embed;

#[test]
fn the_example_for_embedders_runs() {
    everywhere(embed::run);
}
