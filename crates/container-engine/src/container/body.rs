//! A container's definition in the engine's words.
//!
//! Owns: which key of the API each field becomes. What is at its default is left out, so that the image's or the
//! engine's own holds.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::container::config::{ContainerConfig, NetworkAttachment, NetworkMode, Resources};
use crate::container::parts::{HealthCheck, Mount, MountSource, PublishedPort, Relabel};

/// The body of the request that makes a container.
pub(crate) fn creation(config: &ContainerConfig) -> Value {
    let mut body = Object::default();
    body.set("Image", &config.image);
    body.set_some("Cmd", config.command.as_ref());
    let entrypoint = config.entrypoint.clone().map(|words| {
        // An empty list would be taken for the image's.
        if words.is_empty() {
            vec![String::new()]
        } else {
            words
        }
    });
    body.set_some("Entrypoint", entrypoint);
    body.set_filled("Env", config.environment.lines());
    body.set("Labels", &config.labels);
    body.set_some("User", config.user.as_ref());
    body.set_some("WorkingDir", config.working_dir.as_ref());
    body.set_some("Hostname", config.hostname.as_ref());
    body.set_some("Domainname", config.domainname.as_ref());
    let published = config.published_ports.iter().map(|port| port.container);
    let exposed = config.exposed_ports.iter().copied().chain(published);
    let exposed: Map<_, _> = exposed.map(|port| (port.to_string(), json!({}))).collect();
    body.set_filled("ExposedPorts", exposed);
    body.set_some("StopSignal", config.stop_signal.as_ref());
    body.set_some("StopTimeout", config.stop_timeout.map(whole_seconds));
    body.set_some("Healthcheck", config.healthcheck.as_ref().map(healthcheck));
    body.set_flag("Tty", config.tty);
    body.set_flag("OpenStdin", config.open_stdin);
    // Whoever brings the input says by leaving that it has ended.
    body.set_flag("StdinOnce", config.open_stdin);
    body.set("HostConfig", host(config));
    if let NetworkMode::Networks(networks) = &config.network
        && let Some(first) = networks.first()
    {
        let endpoints = Map::from_iter([(first.network.clone(), endpoint(first))]);
        body.set("NetworkingConfig", json!({ "EndpointsConfig": endpoints }));
    }
    body.into()
}

/// What a container is on a network.
pub(crate) fn endpoint(attachment: &NetworkAttachment) -> Value {
    let mut body = Object::default();
    body.set_filled("Aliases", attachment.aliases.clone());
    let mut addresses = Object::default();
    addresses.set_some("IPv4Address", attachment.ipv4);
    addresses.set_some("IPv6Address", attachment.ipv6);
    body.set_filled("IPAMConfig", addresses.0);
    body.into()
}

fn host(config: &ContainerConfig) -> Value {
    let mut body = Object::default();
    body.set("RestartPolicy", json!({ "Name": "no" }));
    body.set("NetworkMode", network_mode(&config.network));
    body.set_filled("PortBindings", bindings(&config.published_ports));
    let (binds, mounts): (Vec<_>, Vec<_>) = config.mounts.iter().partition(|m| needs_bind(m));
    let (plain, mounts): (Vec<_>, Vec<_>) =
        mounts.into_iter().partition(|m| plain_tmpfs(m).is_some());
    let plain = plain.into_iter().filter_map(plain_tmpfs);
    body.set_filled("Tmpfs", plain.collect::<Map<_, _>>());
    body.set_filled("Binds", binds.into_iter().map(bind).collect::<Vec<_>>());
    body.set_filled("Mounts", mounts.into_iter().map(mount).collect::<Vec<_>>());
    let hosts = config.extra_hosts.iter().map(|(name, address)| {
        let address = address.map(|address| address.to_string());
        format!("{name}:{}", address.as_deref().unwrap_or("host-gateway"))
    });
    body.set_filled("ExtraHosts", hosts.collect::<Vec<_>>());
    body.set_filled("Dns", config.dns.clone());
    body.set_filled("DnsSearch", config.dns_search.clone());
    body.set_filled("DnsOptions", config.dns_options.clone());
    resources(&mut body, &config.resources);
    body.set_filled("GroupAdd", config.group_add.clone());
    body.set_filled("CapAdd", config.cap_add.clone());
    body.set_filled("CapDrop", config.cap_drop.clone());
    body.set_flag("Privileged", config.privileged);
    body.set_filled("SecurityOpt", config.security_opt.clone());
    body.set_filled("Sysctls", config.sysctls.clone());
    let devices = config.devices.iter().map(|device| {
        json!({
            "PathOnHost": device.host_path,
            "PathInContainer": device.container_path,
            "CgroupPermissions": device.permissions,
        })
    });
    body.set_filled("Devices", devices.collect::<Vec<_>>());
    body.set_flag("Init", config.init);
    body.set_flag("ReadonlyRootfs", config.read_only);
    body.set_some("ShmSize", config.shm_size_bytes);
    body.set_some("PidMode", config.pid_mode.as_ref());
    body.set_some("IpcMode", config.ipc_mode.as_ref());
    body.set_some("UsernsMode", config.userns_mode.as_ref());
    body.set_some("CgroupParent", config.cgroup_parent.as_ref());
    let log = config.log.as_ref();
    let log = log.map(|log| json!({ "Type": log.driver, "Config": log.options }));
    body.set_some("LogConfig", log);
    body.into()
}

