//! The JSON Schema (draft-07) that the tables say.
//!
//! Owns: how each shape is said in JSON Schema. Editors check with it while people type, so it takes what loading takes;
//! what needs more than one place of the file to be seen is left to loading.

use serde_json::{Map, Value, json};

use super::{Field, Object, Shape, UnitForm};
use crate::keys::{COMMON, LATER, SERVICE, STACK, TASK, TYPES};

/// The whole schema.
pub(crate) fn json_schema() -> Value {
    let mut schema = object(&STACK);
    let root = schema
        .as_object_mut()
        .expect("an object's schema is an object");
    root.insert(
        "$schema".into(),
        json!("http://json-schema.org/draft-07/schema#"),
    );
    root.insert("title".into(), json!("Stack file of harness"));
    root.insert("patternProperties".into(), json!({"^x-": true}));
    root.insert(
        "definitions".into(),
        json!({
            "service": unit(SERVICE, true),
            "task": unit(TASK, false),
            "target": target(),
        }),
    );
    schema
}

fn shape(of: &Shape) -> Value {
    match of {
        Shape::Text | Shape::Private => json!({"type": ["string", "number", "boolean"]}),
        Shape::Scalar => json!({"type": ["string", "number", "boolean", "null"]}),
        Shape::Known(format) => known(format.schema),
        Shape::KnownOrReference(format) => known(format.schema),
        Shape::Word(words) => {
            json!({"anyOf": [{"enum": words}, {"type": "string", "pattern": any_case(words)}]})
        }
        Shape::Flag => json!({"anyOf": [{"type": "boolean"}, substituted()]}),
        Shape::List(item) => json!({"type": "array", "items": shape(item)}),
        Shape::Map(value) => {
            let value = match value {
                Shape::Object(object) if object.fields.iter().all(|field| !field.is_required) => {
                    nullable(shape(value))
                }
                _ => shape(value),
            };
            json!({"type": "object", "additionalProperties": value})
        }
        Shape::Object(of) => object(of),
        Shape::Either(shapes) => json!({"anyOf": shapes.iter().map(shape).collect::<Vec<_>>()}),
        Shape::Any => json!(true),
        Shape::NotBuilt(_) => json!(false),
        Shape::Unit(UnitForm::Service) => json!({"$ref": "#/definitions/service"}),
        Shape::Unit(UnitForm::Task) => json!({"$ref": "#/definitions/task"}),
    }
}

/// A format's own schema, or text with a variable in it.
fn known(schema: &str) -> Value {
    let own: Value = serde_json::from_str(schema).expect("the formats' schemas are JSON");
    json!({"anyOf": [own, substituted()]})
}

fn substituted() -> Value {
    json!({"type": "string", "pattern": "\\$\\{"})
}

/// No value counts as an absent one.
fn nullable(schema: Value) -> Value {
    json!({"anyOf": [schema, {"type": "null"}]})
}

