//! Volumes, and the files that Compose mounts for secrets and configs.
//!
//! Owns: that mounts are said in the short form wherever it says all. A secret or a config that is a file becomes that file,
//! mounted read-only where Compose mounts it.

use super::convert::{Converter, fields_of, top_field};
use super::inner;
use super::keys::Rule;
use super::nodes::{entry, get, list, map, one_or_more, plain, split, text, written};
use super::service::Draft;
use super::tmpfs;
use crate::report::Code;
use crate::yaml::{Entry, Node, Value, shorten};

pub(super) fn volumes(converter: &mut Converter<'_>, draft: &mut Draft<'_>, own: &Entry) {
    let mut mounts = Vec::new();
    for mount in one_or_more(&own.value) {
        match &mount.value {
            Value::Scalar(scalar) => mounts.push(short(converter, draft, mount, &scalar.text)),
            Value::Map(_) => mounts.extend(long(converter, draft, mount)),
            Value::List(_) => mounts.push(mount.clone()),
        }
    }
    if !mounts.is_empty() {
        draft.put("volumes", own.key_span, list(own.value.span, mounts));
    }
}

/// Options that mean the same here, or nothing on this system.
const OPTIONS: [&str; 7] = ["ro", "rw", "z", "Z", "cached", "delegated", "consistent"];

/// A mount in the short form, without the options that are not carried over.
fn short(converter: &mut Converter<'_>, draft: &Draft<'_>, mount: &Node, said: &str) -> Node {
    let mut parts = split(said);
    if let [_, _, options] = parts.as_slice() {
        let mut kept = Vec::new();
        for option in options.split(',') {
            if OPTIONS.contains(&option) || option.contains('$') {
                kept.push(option);
                continue;
            }
            let what = format!(
                "the option `{}` of a mount of `{}`",
                shorten(option),
                shorten(draft.name)
            );
            let (means, instead) = match option {
                "nocopy" => (
                    "a new volume is filled from the image",
                    "leave the directory out of the image",
                ),
                _ => (
                    "it is mounted in the engine's usual way",
                    "nothing is to be done unless the program needs it",
                ),
            };
            converter.lost(mount.span, &what, means, instead);
        }
        let kept = kept.join(",");
        match kept.is_empty() {
            true => drop(parts.pop()),
            false => parts[2] = kept,
        }
    }
    let mut said = parts.join(":");
    if let Some(rest) = said.strip_prefix("~/") {
        said = format!("${{HOME}}/{rest}");
    }
    text(mount.span, said)
}

