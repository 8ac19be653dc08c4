//! What the engine's command line is told to build an image.
//!
//! Owns: the words, and which values are kept out of them. Runs nothing.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::Build;

/// How an image is built, besides what its recipe says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildHow {
    /// Nothing of earlier builds is used.
    pub no_cache: bool,
    /// What it is made from is fetched, also when it is there.
    pub pull: bool,
    /// Values of `ARG`s, which go before those of the recipe; without one, it is taken from the environment of the command
    /// line.
    pub args: Vec<(String, Option<String>)>,
}

/// The arguments behind `docker build`, and the variables that it is run with. The values of `ARG`s are among the second:
/// everybody on a machine can read the arguments of a process.
#[derive(Clone, PartialEq, Eq)]
pub struct BuildLine {
    /// The arguments; the last is the context.
    pub words: Vec<OsString>,
    /// Variables for it, besides its own environment.
    pub variables: Vec<(String, String)>,
}

impl BuildLine {
    /// To build `recipe`, whose paths are relative to `directory`, under the name `image`.
    ///
    /// The value of an `ARG` whose name means something to the command line itself (`PATH`, `DOCKER_…`) stands among the
    /// words: as a variable it would change where and how is built.
    pub fn new(directory: &Path, image: &str, recipe: &Build, how: &BuildHow) -> Self {
        let mut words: Vec<OsString> = vec!["--tag".into(), image.into()];
        let context = plain(&directory.join(&recipe.context));
        if let Some(file) = &recipe.dockerfile {
            words.extend(["--file".into(), plain(&context.join(file)).into_os_string()]);
        }
        if let Some(stage) = &recipe.target {
            words.extend(["--target".into(), stage.into()]);
        }
        if how.no_cache {
            words.push("--no-cache".into());
        }
        if how.pull {
            words.push("--pull".into());
        }
        let mut values: BTreeMap<&str, Option<&str>> = BTreeMap::new();
        let said = recipe.args.iter();
        values.extend(said.map(|(name, value)| (name.as_str(), Some(value.as_str()))));
        let given = how.args.iter();
        values.extend(given.map(|(name, value)| (name.as_str(), value.as_deref())));
        let mut variables = Vec::new();
        for (name, value) in values {
            words.push("--build-arg".into());
            match value {
                Some(value) if steers(name) => words.push(format!("{name}={value}").into()),
                Some(value) => {
                    words.push(name.into());
                    variables.push((name.to_owned(), value.to_owned()));
                }
                None => words.push(name.into()),
            }
        }
        words.push(context.into_os_string());
        Self { words, variables }
    }
}

/// The path without what only repeats a directory: `/shop/./app`.
fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}

/// Without the values, which may be secret.
impl std::fmt::Debug for BuildLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.variables.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("BuildLine")
            .field("variables", &names)
            .finish_non_exhaustive()
    }
}

/// Whether a variable means something to the engine's command line.
fn steers(name: &str) -> bool {
    ["PATH", "HOME", "TMPDIR"].contains(&name)
        || STEERING.iter().any(|begins| name.starts_with(begins))
}

/// How the names of variables begin by which engines' command lines, their builders and what loads them are steered.
const STEERING: [&str; 6] = [
    "DOCKER_",
    "BUILDKIT_",
    "BUILDX_",
    "LD_",
    "XDG_",
    "CONTAINER",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_arguments_are_not_among_the_words() {
        let recipe = Build {
            context: "./app/.".into(),
            dockerfile: Some("./Other".into()),
            args: [("TOKEN", "file"), ("PATH", "/x"), ("KEPT", "k")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            target: Some("last".into()),
        };
        let how = BuildHow {
            no_cache: true,
            pull: true,
            args: vec![
                ("TOKEN".to_owned(), Some("s3cret".to_owned())),
                ("MINE".to_owned(), None),
            ],
        };
        let line = BuildLine::new(Path::new("/s"), "shop-api", &recipe, &how);
        let words: Vec<_> = line
            .words
            .iter()
            .map(|word| word.to_string_lossy())
            .collect();
        assert_eq!(
            words.join(" "),
            "--tag shop-api --file /s/app/Other --target last --no-cache --pull --build-arg KEPT --build-arg MINE --build-arg PATH=/x --build-arg TOKEN /s/app"
        );
        let expected = [("KEPT", "k"), ("TOKEN", "s3cret")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(line.variables, expected);
        assert!(!format!("{line:?}").contains("s3cret"));
    }
}
