//! From sources to a stack, in five steps: read, lay over each other, substitute, check and decode, check the graph.
//!
//! Owns: the order of the steps, the stack's name and its environment. Every step goes as far as it can, so that one
//! run says everything that is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use service_orchestration::spec::{SecretName, StackName, StackSpec, UnitKind};

use crate::check;
use crate::compose::{self, Refused};
use crate::decode::{Decoded, Decoder};
use crate::input::{Input, Sources, read_text};
use crate::keys::STACK;
use crate::report::{Code, Diagnostic, Sink};
use crate::source::{SourceMap, Span};
use crate::table::Checker;
use crate::text::{ReferenceUse, Substitution, Variables, dotenv, expanded, substitute};
use crate::yaml::{self, Node, Value};

/// What came of a load.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The stack; absent when there is any error.
    pub stack: Option<StackSpec>,
    /// Every error and warning of every file, ordered by place.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts that were read, for showing the lines that a diagnostic is about.
    pub files: SourceMap,
    /// Where the source of each secret stands.
    pub(crate) secrets: BTreeMap<SecretName, Span>,
    /// What a secret can be taken from, if it names a variable.
    pub(crate) variables: Variables,
    /// The Compose files among the texts.
    compose: BTreeSet<u32>,
}

impl Loaded {
    /// The names of the files that were read as Compose files.
    pub fn compose_names(&self) -> Vec<&str> {
        let files = self.compose.iter();
        files.map(|file| self.files.file(*file).name()).collect()
    }
}

/// Reads a stack.
///
/// All that is wrong is in the diagnostics, in one run; the stack is there when none of them is an error. Reads the files
/// that the sources name, `.env` beside the first of them unless other environment files are named, and the environment files that units name; nothing else. Of what
/// images are built from it looks whether it is there, where the sources say that the stack runs [here](Sources::here).
pub fn load(sources: &Sources) -> Loaded {
    let mut files = SourceMap::default();
    let mut sink = Sink::default();
    let directory = sources.stack_directory();
    let layers = read_stack(sources, compose::is_compose, &mut files, &mut sink);
    let variables = variables(sources, &directory, &layers, &mut files, &mut sink);
    let mut secrets = BTreeMap::new();
    let sources = &with_profiles(sources, &layers, &variables);
    let merged = merged(layers, &mut files, &mut sink, &variables, &directory);
    let compose = merged.compose;
    let stack = merged.root.and_then(|root| {
        let mut stage = Stage {
            secrets: &mut secrets,
            sources,
            files: &mut files,
            sink: &mut sink,
            variables: &variables,
            compose: &compose,
            refused: &merged.refused,
            directory,
        };
        stage.run(root)
    });
    let stack = stack.filter(|_| !sink.has_errors());
    Loaded {
        stack,
        diagnostics: sink.finish(&files),
        files,
        secrets,
        variables,
        compose,
    }
}

/// Reads Compose files, whatever they are called, as far as a stack file: its tree, what is to be said about it, the texts.
/// Environment files that cannot be read are no error: they may be there where the stack runs.
pub(crate) fn examine_compose(sources: &Sources) -> (Option<Node>, Vec<Diagnostic>, SourceMap) {
    let mut files = SourceMap::default();
    let mut sink = Sink::default();
    let directory = sources.stack_directory();
    let layers = read_stack(sources, |_, _| true, &mut files, &mut sink);
    let variables = variables(sources, &directory, &layers, &mut files, &mut sink);
    let merged = merged(layers, &mut files, &mut sink, &variables, &directory);
    let (mut root, compose) = (merged.root, merged.compose);
    if let Some(root) = &mut root {
        compose::keep_name(root, &variables, &directory, &directory_name(&directory));
        let mut stage = Stage {
            secrets: &mut BTreeMap::new(),
            sources,
            files: &mut files,
            sink: &mut sink,
            variables: &variables,
            compose: &compose,
            refused: &merged.refused,
            directory,
        };
        stage.run(root.clone());
    }
    let mut diagnostics = sink.finish(&files);
    for found in &mut diagnostics {
        if found.code == Code::EnvFile {
            found.severity = crate::report::Severity::Warning;
        }
    }
    (root, diagnostics, files)
}

