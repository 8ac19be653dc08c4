//! Which stack is meant, and its file.
//!
//! Owns: the order `--file`, `HARNESS_FILE`, what the daemon keeps of the stack that `-p` names, the nearest file from here
//! upwards; and the name behind the files, which needs no parsing when the daemon knows them.

use std::io::Read;
use std::path::{Path, PathBuf};

use harness_config::{Code, Diagnostic, Loaded, Sources, count, load, render_human, summary};
use harness_core::hosts::HostBook;
use harness_core::protocol::StackSummary;
use harness_core::spec::{StackName, StackSources, StackSpec};
use harness_core::{AutoStart, HarnessClient};

use crate::context::Context;
use crate::failure::Failure;
use crate::render::note;
use crate::secrets::without_advice;
use crate::units::similar;

/// The files of the stack that is meant; none when there are none.
pub(crate) fn files(context: &Context) -> Vec<PathBuf> {
    if !context.globals.files.is_empty() {
        return context.globals.files.clone();
    }
    match std::env::var_os("HARNESS_FILE") {
        Some(files) if !files.is_empty() => std::env::split_paths(&files).collect(),
        Some(_) | None => found(&env_files(&context.globals.env_files)),
    }
}

/// The files that stand in for `.env`: those that are given, else those of the environment.
pub(crate) fn env_files(given: &[PathBuf]) -> Vec<PathBuf> {
    if !given.is_empty() {
        return given.to_vec();
    }
    let files = std::env::var("COMPOSE_ENV_FILES").unwrap_or_default();
    let files = files.split(',').filter(|file| !file.is_empty());
    files.map(PathBuf::from).collect()
}

/// The nearest stack file from here upwards, and what is laid over it. Where there is none, the Compose files that
/// `COMPOSE_FILE` names, also in the files that stand in for `.env`, else the nearest one.
pub(crate) fn found(env_files: &[PathBuf]) -> Vec<PathBuf> {
    let here = working_directory();
    let found = harness_config::discover(&here);
    if !found.as_deref().is_some_and(is_own) {
        let directory = found.as_deref().and_then(Path::parent).unwrap_or(&here);
        if let Some(files) =
            harness_config::compose_files(directory, env_files, &environment().collect())
        {
            return files.into_iter().map(shorten).collect();
        }
    }
    let Some(file) = found else {
        return Vec::new();
    };
    let over = harness_config::override_of(&file);
    [Some(file), over]
        .into_iter()
        .flatten()
        .map(shorten)
        .collect()
}

/// What the stack that is meant is read from: that of `-p`, when the daemon knows it and no file was named, because
/// whatever lies in this directory is then not what is meant; else the files that are named or found.
///
/// # Errors
/// When the daemon runs and cannot be asked; [`Failure::NoStackFile`].
pub(crate) async fn meant(context: &Context) -> Result<Sources, Failure> {
    match of_project(context).await? {
        Some(known) => sources_again(context, &known),
        None => sources(context, &required_files(context)?),
    }
}

/// What the stack that `-p` names was read from.
async fn of_project(context: &Context) -> Result<Option<StackSources>, Failure> {
    let is_named = !context.globals.files.is_empty()
        || std::env::var_os("HARNESS_FILE").is_some_and(|files| !files.is_empty());
    let (Some(project), false) = (&context.globals.project, is_named) else {
        return Ok(None);
    };
    // Without a daemon, no stack is known.
    let Ok(client) = context.client(AutoStart::WhenActive).await else {
        return Ok(None);
    };
    let stacks = client.stacks().await?;
    let known = stacks
        .into_iter()
        .find(|stack| stack.name.as_str() == project);
    let known = known.map(known_sources);
    Ok(known.filter(|known| !known.is_unknown()))
}

/// What a stack that is known was read from. Where that was not kept, its stack files are the first of all.
fn known_sources(stack: StackSummary) -> StackSources {
    if !stack.sources.is_unknown() {
        return stack.sources;
    }
    let files = stack.files.into_iter();
    StackSources {
        files: files.take_while(|file| is_stack_file(file)).collect(),
        env_files: Vec::new(),
    }
}

/// The files of the stack that is meant, of which there must be some.
///
/// # Errors
/// [`Failure::NoStackFile`].
fn required_files(context: &Context) -> Result<Vec<PathBuf>, Failure> {
    let files = files(context);
    if files.is_empty() {
        return Err(Failure::NoStackFile {
            directory: working_directory(),
            stacks: Vec::new(),
        });
    }
    Ok(files)
}