fn object(of: &Object) -> Value {
    let required: Vec<&Field> = of.fields.iter().filter(|field| field.is_required).collect();
    let mut schema = json!({
        "type": "object",
        "properties": properties(&[of.fields]),
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["allOf"] = required.into_iter().map(present).collect();
    }
    schema
}

/// One of the spellings of a field is there.
fn present(field: &Field) -> Value {
    let spellings = std::iter::once(&field.key).chain(field.aliases);
    json!({"anyOf": spellings.map(|key| json!({"required": [key]})).collect::<Vec<_>>()})
}

fn properties(tables: &[&[Field]]) -> Map<String, Value> {
    let mut properties: Map<String, Value> = Map::new();
    for field in tables.iter().flat_map(|table| table.iter()) {
        if matches!(field.shape, Shape::NotBuilt(_)) {
            continue;
        }
        for key in std::iter::once(&field.key).chain(field.aliases) {
            let mut schema = nullable(shape(&field.shape));
            schema["description"] = json!(field.doc);
            match properties.get_mut(*key) {
                // Types of target share keys that take different things: the union is what fits without the type.
                Some(known) if *known != schema => {
                    if let Some(any) = known["anyOf"].as_array_mut() {
                        any.push(shape(&field.shape));
                    }
                }
                Some(_) => {}
                None => {
                    properties.insert((*key).to_owned(), schema);
                }
            }
        }
    }
    properties
}

/// A service or a task: its own keys, then either `target` or, flat, the fields of its type.
fn unit(own: &'static [Field], needs_target: bool) -> Value {
    let mut tables: Vec<&[Field]> = vec![COMMON, own];
    tables.extend(TYPES.iter().map(|(_, _, fields)| *fields));
    let mut properties = properties(&tables);
    properties.insert("target".into(), json!({"$ref": "#/definitions/target"}));
    properties.insert("type".into(), type_names());
    let mut conditions: Vec<Value> = TYPES
        .iter()
        .map(|(_, names, fields)| of_type(names, keys(&[COMMON, own, fields], &["type"])))
        .collect();
    let beside = TYPES
        .iter()
        .flat_map(|(_, _, fields)| fields.iter())
        .filter(|field| field.is_beside);
    let mut nested = keys(&[COMMON, own], &["target"]);
    nested.extend(
        beside.flat_map(|field| std::iter::once(field.key).chain(field.aliases.iter().copied())),
    );
    conditions
        .push(json!({"if": {"required": ["target"]}, "then": {"propertyNames": {"enum": nested}}}));
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "allOf": conditions,
    });
    if needs_target {
        let ways = ["target", "type", "image", "build", "binary", "command"];
        schema["anyOf"] = ways.iter().map(|key| json!({"required": [key]})).collect();
    }
    schema
}

fn target() -> Value {
    let tables: Vec<&[Field]> = TYPES.iter().map(|(_, _, fields)| *fields).collect();
    let mut properties = properties(&tables);
    properties.insert("type".into(), type_names());
    let conditions: Vec<Value> = TYPES
        .iter()
        .map(|(_, names, fields)| of_type(names, keys(&[fields], &["type"])))
        .collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": ["type"],
        "additionalProperties": false,
        "allOf": conditions,
    })
}

fn of_type(names: &[&str], keys: Vec<&str>) -> Value {
    json!({
        "if": {"properties": {"type": {"type": "string", "pattern": any_case(names)}}, "required": ["type"]},
        "then": {"propertyNames": {"enum": keys}},
    })
}

fn type_names() -> Value {
    let names: Vec<&str> = TYPES
        .iter()
        .flat_map(|(_, names, _)| names.iter().copied())
        .collect();
    debug_assert!(
        names.iter().all(|name| !LATER.contains(name)),
        "what is not built is not offered"
    );
    json!({
        "description": "Where it runs.",
        "anyOf": [{"enum": names}, {"type": "string", "pattern": any_case(&names)}, substituted()],
    })
}

fn keys(tables: &[&'static [Field]], more: &[&'static str]) -> Vec<&'static str> {
    let fields = tables.iter().flat_map(|table| table.iter());
    let mut keys: Vec<&str> = fields
        .filter(|field| !matches!(field.shape, Shape::NotBuilt(_)))
        .flat_map(|field| std::iter::once(field.key).chain(field.aliases.iter().copied()))
        .chain(more.iter().copied())
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// A pattern for these words in any case; JSON Schema's patterns know no flag for it.
fn any_case(words: &[&str]) -> String {
    let letter = |c: char| match c {
        c if c.is_ascii_alphabetic() => {
            format!("[{}{}]", c.to_ascii_lowercase(), c.to_ascii_uppercase())
        }
        c => c.to_string(),
    };
    let words: Vec<String> = words
        .iter()
        .map(|word| word.chars().map(letter).collect())
        .collect();
    format!("^({})$", words.join("|"))
}