/// A mount in the long form, in the short one.
fn long(converter: &mut Converter<'_>, draft: &mut Draft<'_>, mount: &Node) -> Option<Node> {
    let kind = converter
        .value_of(mount, "type")
        .unwrap_or_else(|| "volume".into());
    let of = format!("a mount of `{}`", shorten(draft.name));
    let target = get(mount, "target").and_then(written).unwrap_or_default();
    if kind == "tmpfs" {
        tmpfs::long(converter, draft, mount, target);
        return None;
    }
    if !matches!(kind.as_str(), "volume" | "bind") {
        let what = format!(
            "a mount of type `{}` of `{}`",
            shorten(&kind),
            shorten(draft.name)
        );
        converter.lost(
            mount.span,
            &what,
            "it is not there inside",
            "mount a directory or a volume",
        );
        return None;
    }
    converter.rest_is_lost(
        mount,
        (
            &[
                "type",
                "source",
                "target",
                "read_only",
                "bind",
                "volume",
                "consistency",
            ],
            inner::MOUNT,
        ),
        &of,
        ("the stack file cannot say it", "leave it out"),
    );
    let mut options: Vec<String> = Vec::new();
    if converter.value_of(mount, "read_only").as_deref() == Some("true") {
        options.push("ro".into());
    }
    if let Some(bind) = get(mount, "bind") {
        converter.rest_is_lost(
            bind,
            (&["propagation", "selinux", "create_host_path"], inner::BIND),
            &of,
            ("the stack file cannot say it", "leave it out"),
        );
        options.extend(converter.value_of(bind, "propagation"));
        options.extend(converter.value_of(bind, "selinux"));
        let create = converter.value_of(bind, "create_host_path");
        if kind == "bind" && create.as_deref() == Some("false") {
            return Some(strict(converter, mount, bind, &of));
        }
    }
    if let Some(volume) = get(mount, "volume") {
        converter.rest_is_lost(
            volume,
            (&["nocopy"], inner::MOUNTED_VOLUME),
            &of,
            ("the stack file cannot say it", "mount the whole volume"),
        );
        if converter.value_of(volume, "nocopy").as_deref() == Some("true") {
            options.push("nocopy".into());
        }
    }
    if target.is_empty() {
        // Of a misspelt key it was said already.
        if !mount
            .entries()
            .iter()
            .any(|part| !inner::MOUNT.contains(&part.key.as_str()))
        {
            converter
                .sink
                .error(Code::Missing, mount.span, format!("{of} has no `target`"))
                .help("say where it is inside: `target: /data`");
        }
        return None;
    }
    let source = get(mount, "source").and_then(written);
    let source = source.map(|source| match kind.as_str() {
        "bind" => as_path(source),
        _ => source.to_owned(),
    });
    let mut said: Vec<String> = source.into_iter().collect();
    said.push(target.to_owned());
    if !options.is_empty() {
        said.push(options.join(","));
    }
    Some(short(converter, draft, mount, &said.join(":")))
}

/// A bind whose source must be there, which only the long form can say.
fn strict(converter: &mut Converter<'_>, mount: &Node, bind: &Node, of: &str) -> Node {
    let of_mount = |key: &&str| mount.entry(key).filter(|part| !part.value.is_null());
    let mut made: Vec<Entry> = ["type", "source", "target", "read_only"]
        .iter()
        .filter_map(of_mount)
        .cloned()
        .collect();
    for part in made.iter_mut().filter(|part| part.key == "source") {
        if let Some(path) = written(&part.value) {
            part.value = text(part.value.span, as_path(path));
        }
    }
    let mut more = bind.entries().to_vec();
    more.retain(|part| matches!(part.key.as_str(), "create_host_path" | "propagation"));
    if let Some(selinux) = bind.entry("selinux") {
        let what = format!("`selinux` of {of}");
        let means = "beside `create_host_path: false` the stack file cannot say it";
        converter.lost(
            selinux.key_span,
            &what,
            means,
            "label the directory with `chcon`",
        );
    }
    made.push(entry("bind", bind.span, map(bind.span, more)));
    map(mount.span, made)
}

/// A relative path that no one takes for the name of a volume.
fn as_path(path: &str) -> String {
    match path.starts_with(['.', '/', '$', '~']) {
        true => path.to_owned(),
        false => format!("./{path}"),
    }
}

