//! Checks a service or a task: which keys it may have depends on where it runs.
//!
//! Owns: the two forms of a target, flat (`type:` among the other keys) and nested (`target:`), and every message about
//! a key that belongs elsewhere.

use super::target::{LATER, TYPES, TargetType};
use super::{COMMON, SERVICE, TASK};
use crate::report::Code;
use crate::source::Span;
use crate::table::{Checker, Field, Shape, UnitForm, find};
use crate::yaml::{Entry, Node, Value};

/// Where a unit says where it runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form<'a> {
    pub(crate) kind: TargetType,
    /// The mapping of the unit.
    pub(crate) unit: &'a Node,
    /// The mapping with the target's fields: the unit's own when it is written flat.
    pub(crate) target: &'a Node,
}

impl<'a> Form<'a> {
    /// The entry of a field of the target: in the target, or beside it.
    pub(crate) fn entry(&self, key: &str) -> Option<&'a Entry> {
        let field = find(&[self.kind.fields()], key)?;
        let called = |node: &'a Node| {
            let mut entries = node.entries().iter();
            entries.find(|entry| field.is_called(&entry.key) && !entry.value.is_null())
        };
        called(self.target).or_else(|| {
            if field.is_beside {
                called(self.unit)
            } else {
                None
            }
        })
    }

    /// The value of a field of the target.
    pub(crate) fn node(&self, key: &str) -> Option<&'a Node> {
        self.entry(key).map(|entry| &entry.value)
    }
}

/// The form of a unit; nothing when it has no target, or one of no known type.
pub(crate) fn form_of(unit: &Node) -> Option<Form<'_>> {
    let nested = unit.entry("target").map(|entry| &entry.value);
    let target = nested.unwrap_or(unit);
    let kind = match target.entry("type") {
        Some(entry) => TargetType::named(entry.value.scalar()?.literal()?)?,
        None if nested.is_none() => inferred(unit)?,
        None => return None,
    };
    Some(Form { kind, unit, target })
}

/// Compose names no type: an image makes a container, a program a process.
fn inferred(unit: &Node) -> Option<TargetType> {
    let has = |key: &str| unit.entry(key).is_some();
    if has("image") || has("build") {
        Some(TargetType::Docker)
    } else if has("binary") || has("command") {
        Some(TargetType::Process)
    } else {
        None
    }
}

/// Checks everything a service or a task says.
pub(crate) fn check_unit(checker: &mut Checker<'_>, node: &Node, form: UnitForm, what: &str) {
    let Value::Map(entries) = &node.value else {
        let message = format!(
            "{what} is {}; expected a mapping that says what to run",
            node.describe()
        );
        checker
            .sink
            .error(Code::WrongType, first_byte(node.span), message);
        return;
    };
    let own: &'static [Field] = match form {
        UnitForm::Service => SERVICE,
        UnitForm::Task => TASK,
    };
    match (node.entry("target"), node.entry("type")) {
        (Some(target), Some(flat)) => {
            checker.twice(flat, target);
        }
        (Some(target), None) => nested(checker, entries, target, own),
        (None, kind) => flat(checker, node, entries, kind, own, form, what),
    }
}

fn flat(
    checker: &mut Checker<'_>,
    node: &Node,
    entries: &[Entry],
    type_entry: Option<&Entry>,
    own: &'static [Field],
    form: UnitForm,
    what: &str,
) {
    let rest: Vec<&Entry> = entries.iter().filter(|entry| entry.key != "type").collect();
    let kind = match type_entry {
        Some(entry) => target_type(checker, entry),
        None => inferred(node),
    };
    let Some(kind) = kind else {
        let may_lack_target = form == UnitForm::Task && node.entry("task_type").is_some();
        if type_entry.is_none() && !may_lack_target {
            let message = format!("{what} does not say where it runs");
            checker
                .sink
                .error(Code::Missing, first_byte(node.span), message)
                .help("give `type: process` with `binary`, `image` for a container, or a `target`");
        }
        // Whatever the type was meant to be, its fields are no further errors.
        let mut tables: Vec<&'static [Field]> = vec![COMMON, own];
        tables.extend(TYPES.iter().map(|(_, _, fields)| *fields));
        checker.entries(&rest, &[COMMON, own], &mut |checker, entry| {
            if find(&tables, &entry.key).is_none() {
                checker.unknown(entry, &tables, "a service or task");
            }
        });
        return;
    };
    // What a type has by the name of something that is not built for all is that type's.
    let tables = [kind.fields(), COMMON, own];
    checker.entries(&rest, &tables, &mut |checker, entry| {
        elsewhere_or_unknown(checker, entry, kind, &tables);
    });
    required(checker, node.span, &rest, kind);
}

