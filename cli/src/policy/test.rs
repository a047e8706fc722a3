//! `portcullis policy test`: every fixture, in every way.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use portcullis_engine::{Attempt, Expected, Policy, Trial, Workbench};
use serde::Serialize;

use crate::policy::expected::difference;
use crate::policy::fixture::{self, Fixture};
use crate::policy::project::Project;
use crate::policy::{junit, watch, ways};
use crate::screen::{self, BAD, DIM, DOUBTFUL, GOOD, styled};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The component. Default: that of the project in this folder, which is compiled first.
    file: Option<PathBuf>,
    /// The project's folder.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub(crate) path: PathBuf,
    /// The folder of the fixtures. Default: `fixtures` in the project's folder.
    #[arg(long, value_name = "FOLDER")]
    fixtures: Option<PathBuf>,
    /// Only cases whose name contains this.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Take what the policy says as what is expected from now on, and show the difference.
    #[arg(long)]
    bless: bool,
    /// Run again whenever a file of the project changes.
    #[arg(long, conflicts_with_all = ["json", "bless"])]
    watch: bool,
    /// Also write the results in the XML format of JUnit.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// The first seed of the random cuts.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// The report as JSON.
    #[arg(long)]
    json: bool,
}

/// What became of all cases.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) component: String,
    pub(crate) cases: Vec<Case>,
}

/// What became of one.
#[derive(Serialize)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) result: Verdict,
    /// What is wrong, in lines.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) detail: String,
    /// In how many ways it was run.
    ways: usize,
    /// How often the policy was suspended and resumed; 0 where it cannot be.
    pauses: u64,
    pub(crate) seconds: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    Passed,
    Blessed,
    Failed,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode> {
    if arguments.watch {
        return watch::run(arguments).await;
    }
    let all_well = once(arguments).await?;
    Ok(if all_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl Arguments {
    pub(crate) fn fixtures(&self) -> PathBuf {
        let usual = || self.path.join("fixtures");
        self.fixtures.clone().unwrap_or_else(usual)
    }

    /// The component, if one was named.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The component, built now unless one was named.
    fn component(&self) -> Result<PathBuf> {
        match &self.file {
            Some(file) => Ok(file.clone()),
            None => Ok(Project::in_folder(&self.path)?.build()?.component),
        }
    }
}

/// Runs everything once. Says whether all went well.
pub(crate) async fn once(arguments: &Arguments) -> Result<bool> {
    // What is wrong with a fixture is said before anything is compiled.
    let mut fixtures = fixture::find(&arguments.fixtures())?;
    if let Some(filter) = &arguments.filter {
        fixtures.retain(|fixture| fixture.case.name.contains(filter));
        ensure!(
            !fixtures.is_empty(),
            "no fixture in {} has a name with `{filter}` in it",
            arguments.fixtures().display()
        );
    }
    let component = arguments.component()?;
    let workbench = Workbench::start()?;
    let mut policies = Policies {
        workbench: &workbench,
        component: &component,
        known: None,
    };
    let mut report = Report {
        component: component.display().to_string(),
        cases: Vec::new(),
    };
    for fixture in &fixtures {
        let case = run_case(&mut policies, fixture, arguments).await?;
        if !arguments.json {
            print(&case);
        }
        report.cases.push(case);
    }
    if let Some(path) = &arguments.junit {
        junit::write(&report, path)?;
    }
    let count = |verdict| {
        report
            .cases
            .iter()
            .filter(|case| case.result == verdict)
            .count()
    };
    let (failed, blessed) = (count(Verdict::Failed), count(Verdict::Blessed));
    if arguments.json {
        screen::json(&report)?;
    } else {
        print_total(report.cases.len(), failed, blessed);
    }
    Ok(failed == 0)
}

/// The policy with the settings of each case, compiled once.
struct Policies<'a> {
    workbench: &'a Workbench,
    component: &'a Path,
    known: Option<Arc<Policy>>,
}

impl Policies<'_> {
    async fn for_case(&mut self, fixture: &Fixture) -> Result<Arc<Policy>> {
        let candidate = fixture.candidate(self.component);
        let loaded = match &self.known {
            Some(policy) => self.workbench.reload(policy, &candidate).await,
            None => self.workbench.load(&candidate).await,
        };
        let policy = loaded.with_context(|| {
            format!(
                "with the settings of the fixture `{}`, the policy cannot be loaded",
                fixture.case.name
            )
        })?;
        Ok(Arc::clone(self.known.insert(policy)))
    }
}

