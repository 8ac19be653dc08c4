//! One-off runs of programs of this machine: whoever asked becomes the program.
//!
//! Owns: two small files for each, readable by their owner only. One says what is to be run; it holds secrets, and whoever
//! asked removes it as he reads it. The other says whose the run is, until it has ended.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_io::{Async, Timer};
use command_executor::blocking;
use futures_lite::future;
use serde::Serialize;
use service_shim::{ProcessRef, Signal};

use super::find_program;
use crate::executors::{
    KnownOneOff, LaunchError, OneOffError, OneOffOrder, OneOffPlace, ProgramFile,
};
use crate::spec::TargetSpec;

/// Writes down what is to be run.
pub(super) async fn make(root: &Path, order: OneOffOrder) -> Result<OneOffPlace, LaunchError> {
    let launch = order.launch;
    let name = launch.unit.local_name();
    if let TargetSpec::Process(target) = &launch.target
        && let Some(user) = target.user.as_ref().or(target.group.as_ref())
    {
        return Err(LaunchError::NotPermitted {
            program: name,
            reason: format!(
                "it runs as `{user}`, which a one-off run of a process cannot become: `sudo -u` before the command can"
            ),
        });
    }
    let no_command = || LaunchError::NotRunnable {
        program: name.clone(),
        reason: "its command is empty".into(),
    };
    let (program, args) = launch.command.split_first().ok_or_else(no_command)?;
    let file = ProgramFile {
        program: find_program(program, launch.env.get("PATH").map(String::as_str))?,
        args: args.to_vec(),
        env: launch.env.clone(),
        working_dir: launch.working_dir.clone(),
    };
    let known = KnownOneOff {
        id: launch.instance_id,
        unit: launch.unit,
        holder: order.holder,
        grace_ms: u64::try_from(launch.stop.grace.as_millis()).unwrap_or(u64::MAX),
    };
    let place = directory(root);
    let written = blocking::unblock(move || {
        fs::create_dir_all(&place)?;
        // Who dies in between leaves a run that is found to be over.
        write(&record_of(&place, &known.id), &known)?;
        let path = place.join(format!("{}.program", known.id));
        write(&path, &file)?;
        Ok(path)
    });
    let written: io::Result<PathBuf> = written.await;
    let path = written.map_err(|source| LaunchError::Machine {
        program: name,
        source: source.into(),
    })?;
    Ok(OneOffPlace::Program(path))
}

/// Ends whoever has become the program, and removes what says so.
pub(super) async fn end(root: &Path, id: &str) -> Result<(), OneOffError> {
    let ended = end_holder(&directory(root), id).await;
    ended.map_err(|error| OneOffError(error.into()))
}

async fn end_holder(place: &Path, id: &str) -> io::Result<()> {
    let record = record_of(place, id);
    let read = blocking::unblock({
        let record = record.clone();
        move || fs::read(record)
    });
    let known: KnownOneOff = match read.await {
        Ok(text) => serde_json::from_slice(&text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if let Some(holder) = ProcessRef::open(&known.holder)? {
        let holder = Async::new(holder)?;
        holder.get_ref().signal(Signal::TERM)?;
        let in_time = async {
            holder.readable().await?;
            Ok(true)
        };
        let too_late = async {
            Timer::after(Duration::from_millis(known.grace_ms)).await;
            Ok::<_, io::Error>(false)
        };
        if !future::or(in_time, too_late).await? {
            holder.get_ref().signal(Signal::KILL)?;
            holder.readable().await?;
        }
    }
    let program = place.join(format!("{id}.program"));
    blocking::unblock(move || {
        for file in [program, record] {
            match fs::remove_file(file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    })
    .await
}

/// Every run of which a record is there.
pub(super) async fn all(root: &Path) -> Result<Vec<KnownOneOff>, OneOffError> {
    let place = directory(root);
    let found = blocking::unblock(move || {
        let entries = fs::read_dir(place).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        let records = paths.filter(|path| path.extension().is_some_and(|end| end == RECORD));
        // One that was not written to its end is of a run that never began.
        let known = records.filter_map(|path| serde_json::from_slice(&fs::read(path).ok()?).ok());
        known.collect()
    });
    Ok(found.await)
}

fn directory(root: &Path) -> PathBuf {
    root.join("one-off")
}

fn record_of(place: &Path, id: &str) -> PathBuf {
    place.join(format!("{id}.{RECORD}"))
}

fn write(path: &Path, what: &impl Serialize) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(&serde_json::to_vec(what)?)
}

const RECORD: &str = "json";
