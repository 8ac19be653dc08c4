//! Turning a specification into an order to launch.
//!
//! Owns: what a process is told (arguments, environment, directory), and which program it is.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::turn::Supervisor;
use super::units::UnitEntry;
use crate::executors::{LaunchError, LaunchOrder};
use crate::model::{Attempt, Index};
use crate::spec::{
    PortNumber, ProbeAction, ProcessTarget, RemoteRun, RemoteTarget, StackSpec, TargetSpec,
    Template,
};

impl Supervisor {
    /// Everything an executor must know to launch this attempt.
    pub(super) fn launch_order(
        &mut self,
        unit: Index,
        attempt: Attempt,
        instance_id: String,
    ) -> Result<LaunchOrder, LaunchError> {
        self.choose_ports(unit)?;
        let entry = self.units.get(unit);
        let input = self.inputs.of(&entry.id);
        let order = self.order_for(self.units.get(unit), attempt, instance_id)?;
        Ok(LaunchOrder { input, ..order })
    }

    /// The same for a unit as it is described here.
    pub(super) fn order_for(
        &self,
        entry: &UnitEntry,
        attempt: Attempt,
        instance_id: String,
    ) -> Result<LaunchOrder, LaunchError> {
        let stack = self
            .units
            .stack(&entry.id.stack)
            .expect("a unit is forgotten before its stack");
        let env = self.environment(entry, stack)?;
        let mut container = None;
        let (command, working_dir) = match &entry.described().target {
            TargetSpec::Process(process) => self.process(entry, stack, process)?,
            TargetSpec::Docker(target) => {
                container = Some(Box::new(self.container(entry, stack, target)?));
                (Vec::new(), stack.directory.clone())
            }
            TargetSpec::Remote(RemoteTarget {
                run: RemoteRun::Program(process),
                ..
            }) => self.remote(entry, process)?,
            TargetSpec::ProcessAttach { .. }
            | TargetSpec::DockerAttach { .. }
            | TargetSpec::Remote(_)
            | TargetSpec::Package(_)
            | TargetSpec::Builtin => (Vec::new(), stack.directory.clone()),
        };
        let probes = [
            &entry.described().readiness,
            &entry.described().liveness,
            &entry.described().startup,
        ];
        let notify = probes
            .into_iter()
            .flatten()
            .any(|probe| probe.action == ProbeAction::Notify);
        Ok(LaunchOrder {
            unit: entry.id.clone(),
            attempt: attempt.0,
            instance_id,
            target: entry.described().target.clone(),
            command,
            container,
            env,
            working_dir,
            log: entry.described().log.clone(),
            log_dir: self.setting.logs.directory(&entry.id),
            log_totals: self.setting.logs.totals(&entry.id.stack, stack.log_total),
            stop: entry.described().stop.clone(),
            notify,
            input: None,
        })
    }

    /// The text of a template, as seen from this unit.
    pub(super) fn text(
        &self,
        entry: &UnitEntry,
        template: &Template,
    ) -> Result<String, LaunchError> {
        template.resolve(|placeholder| self.fill(entry, placeholder))
    }

    /// The whole environment of a unit: the stack's, what it is told of others and of itself, and what its file says,
    /// which has the last word.
    pub(super) fn environment(
        &self,
        entry: &UnitEntry,
        stack: &StackSpec,
    ) -> Result<BTreeMap<String, String>, LaunchError> {
        let mut env = match entry.described().target {
            // What its image says is its own; nothing of the caller's fits it, and as little another machine.
            TargetSpec::Docker(_) | TargetSpec::DockerAttach { .. } | TargetSpec::Remote(_) => {
                BTreeMap::new()
            }
            _ => stack.environment.clone(),
        };
        if matches!(&entry.described().target, TargetSpec::Process(process) if process.user.is_some())
        {
            // These are of whoever started the stack; the shim knows those of the user it becomes.
            env.retain(|name, _| !["HOME", "USER", "LOGNAME", "SHELL"].contains(&name.as_str()));
        }
        env.extend(self.told_to(entry));
        for (name, value) in &entry.described().env {
            env.insert(name.clone(), self.text(entry, value)?);
        }
        Ok(env)
    }

    /// What a unit is told of others and of itself without its file saying so.
    pub(super) fn told_to(&self, entry: &UnitEntry) -> BTreeMap<String, String> {
        let mut told = BTreeMap::new();
        if entry.described().inject {
            told.extend(self.variables_of(entry));
            told.insert("HARNESS_STACK".into(), entry.id.stack.to_string());
            told.insert("HARNESS_SERVICE".into(), entry.id.local_name());
        }
        // A port that is chosen is known to nobody who is not told.
        for (position, port, number) in entry.numbered_ports() {
            if port.port == PortNumber::Auto {
                if let Some(name) = &port.name {
                    let name = name.to_ascii_uppercase().replace(['-', '.'], "_");
                    told.insert(format!("PORT_{name}"), number.to_string());
                }
                if position == 0 {
                    told.insert("PORT".into(), number.to_string());
                }
            }
        }
        told
    }

    /// What is run on another machine, where nothing is relative to the stack's directory. Without a working directory it
    /// gets one of its own there.
    fn remote(
        &self,
        entry: &UnitEntry,
        process: &ProcessTarget,
    ) -> Result<(Vec<String>, PathBuf), LaunchError> {
        let words = process.words().map(|word| self.text(entry, word));
        let directory = process.working_dir.as_ref();
        let directory = directory.map(|text| self.text(entry, text)).transpose()?;
        Ok((
            words.collect::<Result<_, _>>()?,
            directory.unwrap_or_default().into(),
        ))
    }

    fn process(
        &self,
        entry: &UnitEntry,
        stack: &StackSpec,
        process: &ProcessTarget,
    ) -> Result<(Vec<String>, PathBuf), LaunchError> {
        let mut program = self.text(entry, &process.program)?;
        if program.contains('/') {
            // Without what only repeats a directory: `./server`.
            let path: PathBuf = stack.directory.join(program).components().collect();
            program = path.to_string_lossy().into_owned();
        }
        let mut command = vec![program];
        for arg in &process.args {
            command.push(self.text(entry, arg)?);
        }
        let working_dir = match &process.working_dir {
            None => stack.directory.clone(),
            Some(directory) => stack.directory.join(self.text(entry, directory)?),
        };
        Ok((command, working_dir))
    }
}
