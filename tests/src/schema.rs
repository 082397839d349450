//! Checks JSON against the part of JSON Schema (draft 2020-12) that the hub's documents use.

use serde_json::Value;

/// Demands that `value` is as `schema` says; `place` names it in the message.
#[track_caller]
pub fn check(value: &Value, schema: &Value, place: &str) {
    let wrong = faults(value, schema, schema, place);
    assert!(wrong.is_empty(), "{}\nin {value}", wrong.join("\n"));
}

fn faults(value: &Value, schema: &Value, root: &Value, place: &str) -> Vec<String> {
    let fields = schema.as_object().expect("a schema is an object");
    let keywords = fields.iter().flat_map(|(keyword, rule)| {
        let inner = inside(value, schema, (keyword, rule), root, place);
        let says = says_of(value, (keyword, rule), place);
        inner.into_iter().chain(says)
    });
    keywords.collect()
}

/// What is wrong by the keywords that hold other schemas.
fn inside(
    value: &Value,
    schema: &Value,
    (keyword, rule): (&str, &Value),
    root: &Value,
    place: &str,
) -> Vec<String> {
    let list = || rule.as_array().expect("a list").iter();
    let members = || value.as_object().into_iter().flatten();
    match keyword {
        "$ref" => {
            let pointer = rule.as_str().and_then(|text| text.strip_prefix('#'));
            let target = pointer.and_then(|pointer| root.pointer(pointer));
            faults(value, target.expect("a reference"), root, place)
        }
        "allOf" => list()
            .flat_map(|part| faults(value, part, root, place))
            .collect(),
        "oneOf" | "anyOf" => {
            let fits = list().any(|part| faults(value, part, root, place).is_empty());
            let says = (!fits).then(|| format!("{place} fits none of {rule}"));
            says.into_iter().collect()
        }
        "properties" => members()
            .filter_map(|(name, inner)| Some((name, inner, rule.get(name)?)))
            .flat_map(|(name, inner, part)| faults(inner, part, root, &format!("{place}.{name}")))
            .collect(),
        "additionalProperties" if rule.is_object() => members()
            .filter(|(name, _)| schema["properties"].get(name).is_none())
            .flat_map(|(name, inner)| faults(inner, rule, root, &format!("{place}.{name}")))
            .collect(),
        "items" => {
            let items = value.as_array().into_iter().flatten().enumerate();
            items
                .flat_map(|(index, inner)| faults(inner, rule, root, &format!("{place}[{index}]")))
                .collect()
        }
        _ => Vec::new(),
    }
}

/// What is wrong by the keywords that speak of the value itself.
fn says_of(value: &Value, (keyword, rule): (&str, &Value), place: &str) -> Vec<String> {
    let list = || rule.as_array().expect("a list").iter();
    let fits = match keyword {
        "type" if rule.is_array() => list().any(|kind| is_of(value, kind)),
        "type" => is_of(value, rule),
        "const" => value == rule,
        "enum" => list().any(|word| word == value),
        "minimum" => !value.is_number() || value.as_f64() >= rule.as_f64(),
        "maximum" => !value.is_number() || value.as_f64() <= rule.as_f64(),
        "pattern" => {
            // The one pattern that is used.
            assert_eq!(rule, "^[0-9]{20}$");
            let text = value.as_str().unwrap_or_default();
            text.len() == 20 && text.bytes().all(|byte| byte.is_ascii_digit())
        }
        "required" => {
            let is_there = |name: &Value| value.get(name.as_str().expect("a name")).is_some();
            let missing = list().filter(|name| value.is_object() && !is_there(name));
            return missing
                .map(|name| format!("{place} has no {name}"))
                .collect();
        }
        _ => true,
    };
    let says = (!fits).then(|| format!("{place}: {keyword} is {rule}"));
    says.into_iter().collect()
}

fn is_of(value: &Value, kind: &Value) -> bool {
    match kind.as_str().expect("the name of a type") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        other => panic!("no type of JSON Schema: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::faults;
    use serde_json::json;

    #[test]
    fn what_does_not_fit_is_found() {
        let schema = json!({
            "type": "object", "required": ["a"],
            "properties": {"a": {"$ref": "#/$defs/A"}, "b": {"type": ["string", "null"]}},
            "$defs": {"A": {"enum": [1, 2]}},
        });
        let fits = |value| faults(&value, &schema, &schema, "value");
        assert_eq!(
            fits(json!({"a": 1, "b": null, "c": true})),
            Vec::<String>::new()
        );
        assert_eq!(fits(json!({"b": "x"})), ["value has no \"a\""]);
        assert_eq!(fits(json!({"a": 3})), ["value.a: enum is [1,2]"]);
        assert_eq!(
            fits(json!({"a": 1, "b": 2})),
            ["value.b: type is [\"string\",\"null\"]"]
        );
        assert_eq!(fits(json!([])), ["value: type is \"object\""]);
    }
}
