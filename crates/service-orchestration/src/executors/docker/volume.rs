//! The volumes of a container.
//!
//! Owns: that those of its stack are there before it is made, and that those without a name outlive it. The engine gives
//! such a volume a name by chance, and nothing at it says whose it is; here its name follows from the unit and the path
//! inside, so that the next container of the unit gets it without anybody handing it over.

use std::collections::{BTreeMap, BTreeSet};

use container_engine::{
    ContainerConfig, Engine, EngineError, Image, Mount, MountSource, VolumeConfig,
};
use ring::digest;

use super::gone_is_fine;
use super::identity::{HOME, of_unit, stack_labels, unit_labels};
use crate::executors::{ContainerOrder, LaunchOrder};
use crate::spec::{ContainerTarget, MountKind, UnitId};

/// At which path inside it is, of a volume that has no name in the file.
pub(super) const UNNAMED: &str = "org.harness.unnamed";

/// Sees to the stack's volumes that this container mounts. The names of those that somebody else made.
pub(super) async fn of_stack(
    engine: &Engine,
    home: &str,
    order: &LaunchOrder,
    target: &ContainerTarget,
    own: &ContainerOrder,
) -> Result<Vec<String>, EngineError> {
    let mut of_others = Vec::new();
    let stack = &order.unit.stack;
    for mount in &target.mounts {
        let MountKind::Volume { name } = &mount.kind else {
            continue;
        };
        let volume = own.volumes.get(name).cloned().unwrap_or_default();
        let with_engine = volume.name_with_engine(stack, name);
        if volume.external {
            engine.volume(&with_engine).await?;
            // It is meant to be shared.
            continue;
        }
        let mut labels = volume.labels;
        labels.extend(stack_labels(home, stack.as_str()));
        labels.insert("com.docker.compose.volume".into(), name.clone());
        let config = VolumeConfig {
            labels,
            driver: volume.driver,
            options: volume.driver_opts,
        };
        let volume = engine.create_volume(&with_engine, &config).await?;
        if volume.labels.get(HOME).is_none_or(|own| own != home) {
            of_others.push(with_engine);
        }
    }
    Ok(of_others)
}

/// Gives names to the volumes that have none, those that the image asks for among them. Where each is mounted, by name.
pub(super) fn name_all(
    config: &mut ContainerConfig,
    image: &Image,
    home: &str,
    unit: &UnitId,
) -> BTreeMap<String, String> {
    let mut named = BTreeMap::new();
    let taken: BTreeSet<String> = config.mounts.iter().map(|m| clean(&m.target)).collect();
    for mount in &mut config.mounts {
        if let MountSource::Volume { name, .. } = &mut mount.source
            && name.is_none()
        {
            let path = clean(&mount.target);
            *name = Some(name_of(home, unit, &path));
            named.extend(name.clone().map(|name| (name, path)));
        }
    }
    for path in image.volumes.iter().map(|path| clean(path)) {
        if taken.contains(&path) {
            continue;
        }
        let name = name_of(home, unit, &path);
        config.mounts.push(Mount {
            source: MountSource::volume(name.clone()),
            target: path.clone(),
            read_only: false,
        });
        named.insert(name, path);
    }
    named
}

/// Sees to it that they are there. One that is there stays as it is.
pub(super) async fn make_all(
    engine: &Engine,
    home: &str,
    unit: &UnitId,
    named: &BTreeMap<String, String>,
) -> Result<(), EngineError> {
    for (name, path) in named {
        let mut labels = unit_labels(home, unit);
        labels.insert(UNNAMED.to_owned(), path.clone());
        let config = VolumeConfig {
            labels,
            ..VolumeConfig::default()
        };
        engine.create_volume(name, &config).await?;
    }
    Ok(())
}

/// Removes those of a unit that are mounted nowhere any more, but for these.
pub(super) async fn remove_others(
    engine: &Engine,
    home: &str,
    unit: &UnitId,
    named: &BTreeMap<String, String>,
) -> Result<(), EngineError> {
    let own = of_unit(home, unit).has_label(UNNAMED);
    for volume in engine.volumes(&own).await? {
        if !named.contains_key(&volume.name) {
            match engine.remove_volume(&volume.name).await {
                Err(EngineError::InUse { .. }) => {}
                removed => gone_is_fine(removed)?,
            }
        }
    }
    Ok(())
}

/// Looks like those that the engine names, and is of this unit of this installation only.
fn name_of(home: &str, unit: &UnitId, path: &str) -> String {
    let replica = unit.replica.to_string();
    let parts = [
        home,
        unit.stack.as_str(),
        unit.name.as_str(),
        &replica,
        path,
    ];
    // None of them can hold a line feed but the last.
    let hash = digest::digest(&digest::SHA256, parts.join("\n").as_bytes());
    hash.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// A path inside as the engine compares it.
fn clean(path: &str) -> String {
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{StackName, UnitName};

    fn unit(name: &str) -> UnitId {
        let stack = StackName::new("shop").expect("a legal name");
        UnitId::single(stack, UnitName::new(name).expect("a legal name"))
    }

    fn image(volumes: &[&str]) -> Image {
        Image {
            id: "sha256:1".into(),
            tags: vec![],
            entrypoint: vec![],
            command: vec![],
            environment: Default::default(),
            user: String::new(),
            working_dir: String::new(),
            exposed_ports: vec![],
            volumes: volumes.iter().map(|path| (*path).to_owned()).collect(),
            labels: BTreeMap::new(),
            healthcheck: None,
            stop_signal: None,
            architecture: String::new(),
        }
    }

    fn mount(name: Option<&str>, target: &str) -> Mount {
        let source = MountSource::Volume {
            name: name.map(str::to_owned),
            no_copy: false,
            driver: None,
            options: BTreeMap::new(),
        };
        Mount {
            source,
            target: target.into(),
            read_only: false,
        }
    }

    #[test]
    fn volumes_without_a_name_get_one_that_stays_and_others_are_left_alone() {
        let named = |unit: &UnitId, home: &str| {
            let mut config = ContainerConfig {
                mounts: vec![mount(None, "/data/"), mount(Some("shop_db"), "/var/lib")],
                ..ContainerConfig::default()
            };
            let image = image(&["/cache", "/var/lib/", "/data"]);
            let named = name_all(&mut config, &image, home, unit);
            (config, named)
        };
        let (config, first) = named(&unit("db"), "home");
        let paths: BTreeSet<&str> = first.values().map(String::as_str).collect();
        assert_eq!(paths, ["/cache", "/data"].into());
        assert_eq!(config.mounts.len(), 3);
        assert!(first.keys().all(|name| name.len() == 64));
        assert_eq!(named(&unit("db"), "home").1, first, "the same every time");
        for (other, home) in [(unit("api"), "home"), (unit("db"), "else")] {
            let (_, others) = named(&other, home);
            assert!(others.keys().all(|name| !first.contains_key(name)));
        }
    }
}
