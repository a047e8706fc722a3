//! Random schemas and values: the verdict is that of the `jsonschema` crate, which has the whole value in memory, and
//! does not depend on how the file is cut.

use portcullis_json_schema::JsonSchema;
use portcullis_policy::testing::{self, Outcome};
use proptest::prelude::*;
use serde_json::{Value, json};

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("a".to_owned()),
        Just("b".to_owned()),
        Just("ab".to_owned()),
        Just("é".to_owned())
    ]
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3i64..6).prop_map(Value::from),
        Just(json!(1.5)),
        Just(json!(2.0)),
        Just(json!("2024-05-06")),
        Just(json!("")),
        name().prop_map(Value::from),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn types() -> impl Strategy<Value = Value> {
    let one = prop_oneof![
        Just("null"),
        Just("boolean"),
        Just("object"),
        Just("array"),
        Just("number"),
        Just("string"),
        Just("integer"),
    ];
    prop_oneof![
        one.clone().prop_map(Value::from),
        prop::collection::btree_set(one, 1..4)
            .prop_map(|types| types.into_iter().collect::<Vec<_>>().into()),
    ]
}

/// One keyword with its value, of those that need no other schema.
fn plain() -> impl Strategy<Value = (&'static str, Value)> {
    let scalars = prop::collection::vec(scalar(), 1..4).prop_map(Value::from);
    let names = || prop::collection::btree_set(name(), 0..3).prop_map(|names| json!(names));
    prop_oneof![
        types().prop_map(|types| ("type", types)),
        scalars.prop_map(|values| ("enum", values)),
        scalar().prop_map(|value| ("const", value)),
        (-2i64..5).prop_map(|number| ("minimum", json!(number))),
        (-2i64..5).prop_map(|number| ("exclusiveMaximum", json!(number))),
        (1i64..4).prop_map(|number| ("multipleOf", json!(number))),
        (0u64..4).prop_map(|count| ("minLength", json!(count))),
        (0u64..4).prop_map(|count| ("maxLength", json!(count))),
        Just(("pattern", json!("^a"))),
        names().prop_map(|names| ("required", names)),
        names().prop_map(|names| ("dependentRequired", json!({"a": names}))),
        (0u64..3).prop_map(|count| ("minProperties", json!(count))),
        (0u64..3).prop_map(|count| ("maxProperties", json!(count))),
        (0u64..3).prop_map(|count| ("minItems", json!(count))),
        (0u64..3).prop_map(|count| ("maxItems", json!(count))),
    ]
}

fn schema() -> impl Strategy<Value = Value> {
    let object = |keywords: Vec<(&'static str, Value)>| {
        let keywords = keywords
            .into_iter()
            .map(|(keyword, value)| (keyword.to_owned(), value));
        Value::Object(keywords.collect())
    };
    let leaf = prop_oneof![
        1 => any::<bool>().prop_map(Value::from),
        5 => prop::collection::vec(plain(), 0..3).prop_map(object),
    ];
    leaf.prop_recursive(3, 24, 4, move |inner| {
        let list = || prop::collection::vec(inner.clone(), 1..3).prop_map(Value::from);
        let members = prop::collection::btree_map(name(), inner.clone(), 0..3);
        let keyword = prop_oneof![
            3 => plain(),
            3 => members.prop_map(|members| ("properties", json!(members))),
            1 => inner.clone().prop_map(|schema| ("patternProperties", json!({"^a": schema}))),
            2 => inner.clone().prop_map(|schema| ("additionalProperties", schema)),
            1 => inner.clone().prop_map(|schema| ("propertyNames", schema)),
            2 => inner.clone().prop_map(|schema| ("items", schema)),
            1 => list().prop_map(|schemas| ("prefixItems", schemas)),
            1 => inner.clone().prop_map(|schema| ("contains", schema)),
            1 => list().prop_map(|schemas| ("allOf", schemas)),
            1 => list().prop_map(|schemas| ("anyOf", schemas)),
            1 => list().prop_map(|schemas| ("oneOf", schemas)),
            1 => inner.clone().prop_map(|schema| ("not", schema)),
            1 => inner.clone().prop_map(|schema| ("if", schema)),
            1 => inner.clone().prop_map(|schema| ("then", schema)),
            1 => inner.clone().prop_map(|schema| ("else", schema)),
        ];
        prop::collection::vec(keyword, 0..4).prop_map(object)
    })
}

fn judge(
    schema: &Value,
    body: &[u8],
    chunk_bytes: usize,
) -> (Outcome, Vec<portcullis_policy::Finding>) {
    testing::provide("schemas/s.json", schema.to_string().as_bytes());
    let mut policy: JsonSchema = testing::configure(r#"{"schema": "s"}"#).expect("are settings");
    testing::take_findings();
    let outcome =
        testing::run_in_chunks(&mut policy, &testing::upload("x.json"), body, chunk_bytes);
    (outcome.expect("can be judged"), testing::take_findings())
}

#[test]
fn what_enum_and_const_both_say_holds() {
    for (schema, values) in [
        (
            json!({"const": null, "enum": [""]}),
            [json!(""), json!(null)],
        ),
        (json!({"const": 2.0, "enum": [1, 2]}), [json!(2), json!(1)]),
    ] {
        for value in values {
            let theirs = jsonschema::draft202012::new(&schema)
                .expect("is a schema")
                .is_valid(&value);
            let ours = judge(&schema, value.to_string().as_bytes(), 65_536);
            assert_eq!(
                ours.0 == Outcome::Accept,
                theirs,
                "{schema} {value}: {ours:?}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_verdict_is_that_of_another_implementation(schema in schema(), value in value(), pretty: bool) {
        let theirs = jsonschema::draft202012::new(&schema).expect("is a schema").is_valid(&value);
        let body = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let body = body.expect("is JSON");
        let ours = judge(&schema, body.as_bytes(), 65_536);
        prop_assert_eq!(ours.0 == Outcome::Accept, theirs, "{} {}: {:?}", schema, value, ours);
        prop_assert_eq!(judge(&schema, body.as_bytes(), 1), ours);
    }

    #[test]
    fn what_is_json_is_what_serde_json_reads(text in "[\\[\\]{}:,\"\\\\untrueé0-9.eE+ -]{0,16}") {
        let theirs = serde_json::from_str::<Value>(&text).is_ok();
        let ours = judge(&json!(true), text.as_bytes(), 65_536);
        let duplicate = ours.1.iter().any(|finding| finding.rule == "duplicate-key");
        prop_assert_eq!(ours.0 == Outcome::Accept || duplicate, theirs, "{:?}: {:?}", text, ours);
        prop_assert_eq!(judge(&json!(true), text.as_bytes(), 1), ours);
    }
}
