//! The policy as a whole, as the host sees it.

use portcullis_policy::{Destination, Placement, Refusal, Router, Upload, testing};
use portcullis_route_by_attributes::RouteByAttributes;
use portcullis_types::DiskPath;
use proptest::prelude::*;

const SETTINGS: &str = r#"{
    "template": "submissions/{cohort}/{protocol_year}/{table}/{filename}",
    "attributes": {"cohort": ["c1", "c2"], "protocol_year": "year"},
    "ignore": ["note"]
}"#;

fn policy(settings: &str) -> RouteByAttributes {
    testing::configure_router(settings).expect("good settings")
}

/// The disk and the path.
#[derive(Debug, PartialEq)]
struct Route {
    disk: String,
    path: String,
}

fn decide(policy: &mut RouteByAttributes, upload: &Upload) -> Result<Route, Refusal> {
    let placed = policy.place(upload).expect("can decide");
    let routed = policy
        .route(upload, &testing::end(1), &[])
        .expect("can decide");
    match (placed, routed) {
        (Placement::Disk(disk), Destination::Path(path)) => Ok(Route { disk, path }),
        (Placement::Reject(early), Destination::Reject(late)) => {
            assert_eq!(early, late, "what can be refused early is refused early");
            Err(early)
        }
        other => panic!("{other:?}"),
    }
}

fn route(settings: &str, upload: &Upload) -> Result<Route, Refusal> {
    decide(&mut policy(settings), upload)
}

fn path(settings: &str, upload: &Upload) -> String {
    route(settings, upload).expect("routable").path
}

/// The rule that refused.
fn rule(settings: &str, upload: &Upload) -> String {
    let refusal = route(settings, upload).expect_err("to be refused");
    assert!(refusal.message.ends_with('.'), "{}", refusal.message);
    assert!(
        RouteByAttributes::RULES
            .iter()
            .any(|rule| rule.id == refusal.rule)
    );
    refusal.rule
}

fn patient() -> Upload {
    testing::upload("patient.csv")
        .with_attribute("cohort", "c1")
        .with_attribute("protocol_year", "2024")
        .with_attribute("table", "patient")
}

fn with_filename(filename: &str) -> Upload {
    Upload {
        filename: filename.to_owned(),
        ..patient()
    }
}

#[test]
fn a_folder_keeps_its_structure_where_the_template_says_so() {
    let keeps =
        r#"{"template": "in/{folder}/{filename}", "ignore": ["cohort", "protocol_year", "table"]}"#;
    let route_of = |upload: &Upload| route(keeps, upload).expect("routable").path;
    assert_eq!(route_of(&patient()), "in/patient.csv");
    let in_folder = patient().in_folder("scans/2024");
    assert_eq!(route_of(&in_folder), "in/scans/2024/patient.csv");
    let refusal = route(SETTINGS, &in_folder).expect_err("the template does not keep folders");
    assert_eq!(refusal.rule, "folder");
    for folder in ["..", "a/../b", "a//b", "/a", "a/", ".hidden", "con", "a\\b"] {
        let placed = route(keeps, &patient().in_folder(folder));
        let is_safe = placed
            .as_ref()
            .is_ok_and(|route| !route.path.contains(".."));
        assert!(placed.is_err() || is_safe, "{folder}");
    }
}

#[test]
fn an_upload_goes_where_the_template_says() {
    let route = route(SETTINGS, &patient()).expect("routable");
    assert_eq!(route.disk, "local");
    assert_eq!(route.path, "submissions/c1/2024/patient/patient.csv");
}

#[test]
fn ignored_attributes_may_be_there() {
    let upload = patient().with_attribute("note", "../anything / at all");
    assert_eq!(
        path(SETTINGS, &upload),
        "submissions/c1/2024/patient/patient.csv"
    );
}

#[test]
fn every_field_can_stand_in_a_path() {
    let settings = r#"{"template": "{principal}/{received_on}/{upload_id}/{stem}-v1.{extension}"}"#;
    let upload = testing::upload("Patient List.CSV").from_principal("ada@example.org", &[]);
    let wanted = format!(
        "ada@example.org/{}/{}/Patient List-v1.csv",
        "2024-05-06",
        testing::UPLOAD_ID
    );
    assert_eq!(path(settings, &upload), wanted);
}