fn nested(checker: &mut Checker<'_>, entries: &[Entry], target: &Entry, own: &'static [Field]) {
    let inner = &target.value;
    let rest: Vec<&Entry> = entries
        .iter()
        .filter(|entry| entry.key != "target")
        .collect();
    let Value::Map(inner_entries) = &inner.value else {
        let message = format!(
            "`target` is {}; expected a mapping with a `type`",
            inner.describe()
        );
        checker.sink.error(Code::WrongType, inner.span, message);
        checker.entries(&rest, &[COMMON, own], &mut |_, _| {});
        return;
    };
    let kind = match inner.entry("type") {
        Some(entry) => target_type(checker, entry),
        None => {
            checker
                .sink
                .error(Code::Missing, target.key_span, "`target` needs a `type`")
                .help(format!("one of {}", type_names().join(", ")));
            None
        }
    };
    let Some(kind) = kind else {
        checker.entries(&rest, &[COMMON, own], &mut |checker, entry| {
            if !TYPES
                .iter()
                .any(|(_, _, fields)| find(&[fields], &entry.key).is_some_and(|f| f.is_beside))
            {
                checker.unknown(entry, &[COMMON, own], "a service or task");
            }
        });
        return;
    };
    let fields: Vec<&Entry> = inner_entries
        .iter()
        .filter(|entry| entry.key != "type")
        .collect();
    checker.entries(&fields, &[kind.fields()], &mut |checker, entry| {
        if find(&[COMMON, own], &entry.key).is_some() {
            wrong_place(
                checker,
                entry,
                &format!("`{}` belongs beside `target`, not in it", entry.key),
            );
        } else {
            elsewhere_or_unknown(checker, entry, kind, &[kind.fields()]);
        }
    });
    required(checker, first_byte(target.key_span), &fields, kind);
    beside(checker, &rest, &fields, kind, own);
}

/// The keys beside a nested target: common ones, and those of the target that may stand on either level.
fn beside(
    checker: &mut Checker<'_>,
    rest: &[&Entry],
    inner: &[&Entry],
    kind: TargetType,
    own: &'static [Field],
) {
    let (of_target, common): (Vec<&Entry>, Vec<&Entry>) = rest.iter().copied().partition(|entry| {
        let common = find(&[COMMON, own], &entry.key);
        common.is_none_or(|field| matches!(field.shape, Shape::NotBuilt(_)))
            && find(&[kind.fields()], &entry.key).is_some()
    });
    for entry in &of_target {
        let field = find(&[kind.fields()], &entry.key).expect("the partition found it");
        if !field.is_beside {
            wrong_place(
                checker,
                entry,
                &format!("`{}` belongs in `target`, not beside it", entry.key),
            );
        } else if let Some(first) = inner.iter().find(|inner| field.is_called(&inner.key)) {
            checker
                .sink
                .error(
                    Code::Twice,
                    entry.key_span,
                    format!("`{}` stands both in the target and beside it", field.key),
                )
                .label("keep one of them")
                .also(first.key_span, "the other");
        }
    }
    checker.entries(&of_target, &[kind.fields()], &mut |_, _| {});
    checker.entries(&common, &[COMMON, own], &mut |checker, entry| {
        elsewhere_or_unknown(checker, entry, kind, &[COMMON, own]);
    });
}

