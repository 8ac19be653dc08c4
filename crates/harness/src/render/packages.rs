//! Packages: what was made, and what is in one.
//!
//! Owns: their lines. What a package says of itself is not trusted with the terminal.

use std::path::Path;

use harness_core::package::{Deployed, SlotName, SlotVersions};
use harness_package::{About, Content, Digest, Manifest};

use super::escape::escaped;
use super::look::{Look, Span};
use super::table::{Cell, Column, NOTHING, column, table};

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

/// What is current on a host now.
pub(crate) fn push_line(look: &Look, host: &str, slot: &SlotName, deployed: &Deployed) -> String {
    let place = look.paint(Span::Good, &deployed.place.to_string());
    let before = match &deployed.from {
        Some(from) if *from == deployed.place => ", as before".to_owned(),
        Some(from) => format!(", after {from}"),
        None => String::new(),
    };
    let sent = if deployed.was_sent {
        ""
    } else {
        "; it was there already"
    };
    let current = escaped(deployed.current.display().to_string().as_bytes());
    format!("{host}: {slot} is {place}{before}{sent}\n  {current}\n")
}

/// What a setup script said that failed.
pub(crate) fn setup_report(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines = text.lines().map(|line| escaped(line.as_bytes()));
    lines.map(|line| format!("  {line}\n")).collect()
}

/// The versions on each host.
pub(crate) fn package_table(look: &Look, hosts: &[(String, Vec<SlotVersions>)]) -> String {
    let mut rows = Vec::new();
    for (host, slots) in hosts {
        for SlotVersions { slot, versions } in slots {
            for version in versions {
                let place = &version.place;
                let current = match version.current {
                    true => Cell::painted("current", Span::Good),
                    false => Cell::new(NOTHING),
                };
                rows.push(vec![
                    Cell::painted(host, Span::Strong),
                    Cell::new(slot.as_str()),
                    Cell::new(place.version.to_string()),
                    current,
                    Cell::new(size_text(version.bytes)),
                    Cell::new(version.signer.clone().unwrap_or_else(|| NOTHING.to_owned())),
                    Cell::new(&place.sha256.to_string()[..12]),
                ]);
            }
        }
    }
    let lines = table(look, &HEAD, &rows);
    lines.into_iter().map(|line| line + "\n").collect()
}

const HEAD: [Column; 7] = [
    column("HOST", 0),
    column("NAME", 0),
    column("VERSION", 0),
    column("IS", 0),
    column("SIZE", 2),
    column("SIGNED BY", 1),
    column("SHA256", 3),
];

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
