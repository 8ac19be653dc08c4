//! The check that an image brings along.
//!
//! Owns: whether a container has one, who runs it, and what the engine is told of it. Never what its answers mean.

use container_engine::{Container, Engine, HealthCheck, Image};

use crate::executors::{CheckOrder, OwnCheck};

/// What is known of the check of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// It has one.
    Has(OwnCheck),
    /// It has none.
    Lacks,
    /// Nobody can say so now: it has ended, or the engine does not answer.
    Unknown,
}

impl Check {
    /// The one that it has for sure.
    pub(super) fn known(self) -> Option<OwnCheck> {
        match self {
            Self::Has(check) => Some(check),
            Self::Lacks | Self::Unknown => None,
        }
    }
}

/// Whether a container has a check. Only the container tells: not every engine says it of the image.
pub(super) async fn find(engine: &Engine, seen: &Container) -> Check {
    let tells = match engine.capabilities().await {
        Ok(capabilities) => capabilities.runs_checks,
        Err(_) => seen.state.health.is_some(),
    };
    match (tells, &seen.state.health) {
        (true, Some(_)) => Check::Has(OwnCheck::Told),
        _ if !seen.state.status.is_alive() => Check::Unknown,
        (true, None) => Check::Lacks,
        (false, _) => match engine.check(&seen.id).await {
            Ok(Some(_)) => Check::Has(OwnCheck::Asked),
            Ok(None) => Check::Lacks,
            Err(_) => Check::Unknown,
        },
    }
}

/// What the engine is told of it; nothing: it runs the image's own.
pub(super) fn told(order: CheckOrder, image: Option<&Image>) -> Option<HealthCheck> {
    let is_off = match order {
        CheckOrder::IfAny | CheckOrder::Needed => false,
        // For an image without one, what is asked instead makes no other container.
        CheckOrder::Replaced => image.is_some_and(|image| image.healthcheck.is_some()),
        CheckOrder::Off => true,
    };
    is_off.then(HealthCheck::off)
}

#[cfg(test)]
mod tests {
    use container_engine::HealthTest;

    use super::*;

    #[test]
    fn a_check_is_switched_off_where_it_is_and_replaced_only_where_there_is_one() {
        let image = |healthcheck| Image {
            id: String::new(),
            tags: vec![],
            entrypoint: vec![],
            command: vec![],
            environment: container_engine::Environment::default(),
            user: String::new(),
            working_dir: String::new(),
            exposed_ports: vec![],
            volumes: std::collections::BTreeSet::new(),
            labels: std::collections::BTreeMap::new(),
            healthcheck,
            stop_signal: None,
            architecture: String::new(),
        };
        let with = image(Some(HealthCheck {
            test: HealthTest::Shell("true".into()),
            ..HealthCheck::off()
        }));
        let without = image(None);
        for (order, checked, unchecked) in [
            (CheckOrder::IfAny, None, None),
            (CheckOrder::Needed, None, None),
            (CheckOrder::Replaced, Some(HealthCheck::off()), None),
            (
                CheckOrder::Off,
                Some(HealthCheck::off()),
                Some(HealthCheck::off()),
            ),
        ] {
            assert_eq!(told(order, Some(&with)), checked);
            assert_eq!(told(order, Some(&without)), unchecked);
        }
    }
}