#[test]
fn the_disk_is_that_of_the_settings() {
    let upload = testing::upload("a.csv");
    let nas = route(r#"{"template": "{filename}", "disk": "nas"}"#, &upload);
    assert_eq!(nas.expect("routable").disk, "nas");
}

#[test]
fn missing_empty_unknown_and_wrong_attributes_are_named_together() {
    let upload = testing::upload("patient.csv")
        .with_attribute("cohort", "c9")
        .with_attribute("table", "")
        .with_attribute("colour", "SECRET");
    let refusal = route(SETTINGS, &upload).expect_err("to be refused");
    let wanted = "The attribute `cohort` must be one of c1, c2. \
        The attribute `protocol_year` is missing; it must be a year of four digits, such as 2024. \
        The attribute `table` is missing; it must be made of the letters a-z and A-Z, digits, `_`, `-` and `.`, without a dot at either end. \
        The attribute `colour` is not known here; leave it out. \
        Expected are: cohort, protocol_year, table.";
    assert_eq!(refusal, Refusal::new("attribute", wanted));
}

#[test]
fn file_names_are_kept_as_they_are_or_refused() {
    for filename in ["données 1.csv", "患者.csv", "a..b.csv", "a b (2).csv"] {
        let wanted = format!("submissions/c1/2024/patient/{filename}");
        assert_eq!(path(SETTINGS, &with_filename(filename)), wanted);
    }
    let long = format!("{}.csv", "x".repeat(252));
    for filename in [
        "",
        ".",
        "..",
        "../../etc/passwd",
        "/etc/passwd",
        "C:\\a.csv",
        "a\0.csv",
        "a\u{202e}.csv",
        ".bashrc",
        "a.csv.",
        "a.csv ",
        "nul.csv",
        &long,
    ] {
        assert_eq!(
            rule(SETTINGS, &with_filename(filename)),
            "filename",
            "{filename:?}"
        );
    }
}

#[test]
fn tricks_in_attributes_never_reach_the_path() {
    for value in [
        "..", ".", "a/b", "a\\b", "/", "a\0", "%2e%2e", " ", "\u{2025}", "．．",
    ] {
        let upload = testing::upload("a.csv").with_attribute("table", value);
        assert_eq!(
            rule(r#"{"template": "{table}/{filename}"}"#, &upload),
            "attribute",
            "{value:?}"
        );
    }
}

#[test]
fn parts_that_become_unsafe_by_joining_are_refused() {
    let upload = testing::upload("a").with_attribute("n", "1");
    assert_eq!(rule(r#"{"template": "com{n}"}"#, &upload), "path");
    let long = testing::upload(&"x".repeat(250)).with_attribute("n", "123456");
    assert_eq!(rule(r#"{"template": "{n}-{filename}"}"#, &long), "path");
    let deep = r#"{"template": "{filename}/{filename}/{filename}/{filename}/{filename}", "ignore": ["n"]}"#;
    assert_eq!(rule(deep, &long), "path");
}

#[test]
fn a_path_that_needs_what_the_upload_lacks_is_refused() {
    assert_eq!(
        rule(
            r#"{"template": "{principal}/{filename}"}"#,
            &testing::upload("a")
        ),
        "principal"
    );
    let upload = testing::upload("a").from_principal("../root", &[]);
    assert_eq!(
        rule(r#"{"template": "{principal}/{filename}"}"#, &upload),
        "principal"
    );
    assert_eq!(
        rule(r#"{"template": "x.{extension}"}"#, &testing::upload("a")),
        "filename"
    );
}

#[test]
fn wrong_settings_say_which_key_and_why() {
    for (settings, wanted) in [
        ("{}", "missing setting `template`"),
        (r#"{"template": "a", "x": 1}"#, "unknown setting `x`"),
        (
            r#"{"template": "/a"}"#,
            "setting `template`: it begins with `/`",
        ),
        (
            r#"{"template": "a", "disk": "../x"}"#,
            "setting `disk`: \"../x\" is not",
        ),
        (
            r#"{"template": "a", "attributes": {"y": "yr"}}"#,
            "setting `attributes.y`: invalid value: string \"yr\", expected a list of allowed values, or one of the formats token, year, integer, date",
        ),
        (
            r#"{"template": "a", "attributes": {"y": []}}"#,
            "setting `attributes.y`: the list is empty",
        ),
        (
            r#"{"template": "a", "attributes": {"y": ["a/b"]}}"#,
            "setting `attributes.y`: the value \"a/b\" has",
        ),
        (
            r#"{"template": "a", "attributes": {"y": [1]}}"#,
            "setting `attributes.y[0]`: invalid type",
        ),
        (
            r#"{"template": "a", "attributes": {"stem": "year"}}"#,
            "setting `attributes`: `stem` has a meaning",
        ),
        (
            r#"{"template": "a", "attributes": {"a b": "year"}}"#,
            "setting `attributes`: \"a b\" is not",
        ),
        (
            r#"{"template": "{a}", "ignore": ["a"]}"#,
            "setting `ignore`: the attribute `a` is used",
        ),
    ] {
        let error = testing::configure_router::<RouteByAttributes>(settings).expect_err(settings);
        assert!(error.starts_with(wanted), "{settings}: {error}");
    }
}

/// Text that comes near to what is dangerous in a path.
fn tricky_text() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        "[a-zA-Z0-9_.-]{0,6}",
        "\\PC{0,4}",
        any::<char>().prop_map(String::from),
        prop::sample::select(vec![
            "..", ".", "/", "\\", "\0", " ", "con", "COM1", "nul.", "\u{202e}", "é", "e\u{301}"
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(fragment, 0..5).prop_map(|fragments| fragments.concat())
}

proptest! {
    #[test]
    fn whatever_is_routed_is_a_safe_path_of_the_templates_depth(
        filename in tricky_text(),
        value in tricky_text(),
        principal in tricky_text(),
    ) {
        for (template, depth) in [
            ("in/{a}/{filename}", 3),
            ("{principal}/{a}{a}.x", 2),
            ("{a}-{stem}.{extension}", 1),
            ("com{a}/{upload_id}", 2),
        ] {
            let settings = format!(r#"{{"template": "{template}"}}"#);
            let upload = testing::upload(&filename)
                .with_attribute("a", &value)
                .from_principal(&principal, &[]);
            if let Ok(route) = route(&settings, &upload) {
                let path: Result<DiskPath, _> = route.path.parse();
                prop_assert_eq!(path.map(|path| path.parts().count()), Ok(depth), "{:?}", route.path);
            }
        }
    }

    #[test]
    fn a_listed_value_is_refused_at_first_or_safe_for_ever(value in tricky_text()) {
        let settings = serde_json::json!({
            "template": "{a}/{filename}",
            "attributes": {"a": [value]},
        });
        if let Ok(mut policy) = testing::configure_router::<RouteByAttributes>(&settings.to_string()) {
            let upload = testing::upload("a.csv").with_attribute("a", &value);
            let route = decide(&mut policy, &upload).expect("the value is listed");
            prop_assert!(route.path.parse::<DiskPath>().is_ok(), "{:?}", route.path);
        }
    }

    #[test]
    fn any_template_is_read_or_refused_and_never_leads_out(template in "(\\PC|[/.x]|\\{a\\}|\\{filename\\}|[{}]){0,10}") {
        let settings = serde_json::json!({"template": template});
        if let Ok(mut policy) = testing::configure_router::<RouteByAttributes>(&settings.to_string()) {
            let mut upload = testing::upload("a.csv");
            if template.contains("{a}") {
                upload = upload.with_attribute("a", "1");
            }
            if let Ok(route) = decide(&mut policy, &upload) {
                prop_assert!(route.path.parse::<DiskPath>().is_ok(), "{:?}", route.path);
            }
        }
    }
}
