//! `build`: what an image is made of.
//!
//! Owns: which parts of it may be left out. Without some of them another image would come of it under the same name: those
//! are refused. The others change how it is built, or what is known of it.

use super::convert::{Converter, fields_of, stack_field};
use super::inner;
use super::nodes::{entry, get, map, text};
use super::service::Draft;
use crate::table::Shape;
use crate::yaml::{Entry, shorten};

/// `build: DIR`, or a mapping.
pub(super) fn turn(converter: &mut Converter<'_>, draft: &mut Draft<'_>, own: &Entry) {
    let build = &own.value;
    if build.scalar().is_some() {
        let context = entry("context", own.key_span, build.clone());
        draft.put("build", own.key_span, map(build.span, vec![context]));
        return;
    }
    let of = format!("`build` of `{}`", shorten(draft.name));
    let context = converter.value_of(build, "context").unwrap_or_default();
    let is_remote = context.contains("://") || context.starts_with("git@");
    if is_remote && get(draft.source, "image").is_some() {
        let means = "images are built from directories of this machine";
        let instead = "fetch what is elsewhere first, and name its directory";
        return converter.lost(own.key_span, &of, means, instead);
    }
    let known = stack_field("build", draft.is_task).and_then(|field| fields_of(&field.shape));
    let known = known.unwrap_or_default().iter();
    let known = known.filter(|field| !matches!(field.shape, Shape::NotBuilt(_)));
    let taken: Vec<&str> = known.map(|field| field.key).collect();
    let mut kept = Vec::new();
    for part in build.entries() {
        let key = part.key.as_str();
        let is_unsaid =
            part.value.is_null() || converter.value(&part.value).as_deref() == Some("false");
        if taken.contains(&key) {
            kept.extend((!part.value.is_null()).then(|| part.clone()));
        } else if key.starts_with("x-")
            || converter.is_misspelt(part, inner::BUILD, &of)
            || is_unsaid
        {
            // Nothing is lost.
        } else if let Some((_, means, instead)) = ANOTHER.iter().find(|(name, ..)| *name == key) {
            converter.refuse(part.key_span, &format!("`{key}` of {of}"), means, instead);
        } else {
            let (means, instead) = less(key);
            converter.lost(part.key_span, &format!("`{key}` of {of}"), means, instead);
        }
    }
    if !kept.iter().any(|part| part.key == "context") {
        kept.insert(0, entry("context", own.key_span, text(build.span, ".")));
    }
    draft.put("build", own.key_span, map(build.span, kept));
}

/// Parts without which another image comes of it, why that is, and what to do instead.
const ANOTHER: [(&str, &str, &str); 4] = [
    (
        "dockerfile_inline",
        "the Dockerfile of the context would be built in its place",
        "write it into a file, and name that: `dockerfile: FILE`",
    ),
    (
        "additional_contexts",
        "what the Dockerfile takes from them would be taken from images of those names",
        "put what is needed into the context, or build the image before and name it by `image`",
    ),
    (
        "secrets",
        "what the Dockerfile mounts would be empty",
        "fetch what needs them before, and copy it in; or build the image before and name it by `image`",
    ),
    (
        "ssh",
        "what the Dockerfile fetches with it would be missing",
        "fetch it before, and copy it in; or build the image before and name it by `image`",
    ),
];

/// What it means that another part is left out, and what can be done.
fn less(key: &str) -> (&'static str, &'static str) {
    match key {
        "cache_from" | "cache_to" => ("the engine's own cache is used", "nothing is to be done"),
        "no_cache" | "no_cache_filter" => (
            "the engine's own cache is used",
            "build it by hand with `--no-cache` where it is to be anew",
        ),
        "pull" => (
            "what it is made from is fetched when it is not there",
            "fetch it by hand when it is to be a newer one",
        ),
        "platforms" => (
            "it is built for the platform of the engine",
            "build it before for another one, and name it by `image`",
        ),
        "labels" => (
            "the image has no such labels",
            "write them as `LABEL` into the Dockerfile",
        ),
        "tags" => ("the image has its one name", "`docker tag` gives it others"),
        "provenance" | "sbom" | "attest" => (
            "nothing is attested of the image",
            "nothing is to be done to run it",
        ),
        "network" => ("it is built on the engine's usual network", BEFORE),
        "extra_hosts" => ("these names do not resolve while it is built", BEFORE),
        "shm_size" | "ulimits" => ("the build has the engine's usual limits", BEFORE),
        "privileged" | "entitlements" => ("the build has the usual rights", BEFORE),
        _ => ("the stack file cannot say it", BEFORE),
    }
}

const BEFORE: &str = "where the build needs it, build the image before and name it by `image`";
