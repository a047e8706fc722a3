//! `portcullis policy inspect`: what a component says of itself, and what its file shows.

use std::process::ExitCode;

use anyhow::{Context, Result};
use portcullis_engine::{Policy, PolicyKind, Shape, Workbench};
use serde::Serialize;
use serde_json::Value;

use crate::policy::candidate::{self, CandidateArguments};
use crate::policy::markdown;
use crate::screen::{self, DIM, HEAD, styled};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    candidate: CandidateArguments,
    /// The report as JSON.
    #[arg(long)]
    json: bool,
    /// A page of documentation, without its title.
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
}

#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) kind: &'static str,
    pub(crate) summary: String,
    pub(crate) settings_schema: Value,
    pub(crate) rules: Vec<Named>,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) resources: Vec<String>,
    pub(crate) counters: Vec<String>,
    sha256: String,
    size_bytes: u64,
    functions: u64,
    /// From the start.
    memory_bytes: u64,
    imports: Vec<String>,
    exports: Vec<String>,
    toolchain: Vec<Named>,
}

#[derive(Serialize)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) value: String,
}

#[derive(Serialize)]
pub(crate) struct Attribute {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) required: bool,
    pub(crate) choices: Vec<String>,
}

/// One key of the settings' schema, with what it says of it.
pub(crate) struct Setting<'a> {
    pub(crate) key: &'a str,
    pub(crate) description: &'a str,
    pub(crate) is_required: bool,
    pub(crate) schema: &'a Value,
}

impl Report {
    /// What the component takes.
    pub(crate) fn settings(&self) -> impl Iterator<Item = Setting<'_>> {
        let schema = &self.settings_schema;
        let required = schema["required"].as_array().into_iter().flatten();
        let properties = schema["properties"].as_object().into_iter().flatten();
        properties.map(move |(key, schema)| Setting {
            key,
            description: schema["description"].as_str().unwrap_or_default(),
            is_required: required.clone().any(|required| required == key),
            schema,
        })
    }
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode> {
    let candidate = arguments.candidate.candidate()?;
    let shape =
        Workbench::shape(&candidate.component).with_context(|| candidate::cannot(&candidate))?;
    let policy = Workbench::start()?
        .describe(&candidate)
        .await
        .with_context(|| candidate::cannot(&candidate))?;
    let report = report(shape, &policy);
    if arguments.json {
        screen::json(&report)?;
    } else if arguments.markdown {
        anstream::print!("{}", markdown::page(&report));
    } else {
        print(&report);
    }
    Ok(ExitCode::SUCCESS)
}

fn report(shape: Shape, policy: &Policy) -> Report {
    let described = policy.description().clone();
    let named = |(name, value): (String, String)| Named { name, value };
    Report {
        name: described.name,
        version: described.version,
        kind: match policy.kind() {
            PolicyKind::Validation => "validation",
            PolicyKind::Routing => "routing",
        },
        summary: described.summary,
        settings_schema: serde_json::from_str(&described.settings_schema)
            .unwrap_or(Value::String(described.settings_schema)),
        rules: described.rules.into_iter().map(named).collect(),
        attributes: described
            .attributes
            .into_iter()
            .map(|attribute| Attribute {
                name: attribute.name,
                label: attribute.label,
                required: attribute.required,
                choices: attribute.choices,
            })
            .collect(),
        resources: described.resources,
        counters: described.counters.iter().map(ToString::to_string).collect(),
        sha256: shape.digest.to_string(),
        size_bytes: shape.size_bytes,
        functions: shape.functions,
        memory_bytes: shape.memory_bytes,
        imports: shape.imports,
        exports: shape.exports,
        toolchain: shape.producers.into_iter().map(named).collect(),
    }
}

fn print(report: &Report) {
    let Report {
        name,
        version,
        kind,
        ..
    } = report;
    anstream::println!("{} {version}, a {kind} policy", styled(HEAD, name));
    anstream::println!("{}", report.summary);
    let rows = report.rules.iter();
    let rows: Vec<_> = rows
        .map(|rule| vec![rule.name.clone(), rule.value.clone()])
        .collect();
    section(
        "Rules",
        &screen::table(&["rule", "what the data must be"], &rows),
    );
    let rows: Vec<_> = report
        .settings()
        .map(|setting| {
            let needed = if setting.is_required { "required" } else { "" };
            let (key, description) = (setting.key.to_owned(), setting.description.to_owned());
            vec![key, needed.to_owned(), description]
        })
        .collect();
    section(
        "Settings",
        &screen::table(&["key", "", "what it does"], &rows),
    );
    let rows: Vec<_> = report
        .attributes
        .iter()
        .map(|attribute| {
            let needed = if attribute.required { "required" } else { "" };
            let choices = attribute.choices.join(", ");
            vec![
                attribute.name.clone(),
                needed.to_owned(),
                attribute.label.clone(),
                choices,
            ]
        })
        .collect();
    section(
        "Attributes",
        &screen::table(&["name", "", "label", "choices"], &rows),
    );
    section("Resources", &lines(&report.resources));
    section("Counters", &lines(&report.counters));
    section("Imports", &lines(&report.imports));
    section("Exports", &lines(&report.exports));
    let rows = report.toolchain.iter();
    let rows: Vec<_> = rows
        .map(|tool| format!("{} {}", tool.name, tool.value))
        .collect();
    section("Toolchain", &lines(&rows));
    let size = screen::bytes(report.size_bytes);
    let memory = screen::bytes(report.memory_bytes);
    section(
        "File",
        &format!(
            "  sha256:{}\n  {size}, {} functions, {memory} of memory from the start\n",
            report.sha256, report.functions
        ),
    );
}

fn lines(lines: &[String]) -> String {
    let indented: Vec<_> = lines.iter().map(|line| format!("  {line}")).collect();
    match indented.as_slice() {
        [] => String::new(),
        lines => lines.join("\n") + "\n",
    }
}

fn section(title: &str, text: &str) {
    let text = if text.is_empty() {
        format!("  {}\n", styled(DIM, "none"))
    } else {
        text.to_owned()
    };
    anstream::print!("\n{}\n{text}", styled(HEAD, title));
}