fn resources(body: &mut Object, resources: &Resources) {
    body.set_some("Memory", resources.memory_bytes);
    body.set_some("MemorySwap", resources.memory_swap_bytes);
    body.set_some("MemoryReservation", resources.memory_reservation_bytes);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the engine counts in whole billionths"
    )]
    let nano_cpus = resources.cpus.map(|cpus| (cpus * 1e9).round() as i64);
    body.set_some("NanoCpus", nano_cpus);
    body.set_some("CpuShares", resources.cpu_shares);
    body.set_some("CpusetCpus", resources.cpuset_cpus.as_ref());
    body.set_some("PidsLimit", resources.pids);
    body.set_some("OomScoreAdj", resources.oom_score_adj);
    let limits = resources.ulimits.iter();
    let limits =
        limits.map(|limit| json!({ "Name": limit.name, "Soft": limit.soft, "Hard": limit.hard }));
    body.set_filled("Ulimits", limits.collect::<Vec<_>>());
}

fn network_mode(mode: &NetworkMode) -> String {
    match mode {
        NetworkMode::EngineDefault => "default".to_owned(),
        NetworkMode::None => "none".to_owned(),
        NetworkMode::Host => "host".to_owned(),
        NetworkMode::Container(id) => format!("container:{}", id.as_str()),
        NetworkMode::Networks(networks) => networks
            .first()
            .map_or_else(|| "default".to_owned(), |first| first.network.clone()),
    }
}

fn bindings(ports: &[PublishedPort]) -> Map<String, Value> {
    let mut bindings = Map::new();
    for port in ports {
        let places = bindings
            .entry(port.container.to_string())
            .or_insert_with(|| json!([]));
        let binding = json!({
            "HostIp": port.host_ip.map(|ip| ip.to_string()).unwrap_or_default(),
            "HostPort": port.host_port.map(|port| port.to_string()).unwrap_or_default(),
        });
        if let Value::Array(places) = places {
            places.push(binding);
        }
    }
    bindings
}

/// Whether only the older form of a mount can say it.
fn needs_bind(mount: &Mount) -> bool {
    match &mount.source {
        MountSource::Bind {
            create, relabel, ..
        } => *create || relabel.is_some(),
        MountSource::Volume { .. } | MountSource::Tmpfs { .. } => false,
    }
}

/// Memory whose options only the older form can say: by its path, with size and mode among them.
fn plain_tmpfs(mount: &Mount) -> Option<(String, Value)> {
    let MountSource::Tmpfs {
        size_bytes,
        mode,
        options,
    } = &mount.source
    else {
        return None;
    };
    if options.is_empty() {
        return None;
    }
    let mut words = options.clone();
    words.extend(size_bytes.map(|size| format!("size={size}")));
    words.extend(mode.map(|mode| format!("mode={mode:o}")));
    words.extend(mount.read_only.then(|| "ro".to_owned()));
    Some((mount.target.clone(), words.join(",").into()))
}

fn bind(mount: &Mount) -> String {
    let MountSource::Bind {
        path,
        relabel,
        propagation,
        create: _,
    } = &mount.source
    else {
        unreachable!("only bind mounts need the older form");
    };
    let mut options = vec![if mount.read_only { "ro" } else { "rw" }];
    options.extend(relabel.map(|relabel| match relabel {
        Relabel::Shared => "z",
        Relabel::Private => "Z",
    }));
    options.extend(propagation.as_deref());
    format!("{path}:{}:{}", mount.target, options.join(","))
}

fn mount(mount: &Mount) -> Value {
    let mut body = Object::default();
    body.set("Target", &mount.target);
    body.set_flag("ReadOnly", mount.read_only);
    match &mount.source {
        MountSource::Bind {
            path, propagation, ..
        } => {
            body.set("Type", "bind");
            body.set("Source", path);
            let options = propagation.as_ref();
            body.set_some("BindOptions", options.map(|p| json!({ "Propagation": p })));
        }
        MountSource::Volume {
            name,
            no_copy,
            driver,
            options,
        } => {
            body.set("Type", "volume");
            body.set_some("Source", name.as_ref());
            let mut volume = Object::default();
            volume.set_flag("NoCopy", *no_copy);
            if driver.is_some() || !options.is_empty() {
                let name = driver.as_deref().unwrap_or("local");
                volume.set("DriverConfig", json!({ "Name": name, "Options": options }));
            }
            body.set_filled("VolumeOptions", volume.0);
        }
        MountSource::Tmpfs {
            size_bytes, mode, ..
        } => {
            body.set("Type", "tmpfs");
            let mut tmpfs = Object::default();
            tmpfs.set_some("SizeBytes", *size_bytes);
            tmpfs.set_some("Mode", *mode);
            body.set_filled("TmpfsOptions", tmpfs.0);
        }
    }
    body.into()
}

fn healthcheck(check: &HealthCheck) -> Value {
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(i64::MAX as u64);
    let mut body = Object::default();
    body.set_filled("Test", check.test.words());
    body.set_some("Interval", check.interval.map(nanos));
    body.set_some("Timeout", check.timeout.map(nanos));
    body.set_some("StartPeriod", check.start_period.map(nanos));
    body.set_some("Retries", check.retries);
    body.into()
}

/// The engine counts in seconds; less than one of them would be none.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// A JSON object in the making.
#[derive(Default)]
struct Object(Map<String, Value>);

impl Object {
    fn set(&mut self, key: &str, value: impl serde::Serialize) {
        self.0.insert(key.to_owned(), json!(value));
    }

    fn set_some(&mut self, key: &str, value: Option<impl serde::Serialize>) {
        if let Some(value) = value {
            self.set(key, value);
        }
    }

    fn set_flag(&mut self, key: &str, is_set: bool) {
        if is_set {
            self.set(key, true);
        }
    }

    /// Unless it is an empty list or map.
    fn set_filled(&mut self, key: &str, value: impl serde::Serialize) {
        let value = json!(value);
        let is_empty = match &value {
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        };
        if !is_empty {
            self.0.insert(key.to_owned(), value);
        }
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object.0)
    }
}

#[cfg(test)]
mod tests;