struct Stage<'a> {
    sources: &'a Sources,
    files: &'a mut SourceMap,
    sink: &'a mut Sink,
    variables: &'a Variables,
    secrets: &'a mut BTreeMap<SecretName, Span>,
    compose: &'a BTreeSet<u32>,
    refused: &'a [Refused],
    directory: PathBuf,
}

impl Stage<'_> {
    fn run(&mut self, mut root: Node) -> Option<StackSpec> {
        let references = self.substitute(&mut root);
        let entries: Vec<_> = root
            .entries()
            .iter()
            .filter(|e| !e.key.starts_with("x-"))
            .collect();
        Checker { sink: self.sink }.object(root.span, &entries, &STACK);
        let decoded =
            Decoder::new(self.files, self.sink, self.variables, &self.directory).stack(&root);
        if decoded.units.is_empty() && !self.sink.has_errors() {
            self.sink.error(
                Code::Missing,
                Span::whole(root.span.file),
                "there are no services and no tasks",
            );
        }
        check::graph(&decoded, &references, self.refused, self.sources, self.sink);
        let name = self.name(&decoded, root.span.file)?;
        let spans = decoded.secrets.iter();
        *self.secrets = spans
            .map(|(name, (_, span))| (name.clone(), *span))
            .collect();
        let mut stack = self.assemble(name, &decoded);
        check::leave_out(&mut stack, &decoded, &references, self.sources, self.sink);
        Some(stack)
    }

    fn substitute(&mut self, root: &mut Node) -> Vec<ReferenceUse> {
        let mut units = BTreeMap::new();
        for (section, kind) in [("tasks", UnitKind::Task), ("services", UnitKind::Service)] {
            for entry in root
                .entry(section)
                .map(|entry| entry.value.entries())
                .unwrap_or_default()
            {
                units.insert(entry.key.clone(), kind);
            }
        }
        let secrets = root.entry("secrets").map(|entry| entry.value.entries());
        let secrets = secrets.unwrap_or_default().iter();
        let secrets = secrets.map(|entry| entry.key.clone()).collect();
        let mut substitution = Substitution {
            files: self.files,
            variables: self.variables,
            units: &units,
            secrets: &secrets,
            blank: self.compose,
            sink: self.sink,
            references: Vec::new(),
        };
        substitute(root, &mut substitution);
        substitution.references
    }

    /// The override, else what the file says, else the directory's name made legal.
    fn name(&mut self, decoded: &Decoded, file: u32) -> Option<StackName> {
        if let Some(name) = &self.sources.project {
            return match StackName::new(name.as_str()) {
                Ok(name) => Some(name),
                Err(error) => {
                    self.sink
                        .error(Code::Name, Span::whole(file), error.to_string());
                    None
                }
            };
        }
        let is_compose = self.compose.contains(&file);
        match compose::project_name(self.variables).filter(|_| is_compose) {
            Some(Ok(name)) => return StackName::new(name).ok(),
            Some(Err(message)) => {
                self.sink.error(Code::Name, Span::whole(file), message);
                return None;
            }
            None => {}
        }
        match &decoded.name {
            // A wrong one has been reported.
            Some(name) => StackName::new(name.as_str()).ok(),
            None if is_compose => {
                let name = compose::directory_name(&self.directory);
                let name = name.and_then(|name| StackName::new(name).ok());
                name.or_else(|| Some(directory_name(&self.directory)))
            }
            None => Some(directory_name(&self.directory)),
        }
    }

    fn assemble(&self, name: StackName, decoded: &Decoded) -> StackSpec {
        let networks = decoded
            .networks
            .iter()
            .map(|(name, (network, _))| (name.clone(), network.clone()));
        let units = decoded
            .units
            .iter()
            .map(|(name, unit)| (name.clone(), unit.spec.clone()));
        StackSpec {
            name,
            description: decoded.description.clone(),
            directory: self.directory.clone(),
            files: self.files.files().iter().map(stack_file).collect(),
            sources: self.sources.stack_sources(),
            environment: inherited(&self.sources.environment),
            networks: networks.collect(),
            units: units.collect(),
            log_total: decoded.log_total,
            // Told apart from the others once everything is checked.
            inactive: BTreeMap::new(),
            volumes: decoded.volumes.clone(),
            secrets: decoded
                .secrets
                .iter()
                .map(|(name, (secret, _))| (name.clone(), secret.clone()))
                .collect(),
        }
    }
}

