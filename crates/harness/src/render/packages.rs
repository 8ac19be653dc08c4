//! Packages: what was made, and what is in one.
//!
//! Owns: their lines. What a package says of itself is not trusted with the terminal.

use std::path::Path;

use harness_package::{About, Content, Digest, Manifest};

use super::escape::escaped;
use super::look::{Look, Span};

/// What a package is, in short.
pub(crate) fn package_lines(
    look: &Look,
    about: &About,
    archive: &Path,
    size: u64,
    sha256: Digest,
    signer: Option<String>,
) -> String {
    let signer = signer.unwrap_or_else(|| look.paint(Span::Bad, "nobody"));
    format!(
        "{} {}\n  archive    {}\n  size       {}\n  sha256     {sha256}\n  signed by  {signer}\n",
        look.paint(Span::Strong, about.name.as_str()),
        about.version,
        escaped(archive.display().to_string().as_bytes()),
        size_text(size),
    )
}

/// All of it.
pub(crate) fn package_page(
    look: &Look,
    manifest: &Manifest,
    archive: &Path,
    size: u64,
    sha256: Digest,
    signer: Option<String>,
) -> String {
    let about = manifest.about();
    let mut text = package_lines(look, about, archive, size, sha256, signer);
    let mut line = |what: &str, said: &str| {
        text += &format!("  {what:<9}  {}\n", escaped(said.as_bytes()));
    };
    let words = |program: &str, args: &[String]| {
        let words: Vec<&str> = std::iter::once(program)
            .chain(args.iter().map(String::as_str))
            .collect();
        words.join(" ")
    };
    let service = &about.service;
    line("runs", &words(service.binary.as_str(), &service.args));
    if let Some(setup) = &about.setup {
        line("setup", setup.as_str());
    }
    if let Some(health) = &about.health {
        line("health", &words(&health.command, &health.args));
    }
    if !about.dependencies.is_empty() {
        let names: Vec<&str> = about
            .dependencies
            .iter()
            .map(|name| name.as_str())
            .collect();
        line("needs", &names.join(", "));
    }
    // Names alone: values may be long, and `-o json` has them.
    if !about.environment.is_empty() {
        let names: Vec<&str> = about.environment.keys().map(String::as_str).collect();
        line("sets", &names.join(", "));
    }
    text += "  files\n";
    for entry in manifest.entries() {
        let path = escaped(entry.path.as_str().as_bytes());
        text += &match &entry.content {
            Content::File { mode, size, .. } => {
                let mode = String::from(*mode);
                format!("    {mode}  {:>10}  {path}\n", size_text(*size))
            }
            Content::Link { target } => {
                let target = escaped(target.as_str().as_bytes());
                format!("    link  {:>10}  {path} -> {target}\n", "")
            }
        };
    }
    text
}

/// A length as people say it.
fn size_text(bytes: u64) -> String {
    let units = ["kB", "MB", "GB"];
    let mut size = bytes as f64;
    let mut unit = "B";
    for larger in units {
        if size < 1000.0 {
            break;
        }
        size /= 1000.0;
        unit = larger;
    }
    match unit {
        "B" => format!("{bytes} B"),
        _ => format!("{size:.1} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_said_in_three_digits() {
        assert_eq!(size_text(999), "999 B");
        assert_eq!(size_text(12_400_000), "12.4 MB");
        assert_eq!(size_text(2_000_000_000), "2.0 GB");
    }
}
