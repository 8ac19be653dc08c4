//! Which secrets a unit is given, and where they must not stand.
//!
//! Owns: the list of a unit's texts that others can see. Arguments are: everybody on the machine may read those of every
//! process. The environment is not: only the same user may.

use std::collections::BTreeSet;

use super::{Probe, ProbeAction, SecretName, ServiceSpec, TargetSpec, Template};

impl ServiceSpec {
    /// Every secret that it needs to run and to be asked how it is.
    pub fn secrets(&self) -> BTreeSet<&SecretName> {
        let env = self.env.values();
        env.chain(self.probes().flat_map(headers))
            .flat_map(Template::secrets)
            .collect()
    }

    /// Every text of it that others can see, so that no secret may stand in it, by the key that it stands under.
    pub fn seen_texts(&self) -> Vec<(&'static str, &Template)> {
        let mut texts = Vec::new();
        match &self.target {
            TargetSpec::Process(process) => {
                texts.push(("binary", &process.program));
                texts.extend(process.args.iter().map(|text| ("args", text)));
                texts.extend(process.working_dir.iter().map(|text| ("working_dir", text)));
            }
            TargetSpec::Docker(container) => {
                texts.extend(container.image.iter().map(|text| ("image", text)));
                let words = container.command.iter().flatten();
                texts.extend(words.map(|text| ("command", text)));
                let words = container.entrypoint.iter().flatten();
                texts.extend(words.map(|text| ("entrypoint", text)));
                texts.extend(
                    container
                        .working_dir
                        .iter()
                        .map(|text| ("working_dir", text)),
                );
            }
            TargetSpec::Remote(remote) => {
                if let super::RemoteRun::Program(process) = &remote.run {
                    texts.push(("binary", &process.program));
                    texts.extend(process.args.iter().map(|text| ("args", text)));
                    texts.extend(process.working_dir.iter().map(|text| ("working_dir", text)));
                }
            }
            TargetSpec::ProcessAttach { .. }
            | TargetSpec::DockerAttach { .. }
            | TargetSpec::Package(_)
            | TargetSpec::Builtin => {}
        }
        for probe in self.probes() {
            match &probe.action {
                ProbeAction::Command { command } => {
                    texts.extend(command.iter().map(|text| ("command", text)));
                }
                ProbeAction::Http { url, .. } => texts.push(("url", url)),
                ProbeAction::Tcp { host, port } => {
                    texts.extend(host.iter().map(|text| ("host", text)));
                    texts.push(("port", port));
                }
                ProbeAction::Log { .. } | ProbeAction::Notify | ProbeAction::Container => {}
            }
        }
        let words = self.stop.command.iter().flatten();
        texts.extend(words.map(|text| ("stop.command", text)));
        texts
    }

    fn probes(&self) -> impl Iterator<Item = &Probe> {
        [&self.readiness, &self.liveness, &self.startup]
            .into_iter()
            .flatten()
    }
}

fn headers(probe: &Probe) -> impl Iterator<Item = &Template> {
    let headers = match &probe.action {
        ProbeAction::Http { headers, .. } => Some(headers),
        ProbeAction::Command { .. }
        | ProbeAction::Tcp { .. }
        | ProbeAction::Log { .. }
        | ProbeAction::Notify
        | ProbeAction::Container => None,
    };
    headers.into_iter().flat_map(|headers| headers.values())
}
