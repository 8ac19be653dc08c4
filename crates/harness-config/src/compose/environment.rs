//! What Compose takes from the environment and `.env`: names, profiles and files.
//!
//! Owns: what `COMPOSE_PROJECT_NAME`, `COMPOSE_PROFILES` and `COMPOSE_FILE` say, and the name that a directory gives a
//! project. The environment comes with the question; of files only `.env` is read, or what stands in for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use service_orchestration::spec::StackName;

use super::nodes::{entry, text};
use crate::input::read_text;
use crate::source::Span;
use crate::text::{Variables, expanded};
use crate::yaml::{Node, Value};

/// The name that the environment gives the project, if it does.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn project_name(variables: &Variables) -> Option<Result<&str, String>> {
    let name = said(variables.get("COMPOSE_PROJECT_NAME"))?;
    if normalised(name) == name {
        return Some(Ok(name));
    }
    Some(Err(format!(
        "`COMPOSE_PROJECT_NAME` is `{}`: a project's name has lower-case letters, digits, `-` and `_`, and begins with a letter or a digit",
        crate::yaml::shorten(name)
    )))
}

/// The name that a directory gives the project. With it, volumes and networks are called as they are under Compose.
pub(crate) fn directory_name(directory: &Path) -> Option<String> {
    let name = directory.file_name()?.to_string_lossy();
    Some(normalised(&name)).filter(|name| !name.is_empty())
}

/// Writes the project's name into the tree of a stack file that would be called otherwise, `otherwise`, elsewhere.
pub(crate) fn keep_name(
    root: &mut Node,
    variables: &Variables,
    directory: &Path,
    otherwise: &StackName,
) {
    let given = project_name(variables).and_then(Result::ok);
    let is_named = root.entry("name").is_some();
    let name = match given {
        Some(name) => name.to_owned(),
        None => match directory_name(directory) {
            Some(name) if !is_named && name != otherwise.as_str() => name,
            _ => return,
        },
    };
    let nowhere = Span::whole(root.span.file);
    if let Value::Map(entries) = &mut root.value {
        entries.retain(|top| top.key != "name");
        entries.insert(0, entry("name", nowhere, text(nowhere, name)));
    }
}

/// The profiles that the environment makes active.
pub(crate) fn profiles(variables: &Variables) -> Vec<String> {
    let said = variables.get("COMPOSE_PROFILES").unwrap_or_default();
    let names = said.split(',').map(str::trim);
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The files that `COMPOSE_FILE` names, in the environment, or in `.env` of this directory or the files that stand in for
/// it. Relative ones of a file are relative to the directory.
pub fn compose_files(
    directory: &Path,
    env_files: &[PathBuf],
    environment: &BTreeMap<String, String>,
) -> Option<Vec<PathBuf>> {
    let dotenv = [directory.join(".env")];
    let env_files = match env_files {
        [] => dotenv.as_slice(),
        named => named,
    };
    let mut file: BTreeMap<String, String> = BTreeMap::new();
    for path in env_files {
        let text = read_text(path).unwrap_or_default();
        let known = |name: &str| environment.get(name).or_else(|| file.get(name)).cloned();
        let read = expanded(&text, known).assignments;
        file.extend(read);
    }
    let of_file = |name: &str| said(file.get(name).map(String::as_str));
    let given = |name: &str| said(environment.get(name).map(String::as_str));
    let separator = given("COMPOSE_PATH_SEPARATOR").or_else(|| of_file("COMPOSE_PATH_SEPARATOR"));
    let parts = |list: &str| -> Vec<PathBuf> {
        let parts = list.split(separator.unwrap_or(":"));
        parts
            .filter(|part| !part.is_empty())
            .map(PathBuf::from)
            .collect()
    };
    let files = match given("COMPOSE_FILE") {
        Some(list) => parts(list),
        None => {
            let files = parts(of_file("COMPOSE_FILE")?);
            files.iter().map(|file| directory.join(file)).collect()
        }
    };
    (!files.is_empty()).then_some(files)
}

fn said(value: Option<&str>) -> Option<&str> {
    value.filter(|value| !value.is_empty())
}

/// As Compose does it: lower case, without what it does not take.
fn normalised(name: &str) -> String {
    let name = name.to_lowercase();
    let legal = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    let name: String = name.chars().filter(legal).collect();
    name.trim_start_matches(['-', '_'])
        .chars()
        .take(63)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_names_a_project_as_under_compose() {
        for (directory, name) in [
            ("/x/shop", Some("shop")),
            ("/x/My.App v2", Some("myappv2")),
            ("/x/_-Shop_1-", Some("shop_1-")),
            ("/x/...", None),
            ("/", None),
        ] {
            let found = directory_name(Path::new(directory));
            assert_eq!(found.as_deref(), name, "{directory}");
        }
    }
}