/// A key that another type of target, or the other kind of unit, has; or an unknown one.
fn elsewhere_or_unknown(
    checker: &mut Checker<'_>,
    entry: &Entry,
    kind: TargetType,
    tables: &[&'static [Field]],
) {
    let others: Vec<&str> = TYPES
        .iter()
        .filter(|(_, _, fields)| find(&[fields], &entry.key).is_some())
        .map(|(other, _, _)| other.name())
        .collect();
    let name = kind.name();
    if !others.is_empty() {
        let message = format!("field `{}` does not belong to type `{name}`", entry.key);
        let fields = kind.fields().iter();
        let fields = fields.filter(|field| field.is_listed());
        let fields: Vec<&str> = fields.map(|field| field.key).collect();
        let is_told = checker.is_listed_now(&format!("`{name}`"), fields.len());
        let report = checker
            .sink
            .error(Code::WrongPlace, entry.key_span, message)
            .label(format!("a field of {}", others.join(", ")));
        if is_told {
            report.help(format!("fields of `{name}`: {}", fields.join(", ")));
        }
    } else if find(&[SERVICE], &entry.key).is_some() && !is_table(tables, SERVICE) {
        wrong_place(
            checker,
            entry,
            &format!("`{}` is a field of services, not of tasks", entry.key),
        );
    } else if find(&[TASK], &entry.key).is_some() && !is_table(tables, TASK) {
        wrong_place(
            checker,
            entry,
            &format!("`{}` is a field of tasks, not of services", entry.key),
        );
    } else {
        let what = if tables.len() == 1 {
            format!("a {name} target")
        } else {
            format!("a unit of type {name}")
        };
        checker.unknown(entry, tables, &what);
    }
}

fn is_table(tables: &[&'static [Field]], table: &'static [Field]) -> bool {
    tables.iter().any(|known| std::ptr::eq(*known, table))
}

fn wrong_place(checker: &mut Checker<'_>, entry: &Entry, message: &str) {
    checker
        .sink
        .error(Code::WrongPlace, entry.key_span, message);
}

/// What a type cannot do without.
fn required(checker: &mut Checker<'_>, span: Span, entries: &[&Entry], kind: TargetType) {
    let name = kind.name();
    let has = |key: &str| {
        entries
            .iter()
            .any(|entry| entry.key == key && !entry.value.is_null())
    };
    checker.missing(
        first_byte(span),
        entries,
        kind.fields(),
        &format!("a {name} target"),
    );
    let choice: &[&str] = match kind {
        TargetType::Process => &["binary", "command"],
        TargetType::ProcessAttach => &["pid", "process_name"],
        TargetType::Docker => &["image", "build"],
        TargetType::Remote => &["binary", "package"],
        TargetType::DockerAttach | TargetType::Package | TargetType::Wireguard => return,
    };
    // A misspelt `imge` has been reported already; that the image is missing is the same mistake.
    let is_misspelt = entries
        .iter()
        .any(|entry| find(&[kind.fields(), COMMON, SERVICE, TASK], &entry.key).is_none());
    match choice.iter().filter(|key| has(key)).count() {
        0 if !is_misspelt => {
            let message = format!("a {name} target needs `{}`", choice.join("` or `"));
            checker.sink.error(Code::Missing, first_byte(span), message);
        }
        0 | 1 => {}
        _ if kind == TargetType::Docker => {}
        _ => {
            let mut both = entries
                .iter()
                .filter(|entry| choice.contains(&entry.key.as_str()));
            if let (Some(first), Some(second)) = (both.next(), both.next()) {
                checker.twice(second, first);
            }
        }
    }
}

fn target_type(checker: &mut Checker<'_>, entry: &Entry) -> Option<TargetType> {
    if entry.value.is_null() {
        checker
            .sink
            .error(Code::Missing, entry.key_span, "`type` is empty");
        return None;
    }
    let Some(scalar) = entry.value.scalar() else {
        checker.check(&entry.value, &Shape::Text, "`type`");
        return None;
    };
    let text = scalar.literal()?;
    if let Some(kind) = TargetType::named(text) {
        return Some(kind);
    }
    if LATER.iter().any(|later| later.eq_ignore_ascii_case(text)) {
        let message = format!(
            "targets of type `{}` are known, but not built yet",
            scalar.text
        );
        checker
            .sink
            .error(Code::NotBuilt, entry.value.span, message);
        return None;
    }
    let message = format!(
        "unknown target type `{}`",
        crate::yaml::shorten(&scalar.text)
    );
    let names = type_names();
    let near = checker.sink.suggest(text, names.iter().copied());
    checker
        .sink
        .error(Code::UnknownType, entry.value.span, message)
        .meant(near)
        .help(format!("types: {}", names.join(", ")));
    None
}

fn type_names() -> Vec<&'static str> {
    TYPES
        .iter()
        .flat_map(|(_, names, _)| names.iter().copied())
        .collect()
}

/// The place itself, without the lines below it.
fn first_byte(span: Span) -> Span {
    Span {
        end: span.start,
        ..span
    }
}