async fn run_case(
    policies: &mut Policies<'_>,
    fixture: &Fixture,
    arguments: &Arguments,
) -> Result<Case> {
    let began = Instant::now();
    let policy = policies.for_case(fixture).await?;
    let judged = in_all_ways(policies.workbench, &policy, fixture, arguments.seed).await?;
    let difference = difference(fixture.case.expected.as_ref(), &judged.said)?;
    let (result, detail) = match (judged.unlike, difference) {
        // What depends on where the body is cut cannot be expected.
        (Some(unlike), _) => (Verdict::Failed, unlike),
        (None, None) => (Verdict::Passed, String::new()),
        (None, Some(difference)) if arguments.bless => {
            fixture.bless(&judged.said)?;
            (Verdict::Blessed, difference)
        }
        (None, Some(difference)) => {
            let what = match fixture.case.expected {
                None => "there is no expected.toml; --bless writes it:",
                Some(_) => "it says (+) what is not expected (-); --bless takes it over:",
            };
            (Verdict::Failed, format!("    {what}\n{difference}"))
        }
    };
    Ok(Case {
        name: fixture.case.name.clone(),
        result,
        detail,
        ways: judged.ways,
        pauses: judged.pauses,
        seconds: began.elapsed().as_secs_f64(),
    })
}

/// What a policy says to a case.
struct Judged {
    said: Expected,
    /// In which way it says something else, and what.
    unlike: Option<String>,
    ways: usize,
    pauses: u64,
}

async fn in_all_ways(
    workbench: &Workbench,
    policy: &Arc<Policy>,
    fixture: &Fixture,
    seed: u64,
) -> Result<Judged> {
    let (upload, facts) = (fixture.case.request.upload()?, fixture.case.request.facts());
    let mut whole: Option<Expected> = None;
    let mut judged = (0, 0);
    for way in ways::all(fixture.case.body.len(), seed) {
        let attempt = Attempt {
            upload: &upload,
            facts: &facts,
            cuts: &way.cuts,
            pauses: way.pauses,
        };
        let mut body = Cursor::new(&fixture.case.body);
        let trial: Trial = workbench.attempt(policy, &attempt, &mut body).await?;
        judged = (judged.0 + 1, judged.1 + trial.pauses);
        let said = Expected::of(&trial);
        let Some(whole) = &whole else {
            whole = Some(said);
            continue;
        };
        if let Some(difference) = difference(Some(whole), &said)? {
            let unlike = format!(
                "    the same upload, {}, is judged otherwise (+) than whole (-):\n{difference}",
                way.name
            );
            return Ok(Judged {
                said,
                unlike: Some(unlike),
                ways: judged.0,
                pauses: judged.1,
            });
        }
    }
    Ok(Judged {
        said: whole.context("there is no way to run it")?,
        unlike: None,
        ways: judged.0,
        pauses: judged.1,
    })
}

fn print(case: &Case) {
    let mark = match case.result {
        Verdict::Passed => styled(GOOD, "ok     "),
        Verdict::Blessed => styled(DOUBTFUL, "blessed"),
        Verdict::Failed => styled(BAD, "FAILED "),
    };
    let time = screen::time(Duration::from_secs_f64(case.seconds));
    let pauses = match case.pauses {
        0 => String::new(),
        pauses => format!(", {pauses} pauses"),
    };
    let ways = match case.ways {
        1 => "1 way".to_owned(),
        ways => format!("{ways} ways"),
    };
    let ways = styled(DIM, format!("{ways}{pauses}, {time}"));
    anstream::println!("  {mark}  {}  {ways}", case.name);
    anstream::print!("{}", case.detail);
}

fn print_total(cases: usize, failed: usize, blessed: usize) {
    let passed = cases - failed - blessed;
    let blessed = match blessed {
        0 => String::new(),
        blessed => format!(", {blessed} blessed"),
    };
    let failed = match failed {
        0 => styled(GOOD, "0 failed"),
        failed => styled(BAD, format!("{failed} failed")),
    };
    anstream::println!("{passed} passed{blessed}, {failed}");
}
