//! `portcullis policy check`: every step of loading a component, and what is wrong at which.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use portcullis_engine::{
    Call, Candidate, Description, Limits, Policy, PolicyKind, PolicyLoadError, Shape, Workbench,
};
use portcullis_types::PolicyName;
use serde::Serialize;

use crate::policy::candidate::CandidateArguments;
use crate::screen::{self, BAD, DIM, DOUBTFUL, GOOD, styled};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    candidate: CandidateArguments,
    /// The report as JSON.
    #[arg(long)]
    json: bool,
}

/// A step of loading, in the order in which a web host takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Step {
    Limits,
    File,
    Size,
    Imports,
    Contract,
    Compile,
    Describe,
    Resources,
    Settings,
}

const STEPS: [Step; 9] = [
    Step::Limits,
    Step::File,
    Step::Size,
    Step::Imports,
    Step::Contract,
    Step::Compile,
    Step::Describe,
    Step::Resources,
    Step::Settings,
];

impl Step {
    fn title(self) -> &'static str {
        match self {
            Self::Limits => "limits",
            Self::File => "file",
            Self::Size => "size and memory",
            Self::Imports => "imports",
            Self::Contract => "contract",
            Self::Compile => "compiles",
            Self::Describe => "describes itself",
            Self::Resources => "resources",
            Self::Settings => "settings",
        }
    }

    /// The step at which such an error ends loading.
    fn of(error: &PolicyLoadError) -> Self {
        match error {
            PolicyLoadError::Limits(_) => Self::Limits,
            PolicyLoadError::Unreadable(_)
            | PolicyLoadError::TooLarge(_)
            | PolicyLoadError::Pinned { .. }
            | PolicyLoadError::Untrusted { .. }
            | PolicyLoadError::CoreModule(_) => Self::File,
            PolicyLoadError::TooMuch { .. } => Self::Size,
            PolicyLoadError::ForbiddenImports { .. } => Self::Imports,
            PolicyLoadError::Contract(_)
            | PolicyLoadError::Version { .. }
            | PolicyLoadError::Kind(_) => Self::Contract,
            PolicyLoadError::NotAComponent { .. } | PolicyLoadError::Link(_) => Self::Compile,
            PolicyLoadError::Resources(_) => Self::Resources,
            // Fixtures belong to a set, and none is checked here.
            PolicyLoadError::Settings(_)
            | PolicyLoadError::Refused { .. }
            | PolicyLoadError::Fixtures(_)
            | PolicyLoadError::Fixture { .. } => Self::Settings,
            PolicyLoadError::Failed(failure) => match failure.call {
                Call::Configure => Self::Settings,
                _ => Self::Describe,
            },
        }
    }
}

