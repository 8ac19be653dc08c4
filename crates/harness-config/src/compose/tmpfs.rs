//! Mounts of memory.
//!
//! Owns: that both forms become the short one, with the options that a stack file knows.

use super::convert::{Converter, stack_field};
use super::nodes::{get, list, one_or_more, split, text, written};
use super::service::Draft;
use crate::keys::tmpfs_option;
use crate::source::Span;
use crate::yaml::{Entry, Node, shorten};

/// `tmpfs` of a service.
pub(super) fn turn(converter: &mut Converter<'_>, draft: &mut Draft<'_>, own: &Entry) {
    for mount in one_or_more(&own.value) {
        let mut parts = split(written(mount).unwrap_or_default()).into_iter();
        let path = parts.next().unwrap_or_default();
        let options = parts.next().unwrap_or_default();
        let options = options.split(',').filter(|option| !option.is_empty());
        let options = options.map(str::to_owned).collect();
        put(converter, draft, (own.key_span, mount.span), &path, options);
    }
}

/// An item of `volumes` with `type: tmpfs`.
pub(super) fn long(
    converter: &mut Converter<'_>,
    draft: &mut Draft<'_>,
    mount: &Node,
    target: &str,
) {
    let mut options = Vec::new();
    for option in get(mount, "tmpfs").map(Node::entries).unwrap_or_default() {
        if let Some(value) = written(&option.value) {
            options.push(format!("{}={value}", option.key));
        }
    }
    if converter.value_of(mount, "read_only").as_deref() == Some("true") {
        options.push("ro".to_owned());
    }
    put(converter, draft, (mount.span, mount.span), target, options);
}

fn put(
    converter: &mut Converter<'_>,
    draft: &mut Draft<'_>,
    (key_span, span): (Span, Span),
    path: &str,
    options: Vec<String>,
) {
    let owner = shorten(draft.name);
    if stack_field("tmpfs", draft.is_task).is_none() {
        let what = format!("the tmpfs `{}` of `{owner}`", shorten(path));
        let means = "what is written there is on the container's own disk";
        let instead = "nothing is to be done unless it must not be on a disk";
        return converter.lost(span, &what, means, instead);
    }
    let mut kept: Vec<String> = Vec::new();
    for option in options {
        let name = option.split('=').next().unwrap_or_default();
        if matches!(name, "size" | "mode" | "ro" | "rw") || tmpfs_option(&option).is_ok() {
            kept.push(option);
            continue;
        }
        let what = format!("the option `{}` of a tmpfs of `{owner}`", shorten(&option));
        let means = "it is mounted in the engine's usual way";
        let instead = "nothing is to be done unless the program needs it";
        converter.lost(span, &what, means, instead);
    }
    let said = match kept.is_empty() {
        true => path.to_owned(),
        false => format!("{path}:{}", kept.join(",")),
    };
    draft.put("tmpfs", key_span, list(span, vec![text(span, said)]));
}