/// What to read: these files, with the environment of whoever asks.
///
/// # Errors
/// When standard input is meant and cannot be read.
pub(crate) fn sources(context: &Context, files: &[PathBuf]) -> Result<Sources, Failure> {
    let mut sources = Sources::new().environment(environment());
    if context.globals.context.is_none() {
        sources = sources.here();
        // What cannot be read is told by whoever needs a host.
        if let Ok(dirs) = context.dirs()
            && let Ok(book) = HostBook::load(&dirs)
        {
            let names = book.items.into_iter();
            sources = sources.hosts(names.flat_map(|entry| [entry.name, entry.address]));
        }
    }
    if let Some(project) = &context.globals.project {
        sources = sources.project(project);
    }
    for file in env_files(&context.globals.env_files) {
        sources = sources.env_file(file);
    }
    for file in files {
        sources = if file == Path::new("-") {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(Failure::io("read standard input"))?;
            sources.text("<stdin>", text)
        } else {
            sources.file(file)
        };
    }
    Ok(sources)
}

/// The same, from what a stack was read from before.
fn sources_again(context: &Context, known: &StackSources) -> Result<Sources, Failure> {
    let sources = sources(context, &known.files)?;
    if !env_files(&context.globals.env_files).is_empty() {
        return Ok(sources);
    }
    let kept = known.env_files.iter();
    Ok(kept.fold(sources, Sources::env_file))
}

/// Whether this is the name of a stack file of ours.
fn is_own(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| harness_config::FILE_NAMES.contains(&name))
}

fn environment() -> impl Iterator<Item = (String, String)> {
    let pairs = std::env::vars_os();
    pairs.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// What is told of a Compose file beside what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OfCompose {
    /// That it is one, and what is not carried over: something of it is started.
    Told,
    /// Nothing: it is only looked at.
    Untold,
}

/// The stack, with the absolute paths of its files. What is wrong with it is printed; warnings are too.
///
/// # Errors
/// [`Failure::Diagnostics`] when it cannot be used.
pub(crate) fn stack(
    context: &Context,
    sources: &Sources,
    told: OfCompose,
) -> Result<(StackSpec, Loaded), Failure> {
    let mut loaded = load(sources);
    let (errors, _) = count(&loaded.diagnostics);
    if errors > 0 || !context.globals.quiet {
        let (of_compose, others): (Vec<_>, Vec<_>) = without_advice(&loaded.diagnostics)
            .into_iter()
            .partition(|found| matches!(found.code, Code::ComposeLost | Code::ComposeChanged));
        if told == OfCompose::Told || errors > 0 {
            note(&compose_lines(&loaded, &of_compose));
        }
        note(&render_human(
            &others,
            &loaded.files,
            context.messages.color,
        ));
    }
    let Some(mut stack) = loaded.stack.take() else {
        return Err(Failure::Diagnostics {
            summary: summary(&loaded.diagnostics, &loaded.files),
        });
    };
    let read = stack.files.iter_mut();
    let sources = &mut stack.sources;
    let again = sources.files.iter_mut().chain(&mut sources.env_files);
    for file in read.chain(again) {
        *file = absolute(file);
    }
    Ok((stack, loaded))
}

/// That Compose files are read, and a line for each thing that is not carried over. `validate` shows more of each.
fn compose_lines(loaded: &Loaded, found: &[Diagnostic]) -> String {
    let names = loaded.compose_names();
    let Some(first) = names.first() else {
        return String::new();
    };
    let mut text = format!(
        "{first} is a Compose file, and is used as it is; `harness import compose {first}` makes a stack file of it\n"
    );
    for found in found {
        let (code, place) = (found.code, found.location());
        text += &format!("warning[{code}]: {place}: {}\n", found.message);
    }
    text
}

/// The name of the stack that is meant, among those that the daemon knows.
///
/// # Errors
/// [`Failure::UnknownStack`], [`Failure::NotStarted`], [`Failure::NoStackFile`], [`Failure::Ambiguous`].
pub(crate) async fn known_stack(
    context: &Context,
    client: &HarnessClient,
) -> Result<StackName, Failure> {
    let stacks = client.stacks().await?;
    choose(context, &stacks)
}