#[derive(Debug, Serialize)]
struct Report {
    component: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    can_be_loaded: bool,
    steps: Vec<Checked>,
    /// What does not keep it from loading and is still not as it should be.
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Checked {
    step: Step,
    /// Absent where an earlier step kept this one from being taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    ok: Option<bool>,
    detail: String,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode> {
    let report = report(&arguments.candidate.candidate()?).await?;
    if arguments.json {
        screen::json(&report)?;
    } else {
        print(&report);
    }
    Ok(if report.can_be_loaded {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn report(candidate: &Candidate) -> Result<Report> {
    let mut errors = Vec::new();
    let shape = Workbench::shape(&candidate.component);
    let mut loaded = None;
    if let Ok(shape) = &shape {
        errors.extend(shape.problems(&candidate.limits));
    }
    let sha256 = shape.as_ref().ok().map(|shape| shape.digest.to_string());
    let known = shape.as_ref().ok().cloned();
    errors.extend(shape.err());
    let began = Instant::now();
    if errors.is_empty() {
        match Workbench::start()?.load(candidate).await {
            Ok(policy) => loaded = Some(policy),
            Err(error) => errors.push(error),
        }
    }
    let took = began.elapsed();
    let is_wrong = |step: Step| errors.iter().any(|error| Step::of(error) == step);
    let last = errors.iter().map(Step::of).max();
    let mut steps = Vec::new();
    for step in STEPS {
        if is_wrong(step) {
            let of_step = errors.iter().filter(|error| Step::of(error) == step);
            steps.extend(of_step.map(|error| Checked {
                step,
                ok: Some(false),
                detail: error.to_string(),
            }));
            continue;
        }
        // What is read from the file is known even where something else is wrong with it.
        let from_file = step <= Step::Contract && known.is_some();
        let reached = last.is_none_or(|last| step < last) || from_file;
        steps.push(Checked {
            step,
            ok: reached.then_some(true),
            detail: if reached {
                detail(step, candidate, known.as_ref(), loaded.as_deref(), took)
            } else {
                "not reached".to_owned()
            },
        });
    }
    Ok(Report {
        component: candidate.component.display().to_string(),
        sha256,
        can_be_loaded: errors.is_empty(),
        steps,
        warnings: loaded.map_or_else(Vec::new, |policy| warnings(policy.description())),
    })
}

fn detail(
    step: Step,
    candidate: &Candidate,
    shape: Option<&Shape>,
    policy: Option<&Policy>,
    took: Duration,
) -> String {
    let described = policy.map(Policy::description);
    match (step, shape, described) {
        (Step::Limits, ..) if candidate.limits == Limits::default() => "the usual ones".to_owned(),
        (Step::Limits, ..) => "as given".to_owned(),
        (Step::File, Some(shape), _) => format!(
            "a component of {}, at most 64 MiB",
            screen::bytes(shape.size_bytes)
        ),
        (Step::Size, Some(shape), _) => format!(
            "{} functions; {} of memory from the start, at most {} (limit `memory-bytes`)",
            shape.functions,
            screen::bytes(shape.memory_bytes),
            screen::bytes(candidate.limits.memory_bytes as u64)
        ),
        (Step::Imports, Some(shape), _) => {
            format!("{} interfaces, all of them allowed", shape.imports.len())
        }
        (Step::Contract, Some(shape), _) => match shape.kind() {
            Ok(PolicyKind::Validation) => "a validation policy of version 0.1.0".to_owned(),
            Ok(PolicyKind::Routing) => "a routing policy of version 0.1.0".to_owned(),
            Err(_) => String::new(),
        },
        (Step::Compile, _, Some(_)) => format!("loaded in {}", screen::time(took)),
        (Step::Describe, _, Some(described)) => {
            format!("{} {}", described.name, described.version)
        }
        (Step::Resources, _, Some(described)) if described.resources.is_empty() => {
            "none asked for".to_owned()
        }
        (Step::Resources, _, Some(described)) => format!(
            "{} in {}",
            described.resources.join(", "),
            candidate.resources.display()
        ),
        (Step::Settings, _, Some(_)) => format!("accepted: {} keys", candidate.settings.len()),
        _ => String::new(),
    }
}

/// What tools and receipts will show, and how it is not as the contract says.
fn warnings(described: &Description) -> Vec<String> {
    let mut warnings = Vec::new();
    let is_kebab = |text: &str| text.parse::<PolicyName>().is_ok();
    if !is_kebab(&described.name) {
        let name = &described.name;
        warnings.push(format!(
            "`describe` gives the name {name:?}; it must be kebab-case of at most 64 bytes"
        ));
    }
    if described.version.split('.').count() < 3 {
        let version = &described.version;
        warnings.push(format!(
            "`describe` gives the version {version:?}; it must be a semantic version such as 1.0.0"
        ));
    }
    if described.summary.is_empty() {
        warnings.push(
            "`describe` gives no summary; say in one sentence what the policy checks".to_owned(),
        );
    }
    let schema: Result<serde_json::Value, _> = serde_json::from_str(&described.settings_schema);
    if !schema.is_ok_and(|schema| schema.is_object()) {
        warnings.push("`describe` gives settings-schema that is no JSON Schema; administrators see nothing of its settings".to_owned());
    }
    let mut seen = std::collections::BTreeSet::new();
    for (id, _) in &described.rules {
        if !is_kebab(id) {
            warnings.push(format!(
                "`describe` names the rule {id:?}; it must be kebab-case of at most 64 bytes"
            ));
        }
        if !seen.insert(id) {
            warnings.push(format!("`describe` names the rule `{id}` twice"));
        }
    }
    warnings
}

fn print(report: &Report) {
    let digest = report.sha256.as_deref().unwrap_or("");
    anstream::println!("{}  {}", report.component, styled(DIM, digest));
    for Checked { step, ok, detail } in &report.steps {
        let mark = match ok {
            Some(true) => styled(GOOD, "ok     "),
            Some(false) => styled(BAD, "wrong  "),
            None => styled(DIM, "-      "),
        };
        anstream::println!("  {mark}  {:<16}  {detail}", step.title());
    }
    for warning in &report.warnings {
        anstream::println!("  {}  {warning}", styled(DOUBTFUL, "warning"));
    }
    if report.can_be_loaded {
        anstream::println!("It can be loaded.");
    } else {
        anstream::println!("It {} be loaded.", styled(BAD, "cannot"));
    }
}