/// `secrets` and `configs` of a service.
pub(super) fn files(converter: &mut Converter<'_>, draft: &mut Draft<'_>, own: &Entry, rule: Rule) {
    let (section, what) = match rule {
        Rule::Configs => ("configs", "config"),
        _ => ("secrets", "secret"),
    };
    let mut mounts = Vec::new();
    for item in one_or_more(&own.value) {
        let source = match &item.value {
            Value::Scalar(scalar) => scalar.text.clone(),
            _ => get(item, "source")
                .and_then(written)
                .unwrap_or_default()
                .to_owned(),
        };
        let declared = converter
            .root
            .entry(section)
            .and_then(|all| all.value.entry(&source));
        let Some(declared) = declared else {
            let message = format!("no {what} `{}` is declared", shorten(&source));
            let help = format!("declare it under `{section}` on the top level");
            converter
                .sink
                .error(Code::Missing, item.span, message)
                .help(help);
            continue;
        };
        let of = format!(
            "the {what} `{}` of `{}`",
            shorten(&source),
            shorten(draft.name)
        );
        converter.rest_is_lost(
            item,
            (&["source", "target"], inner::MOUNTED_FILE),
            &of,
            (
                "the file is there with its own owner and mode",
                "set owner and mode of the file itself",
            ),
        );
        let Some(file) = get(&declared.value, "file").and_then(written) else {
            let instead = match rule {
                Rule::Configs => "write it into a file, and say `file:`",
                _ => {
                    "write it into a file, and say `file:`; or give it in `env`: `NAME: {secret: {env: NAME}}`"
                }
            };
            converter.lost(
                item.span,
                &of,
                "it is no file, and is not there inside",
                instead,
            );
            continue;
        };
        let target = get(item, "target").and_then(written).unwrap_or(&source);
        let target = match (target.starts_with('/'), rule) {
            (true, _) => target.to_owned(),
            (false, Rule::Configs) => format!("/{target}"),
            (false, _) => format!("/run/secrets/{target}"),
        };
        let said = format!("{}:{target}:ro", as_path(file));
        mounts.push(short(converter, draft, item, &said));
    }
    if !mounts.is_empty() {
        draft.put("volumes", own.key_span, list(own.value.span, mounts));
    }
}

/// The top level's `volumes`. One that says nothing needs no declaration.
pub(super) fn declared(converter: &mut Converter<'_>, top: &Entry) -> Option<Entry> {
    let known = top_field("volumes").and_then(|field| fields_of(&field.shape));
    let known: Vec<&str> = known
        .unwrap_or_default()
        .iter()
        .map(|field| field.key)
        .collect();
    let mut made = Vec::new();
    for volume in top.value.entries() {
        let mut volume = volume.clone();
        let of = format!("the volume `{}`", shorten(&volume.key));
        if let Value::Map(entries) = &mut volume.value.value {
            of_old(entries);
            entries.retain(|part| !is_default(part) && !part.key.starts_with("x-"));
        }
        for part in volume.value.entries() {
            let is_taken = known.contains(&part.key.as_str());
            if is_taken || converter.is_misspelt(part, inner::VOLUME, &of) {
                continue;
            }
            let what = format!("`{}` of {of}", shorten(&part.key));
            let (means, instead) = match part.key.as_str() {
                "external" | "name" => (
                    "the volume is one of the stack's own, and empty at first",
                    "mount a directory, or copy the data over",
                ),
                "driver" | "driver_opts" => (
                    "the volume is a local one",
                    "mount what lies elsewhere on the machine, and then that directory",
                ),
                _ => (
                    "the stack file cannot say it",
                    "nothing is to be done unless a tool looks for it",
                ),
            };
            converter.lost(part.key_span, &what, means, instead);
        }
        if let Value::Map(entries) = &mut volume.value.value {
            entries.retain(|part| known.contains(&part.key.as_str()));
        }
        made.push(volume);
    }
    let is_built = top_field("volumes").is_some();
    (is_built && !made.is_empty())
        .then(|| entry("volumes", top.key_span, map(top.value.span, made)))
}

/// `external: {name: X}`, as it was written once, as `external: true` and `name: X`.
fn of_old(entries: &mut Vec<Entry>) {
    let old = |part: &Entry| part.key == "external" && matches!(part.value.value, Value::Map(_));
    let Some(external) = entries.iter_mut().find(|part| old(part)) else {
        return;
    };
    let yes = plain(external.value.span, "true");
    let said = std::mem::replace(&mut external.value, yes);
    if let Some(name) = get(&said, "name") {
        let key = said.entry("name").map_or(said.span, |part| part.key_span);
        entries.push(entry("name", key, name.clone()));
    }
}

fn is_default(part: &Entry) -> bool {
    let said = written(&part.value);
    part.value.is_null()
        || matches!(
            (part.key.as_str(), said),
            ("driver", Some("local")) | ("external", Some("false"))
        )
}
