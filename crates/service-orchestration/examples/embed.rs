//! Keeps services from inside a program of your own: `cargo run -p service-orchestration --example embed`.

use std::collections::HashMap;
use std::error::Error;

use futures_lite::StreamExt;
use service_orchestration::{ServiceConfig, ServiceManager, ServiceTarget};

fn main() -> Result<(), Box<dyn Error>> {
    // Lets this very program be the shim that stands beside each service.
    service_shim::run_if_asked();
    smol::block_on(run())
}

pub(crate) async fn run() -> Result<(), Box<dyn Error>> {
    let manager = ServiceManager::new().await?;
    let database = shell("database", &[], "echo open; exec sleep 1000");
    manager.start_service("database", database).await?;
    let worker = shell("worker", &["database"], "echo working; echo done");
    let worker = manager.start_service("worker", worker).await?;
    let mut events = manager.stream_events(&worker).await?;
    while let Some(event) = events.next().await {
        println!("worker: {:?} {}", event.event_type, event.data);
    }
    for service in manager.list_services().await? {
        println!("{} is {}", service.name, service.state);
    }
    manager.shutdown(false).await;
    Ok(())
}

fn shell(name: &str, needs: &[&str], script: &str) -> ServiceConfig {
    ServiceConfig {
        name: name.to_owned(),
        target: ServiceTarget::Process {
            binary: "sh".to_owned(),
            args: vec!["-c".to_owned(), script.to_owned()],
            env: HashMap::new(),
            working_dir: None,
        },
        dependencies: needs.iter().map(|&need| need.to_owned()).collect(),
        health_check: None,
    }
}