/// One file, and whether it is a Compose file.
type Layer = (Node, bool);

/// The files as trees; none when one of them is missing, because what it would have said is not known, so nothing more
/// can be said about the whole.
fn read_stack(
    sources: &Sources,
    is_compose: impl Fn(&str, &Node) -> bool,
    files: &mut SourceMap,
    sink: &mut Sink,
) -> Option<Vec<Layer>> {
    if sources.inputs.is_empty() {
        let none = files.add("<no file>".into(), None, true, "");
        sink.error(
            Code::Unreadable,
            Span::whole(none),
            "no stack file was given",
        );
    }
    let mut layers = Vec::new();
    for input in &sources.inputs {
        let (name, path, text) = match input {
            Input::Text { name, text } => (name.clone(), None, Ok(text.clone())),
            Input::Path(path) => (
                path.display().to_string(),
                Some(path.clone()),
                read_text(path),
            ),
        };
        let file = files.add(
            name.clone(),
            path,
            true,
            text.as_deref().unwrap_or_default(),
        );
        let tree = match text {
            Ok(_) => yaml::parse(files, file, sink),
            Err(error) => {
                sink.error(
                    Code::Unreadable,
                    Span::whole(file),
                    format!("cannot read the file: {error}"),
                );
                None
            }
        };
        let tree = tree.filter(|tree| is_stack(tree, sink));
        layers.extend(tree.map(|tree| {
            let is_compose = is_compose(&name, &tree);
            (tree, is_compose)
        }));
    }
    (layers.len() == sources.inputs.len() && !layers.is_empty()).then_some(layers)
}

/// The files as one.
#[derive(Debug, Default)]
struct Merged {
    root: Option<Node>,
    /// The Compose files.
    compose: BTreeSet<u32>,
    /// What cannot be left out of them.
    refused: Vec<Refused>,
}

/// The files laid over each other. Compose files in a row are laid over each other by Compose's rules, and then turned.
fn merged(
    layers: Option<Vec<Layer>>,
    files: &mut SourceMap,
    sink: &mut Sink,
    variables: &Variables,
    directory: &Path,
) -> Merged {
    let mut merged = Merged::default();
    let mut layers = layers.unwrap_or_default().into_iter().peekable();
    while let Some((mut tree, is_compose)) = layers.next() {
        if is_compose {
            let before = files.files().len();
            merged.compose.insert(tree.span.file);
            while let Some((over, _)) = layers.next_if(|(_, is_compose)| *is_compose) {
                merged.compose.insert(over.span.file);
                yaml::overlay(&mut tree, over, &compose::RULES);
            }
            let mut reading = compose::Reading::new(files, sink, variables, directory);
            tree = compose::convert(tree, &mut reading, merged.root.is_none());
            merged.refused.append(&mut reading.refused);
            let read = before..files.files().len();
            merged
                .compose
                .extend(read.filter_map(|file| u32::try_from(file).ok()));
        }
        match &mut merged.root {
            Some(base) => yaml::overlay(base, tree, &yaml::STACK_RULES),
            None => merged.root = Some(tree),
        }
    }
    merged
}

