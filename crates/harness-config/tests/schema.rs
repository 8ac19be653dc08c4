//! The JSON Schema says the same as loading: good files fit it, files with unknown keys or wrong values do not.

mod support;

use harness_config::json_schema;
use serde_json::{Value, json};
use support::fixture;

/// The part of draft-07 that the schema uses. An unknown keyword fails, so that nothing is silently not checked.
fn fits(schema: &Value, value: &Value, root: &Value) -> bool {
    let Value::Object(schema) = schema else {
        return schema == &Value::Bool(true);
    };
    schema.iter().all(|(keyword, rule)| match keyword.as_str() {
        "$schema" | "title" | "description" | "definitions" | "format" | "then" => true,
        "$ref" => {
            let pointer = rule.as_str().expect("a text").trim_start_matches('#');
            fits(root.pointer(pointer).expect("a definition"), value, root)
        }
        "type" => match rule {
            Value::Array(types) => types.iter().any(|t| is_type(t, value)),
            one => is_type(one, value),
        },
        "enum" => rule
            .as_array()
            .expect("a list")
            .iter()
            .any(|known| same(known, value)),
        "const" => same(rule, value),
        "pattern" => value.as_str().is_none_or(|text| matches(rule, text)),
        "minimum" => value
            .as_f64()
            .is_none_or(|n| n >= rule.as_f64().expect("a number")),
        "maximum" => value
            .as_f64()
            .is_none_or(|n| n <= rule.as_f64().expect("a number")),
        "exclusiveMinimum" => value
            .as_f64()
            .is_none_or(|n| n > rule.as_f64().expect("a number")),
        "anyOf" => rule
            .as_array()
            .expect("a list")
            .iter()
            .any(|rule| fits(rule, value, root)),
        "allOf" => rule
            .as_array()
            .expect("a list")
            .iter()
            .all(|rule| fits(rule, value, root)),
        "if" => !fits(rule, value, root) || fits(&schema["then"], value, root),
        "items" => value
            .as_array()
            .is_none_or(|items| items.iter().all(|item| fits(rule, item, root))),
        "required" => {
            let keys = rule.as_array().expect("a list").iter();
            value.is_object()
                && keys
                    .into_iter()
                    .all(|key| value.get(key.as_str().expect("a text")).is_some())
        }
        "propertyNames" => keys(value).all(|key| fits(rule, &json!(key), root)),
        "properties" => {
            let rules = rule.as_object().expect("a mapping").iter();
            rules
                .into_iter()
                .all(|(key, rule)| value.get(key).is_none_or(|value| fits(rule, value, root)))
        }
        "patternProperties" => true,
        "additionalProperties" => keys(value).all(|key| {
            let known = schema
                .get("properties")
                .is_some_and(|known| known.get(key).is_some());
            let patterns = schema.get("patternProperties").and_then(Value::as_object);
            let by_pattern =
                patterns.is_some_and(|known| known.keys().any(|p| matches(&json!(p), key)));
            known || by_pattern || fits(rule, &value[key], root)
        }),
        other => panic!("the checker does not know `{other}`"),
    })
}

fn keys(value: &Value) -> impl Iterator<Item = &str> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key.as_str())
}

fn matches(pattern: &Value, text: &str) -> bool {
    regex::Regex::new(pattern.as_str().expect("a text"))
        .expect("a pattern")
        .is_match(text)
}

fn same(known: &Value, value: &Value) -> bool {
    known == value || (known.is_number() && known.as_f64() == value.as_f64())
}

fn is_type(name: &Value, value: &Value) -> bool {
    match name.as_str().expect("a text") {
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("unknown type {other}"),
    }
}

fn accepts(text: &str) -> bool {
    let value: Value = serde_yaml::from_str(text).expect("YAML");
    let schema = json_schema();
    fits(&schema, &value, &schema)
}

#[test]
fn the_good_files_fit() {
    for name in [
        "services.yaml",
        "graph-stack-with-tasks.yaml",
        "seed-001.yaml",
    ] {
        let text = std::fs::read_to_string(fixture(name)).expect("a fixture");
        assert!(accepts(&text), "{name}");
    }
    for text in [
        "x-any: [1]\nservices: {a: {image: x}}",
        "services: {a: {type: Docker, image: x, ports: [\"${P}:80\"]}}",
        "services: {a: {target: {type: process, command: x}, env: [A=1], user: u}}",
        "services: {a: {binary: x, restart: on-failure:3, depends_on: {b: }}, b: {command: [x]}}",
        "services: {a: {binary: x, readiness: {tcp: {port: 1}, interval: 0.5}, ports: [{name: x, port: auto}]}}",
        "tasks: {t: {task_type: x, action: {any: [thing]}}}",
        "volumes: {d: , e: {external: true}}\nservices: {a: {type: docker, image: x, ports: ['1:2', {target: 3}], volumes: ['d:/d', {type: tmpfs, target: /t, tmpfs: {mode: 1777}}], limits: {memory: 1g, cpus: 0.5, ulimits: {nofile: 5}}, networks: {default: {aliases: [b]}}, sysctls: [a.b=1], devices: [/dev/fuse], cpus: }}",
        "services: {a: {target: {type: docker, build: {context: ., args: {A: , B: 1}}, pull: build, network: host}, mem_limit: 1g, deploy: {resources: {limits: {cpus: '1'}}}}}",
    ] {
        assert!(accepts(text), "{text}");
        let loaded = support::load_text(&text.replace("${P}", "1"));
        assert!(
            loaded.stack.is_some(),
            "{text}\n{}",
            support::lines(&loaded)
        );
    }
}

#[test]
fn what_loading_refuses_by_shape_does_not_fit() {
    for text in [
        "nmae: x\nservices: {a: {binary: x}}",
        "services: {a: {type: docker, imge: x}}",
        "services: {a: {target: {type: docker, imge: x}}}",
        "services: {a: {target: {type: dokcer, image: x}}}",
        "services: {a: {target: {image: x}}}",
        "services: {a: {type: process, binary: x, image: y}}",
        "services: {a: {target: {type: process, binary: x}, args: [y]}}",
        "services: {a: {binary: x, priority: 1}}",
        "services: {a: {binary: x, replicas: 2}}",
        "services: {a: {binary: x, timeout: 2}}",
        "services: {a: {}}",
        "services: {a: {binary: x, health_check: {comand: y}}}",
        "services: {a: {binary: x, ports: [{name: y}]}}",
        "services: {a: {binary: x, stop: {grace: -1}}}",
        "version: 2\nservices: {a: {binary: x}}",
        "services: {a: {type: docker, image: x, limits: {disk: 1g}}}",
        "services: {a: {type: docker, image: x, platform: y}}",
        "services: {a: {type: docker, image: x, tmpfs: [run]}}",
        "services: {a: {type: process, binary: x, limits: {memory: 1g}}}",
        "volumes: {a: {size: 1}}\nservices: {a: {binary: x}}",
    ] {
        assert!(!accepts(text), "{text}");
        assert!(support::load_text(text).stack.is_none(), "{text}");
    }
}
