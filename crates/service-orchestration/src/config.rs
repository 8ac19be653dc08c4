//! The small description of a service that embedders write.
//!
//! Owns: [`ServiceConfig`] and its parts. Everything richer (several probes, restart policy, gates, replicas, stop
//! policy) lives in [`ServiceSpec`], which a `ServiceConfig` converts into.

use std::collections::HashMap;
use std::time::Duration;

use crate::spec::{
    ContainerTarget, Dependency, Mount, MountError, NameError, Origin, PackageTarget, PortNumber,
    PortSpec, Probe, ProbeAction, ProcessTarget, Published, RemoteRun, RemoteTarget, ServiceSpec,
    TargetSpec, Template, UnitKind, UnitName,
};

/// A service: where it runs, what it needs, how its health is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceConfig {
    /// Its name.
    pub name: String,
    /// Where it runs.
    pub target: ServiceTarget,
    /// The names of the services it needs.
    pub dependencies: Vec<String>,
    /// How its health is checked; without, it is ready as soon as it runs.
    pub health_check: Option<HealthCheck>,
}

/// Where a service runs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServiceTarget {
    /// A program on this machine.
    Process {
        /// The program: a path when it has a slash, else looked up in PATH.
        binary: String,
        /// Its arguments.
        args: Vec<String>,
        /// Added to its environment.
        env: HashMap<String, String>,
        /// Its working directory; that of the host process when absent.
        working_dir: Option<String>,
    },
    /// A container that is created.
    Docker {
        /// The image.
        image: String,
        /// Its environment.
        env: HashMap<String, String>,
        /// The ports it listens on.
        ports: Vec<u16>,
        /// Mounts, in the engine's short form.
        volumes: Vec<String>,
    },
    /// A container that somebody else created.
    DockerAttach {
        /// Its name or id.
        container: String,
    },
    /// A process that somebody else started.
    ProcessAttach {
        /// By its number …
        pid: Option<u32>,
        /// … or by its name, which exactly one process must have.
        process_name: Option<String>,
    },
    /// A program on a host that SSH reaches.
    RemoteLan {
        /// The host.
        host: String,
        /// The user to log in as.
        user: String,
        /// The program there.
        binary: String,
        /// Its arguments.
        args: Vec<String>,
    },
    /// A package on a WireGuard peer.
    Wireguard {
        /// The host.
        host: String,
        /// The user to log in as.
        user: String,
        /// The package.
        package: String,
    },
}

/// A program that exits with 0 when the service is healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// The program.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Seconds from one check to the next.
    pub interval: u64,
    /// Bad answers in a row that make the service unhealthy.
    pub retries: u32,
    /// Seconds that one check may take.
    pub timeout: u64,
}

impl From<&HealthCheck> for Probe {
    fn from(check: &HealthCheck) -> Self {
        let mut command = vec![Template::from(check.command.as_str())];
        command.extend(check.args.iter().map(|arg| Template::from(arg.as_str())));
        Self {
            interval: Duration::from_secs(check.interval.max(1)),
            timeout: Duration::from_secs(check.timeout.max(1)),
            retries: check.retries.max(1),
            ..Self::new(ProbeAction::Command { command })
        }
    }
}

impl ServiceConfig {
    /// The full specification of this service, every policy at its default.
    ///
    /// # Errors
    /// [`ConfigError`] when its name, or that of a dependency, is no legal name, or a mount is none.
    pub fn to_spec(&self) -> Result<ServiceSpec, ConfigError> {
        let name = UnitName::new(self.name.as_str())?;
        let mut spec = ServiceSpec::new(name, UnitKind::Service, self.target.to_spec()?);
        for dependency in &self.dependencies {
            spec.dependencies.push(Dependency {
                unit: UnitName::new(dependency.as_str())?,
                gate: None,
                required: true,
                restart: false,
                origin: Origin::default(),
            });
        }
        if let ServiceTarget::Process { env, .. } | ServiceTarget::Docker { env, .. } = &self.target
        {
            spec.env = env
                .iter()
                .map(|(key, value)| (key.clone(), Template::from(value.as_str())))
                .collect();
        }
        if let ServiceTarget::Docker { ports, .. } = &self.target {
            let published = Some(Published {
                address: None,
                port: PortNumber::Auto,
            });
            let ports = ports.iter().map(|port| PortSpec {
                published,
                ..PortSpec::new(PortNumber::Fixed(*port))
            });
            spec.ports = ports.collect();
        }
        spec.readiness = self.health_check.as_ref().map(Probe::from);
        Ok(spec)
    }
}

/// A small description of a service that cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Its name, or that of something it needs, is no name.
    #[error("the service cannot be named so")]
    Name(#[from] NameError),
    /// A mount cannot be read.
    #[error("the container cannot be made so")]
    Mount(#[from] MountError),
}

impl ServiceTarget {
    fn to_spec(&self) -> Result<TargetSpec, MountError> {
        let templates = |texts: &[String]| {
            texts
                .iter()
                .map(|text| Template::from(text.as_str()))
                .collect::<Vec<_>>()
        };
        Ok(match self {
            Self::Process {
                binary,
                args,
                env: _,
                working_dir,
            } => TargetSpec::Process(ProcessTarget {
                program: Template::from(binary.as_str()),
                args: templates(args),
                working_dir: working_dir.as_deref().map(Template::from),
                user: None,
                group: None,
            }),
            Self::Docker {
                image,
                env: _,
                ports: _,
                volumes,
            } => TargetSpec::Docker(Box::new(ContainerTarget {
                image: Some(Template::from(image.as_str())),
                image_signal: true,
                mounts: volumes
                    .iter()
                    .map(|text| Mount::parse(text))
                    .collect::<Result<_, _>>()?,
                ..ContainerTarget::default()
            })),
            Self::DockerAttach { container } => TargetSpec::DockerAttach {
                host: None,
                container: container.clone(),
            },
            Self::ProcessAttach { pid, process_name } => TargetSpec::ProcessAttach {
                pid: *pid,
                process_name: process_name.clone(),
            },
            Self::RemoteLan {
                host,
                user,
                binary,
                args,
            } => TargetSpec::Remote(RemoteTarget {
                host: host.clone(),
                user: Some(user.clone()),
                port: None,
                ssh_key: None,
                run: RemoteRun::Program(ProcessTarget {
                    program: Template::from(binary.as_str()),
                    args: templates(args),
                    ..ProcessTarget::default()
                }),
            }),
            Self::Wireguard {
                host,
                user,
                package,
            } => TargetSpec::Package(PackageTarget {
                host: host.clone(),
                user: Some(user.clone()),
                package: package.clone(),
                version: None,
                install_path: None,
                wireguard: true,
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_config_becomes_a_whole_specification() {
        let config = ServiceConfig {
            name: "my-api".into(),
            target: ServiceTarget::Process {
                binary: "./api".into(),
                args: vec!["--port".into(), "8080".into()],
                env: HashMap::from([("LOG_LEVEL".into(), "info ${x.y}".into())]),
                working_dir: None,
            },
            dependencies: vec!["database".into()],
            health_check: Some(HealthCheck {
                command: "curl".into(),
                args: vec!["-f".into()],
                interval: 30,
                retries: 3,
                timeout: 10,
            }),
        };
        let spec = config.to_spec().expect("legal names");
        assert_eq!(spec.dependencies[0].unit.as_str(), "database");
        assert_eq!(
            spec.env["LOG_LEVEL"].references().count(),
            0,
            "embedders write values, not templates"
        );
        let probe = spec.readiness.expect("a health check is a readiness probe");
        assert_eq!(probe.interval, Duration::from_secs(30));
    }
}