/// The same, or the name of one that it does not know: something of it may be left. With that comes the failure that it
/// is when nothing is.
///
/// # Errors
/// As [`known_stack`]; [`Failure::UnknownStack`] only where no stack can have this name.
pub(crate) async fn named_stack(
    context: &Context,
    client: &HarnessClient,
) -> Result<(StackName, Option<Failure>), Failure> {
    let failure = match known_stack(context, client).await {
        Ok(stack) => return Ok((stack, None)),
        Err(failure) => failure,
    };
    match &failure {
        Failure::UnknownStack { stack, .. } => match StackName::new(stack) {
            Ok(stack) => Ok((stack, Some(failure))),
            Err(_) => Err(failure),
        },
        // It has a file: that nothing of it is left is how it should be.
        Failure::NotStarted { stack } => match StackName::new(stack) {
            Ok(stack) => Ok((stack, None)),
            Err(_) => Err(failure),
        },
        _ => Err(failure),
    }
}

/// The same, among these.
///
/// # Errors
/// As [`known_stack`].
pub(crate) fn choose(context: &Context, stacks: &[StackSummary]) -> Result<StackName, Failure> {
    if let Some(project) = &context.globals.project {
        return by_name(project, stacks);
    }
    let files = files(context);
    if files.is_empty() {
        return match stacks {
            // Nothing else can be meant.
            [only] => Ok(only.name.clone()),
            _ => Err(Failure::NoStackFile {
                directory: working_directory(),
                stacks: stacks.iter().map(|stack| stack.name.to_string()).collect(),
            }),
        };
    }
    let paths: Vec<PathBuf> = files.iter().map(|file| absolute(file)).collect();
    let same: Vec<&StackSummary> = stacks
        .iter()
        .filter(|stack| is_made_of(stack, &paths))
        .collect();
    // It may name another stack of the same files.
    let is_named = std::env::var_os("COMPOSE_PROJECT_NAME").is_some_and(|name| !name.is_empty());
    match same.as_slice() {
        [one] if !is_named => Ok(one.name.clone()),
        several => by_parsing(context, &files, several, stacks),
    }
}

/// The stack of this name.
fn by_name(name: &str, stacks: &[StackSummary]) -> Result<StackName, Failure> {
    let found = stacks.iter().find(|stack| stack.name.as_str() == name);
    found
        .map(|stack| stack.name.clone())
        .ok_or_else(|| Failure::UnknownStack {
            stack: name.to_owned(),
            similar: similar(name, stacks.iter().map(|stack| stack.name.as_str()))
                .map(str::to_owned),
        })
}

/// The stack that the files themselves name.
fn by_parsing(
    context: &Context,
    files: &[PathBuf],
    same: &[&StackSummary],
    stacks: &[StackSummary],
) -> Result<StackName, Failure> {
    let mut loaded = load(&sources(context, files)?);
    let Some(stack) = loaded.stack.take() else {
        note(&render_human(
            &loaded.diagnostics,
            &loaded.files,
            context.messages.color,
        ));
        return Err(Failure::Diagnostics {
            summary: summary(&loaded.diagnostics, &loaded.files),
        });
    };
    let is_it = |known: &StackSummary| known.name == stack.name;
    let is_among = match same {
        [] => stacks.iter().any(is_it),
        several => several.iter().any(|known| is_it(known)),
    };
    if is_among {
        return Ok(stack.name);
    }
    Err(match same {
        [] => Failure::NotStarted {
            stack: stack.name.to_string(),
        },
        several => Failure::Ambiguous {
            stacks: several.iter().map(|stack| stack.name.to_string()).collect(),
        },
    })
}

/// Whether the stack was read from these files. Those that they lead to (environment files) do not count.
fn is_made_of(stack: &StackSummary, files: &[PathBuf]) -> bool {
    if !stack.sources.is_unknown() {
        return stack.sources.files == files;
    }
    !files.is_empty()
        && stack.files.starts_with(files)
        && stack.files[files.len()..]
            .iter()
            .all(|file| !is_stack_file(file))
}

fn is_stack_file(file: &Path) -> bool {
    matches!(
        file.extension().and_then(|extension| extension.to_str()),
        Some("yaml" | "yml")
    )
}

/// One spelling for each file, whatever it was called by.
fn absolute(path: &Path) -> PathBuf {
    if path == Path::new("-") || path == Path::new("<stdin>") {
        return path.to_owned();
    }
    path.canonicalize()
        .or_else(|_| std::path::absolute(path))
        .unwrap_or_else(|_| path.to_owned())
}

/// As short as the user would write it.
fn shorten(path: PathBuf) -> PathBuf {
    match path.strip_prefix(working_directory()) {
        Ok(short) => short.to_owned(),
        Err(_) => path,
    }
}

pub(crate) fn working_directory() -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."))
}