fn is_stack(tree: &Node, sink: &mut Sink) -> bool {
    let is_mapping = matches!(tree.value, Value::Map(_));
    if tree.is_null() {
        sink.error(
            Code::Document,
            Span::whole(tree.span.file),
            "the file is empty",
        );
    } else if !is_mapping {
        let message = format!("a stack file is a mapping; this is {}", tree.describe());
        sink.error(Code::Document, tree.span, message);
    }
    is_mapping
}

/// The sources, with the profiles that the environment makes active in a Compose file where nobody says which.
fn with_profiles(sources: &Sources, layers: &Option<Vec<Layer>>, variables: &Variables) -> Sources {
    let mut sources = sources.clone();
    if sources.profiles.is_empty() && is_compose_stack(layers) {
        sources.profiles = compose::profiles(variables);
    }
    sources
}

/// Whether the files that are laid over each other begin with a Compose file.
fn is_compose_stack(layers: &Option<Vec<Layer>>) -> bool {
    let first = layers.as_ref().and_then(|layers| layers.first());
    first.is_some_and(|(_, is_compose)| *is_compose)
}

/// The layers of variables: the caller's environment, then the files of `--env-file`, or `.env` where there are none.
fn variables(
    sources: &Sources,
    directory: &Path,
    stack: &Option<Vec<Layer>>,
    files: &mut SourceMap,
    sink: &mut Sink,
) -> Variables {
    let is_compose = is_compose_stack(stack);
    let mut said = BTreeMap::new();
    for path in &sources.env_files {
        // What an earlier file says can be put into the values of a later one.
        let mut known: BTreeMap<String, String> = said.clone();
        known.extend(sources.environment.clone());
        let known = is_compose.then_some(&known);
        said.extend(env_file(path, true, known, files, sink));
    }
    if sources.env_files.is_empty() {
        let known = is_compose.then_some(&sources.environment);
        said = env_file(&directory.join(".env"), false, known, files, sink);
    }
    Variables::new(vec![sources.environment.clone(), said])
}

/// What a file says; beside a Compose file, with what is known put into its values.
fn env_file(
    path: &Path,
    is_required: bool,
    known: Option<&BTreeMap<String, String>>,
    files: &mut SourceMap,
    sink: &mut Sink,
) -> BTreeMap<String, String> {
    let text = match read_text(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_required => {
            return BTreeMap::new();
        }
        Err(error) => {
            let file = files.add(path.display().to_string(), Some(path.to_owned()), false, "");
            let message = format!("cannot read the environment file: {error}");
            sink.error(Code::EnvFile, Span::whole(file), message);
            return BTreeMap::new();
        }
    };
    let file = files.add(
        path.display().to_string(),
        Some(path.to_owned()),
        false,
        &text,
    );
    let (assignments, errors) = match known {
        None => dotenv(files.file(file).text()),
        Some(known) => {
            let read = expanded(files.file(file).text(), |name| known.get(name).cloned());
            (read.assignments, read.errors)
        }
    };
    for error in errors {
        sink.error(Code::EnvFile, Span::new(file, error.span), error.message);
    }
    assignments.into_iter().collect()
}

fn stack_file(file: &crate::source::SourceFile) -> PathBuf {
    file.path()
        .map_or_else(|| PathBuf::from(file.name()), Path::to_owned)
}

/// What local processes inherit: enough to find programs and speak the user's language, and nothing secret.
fn inherited(environment: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    const NAMES: [&str; 9] = [
        "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR",
    ];
    let is_inherited = |name: &str| NAMES.contains(&name) || name.starts_with("LC_");
    let pairs = environment.iter().filter(|(name, _)| is_inherited(name));
    pairs
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// A directory's name as the name of a stack: lower case, anything illegal a `-`.
fn directory_name(directory: &Path) -> StackName {
    let name = directory
        .file_name()
        .map(|name| name.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    let legal: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') {
                c
            } else {
                '-'
            }
        })
        .take(63)
        .collect();
    let trimmed = legal.trim_start_matches(['-', '_', '.']);
    StackName::new(trimmed).unwrap_or_else(|_| StackName::new("stack").expect("a legal name"))
}
