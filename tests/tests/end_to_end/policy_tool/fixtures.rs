//! `portcullis policy test`: fixtures, the ways in which they are run, and what is said of them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{Said, command, policy, run, target};

/// A new project, with a source of its own.
struct Project {
    _folder: TempDir,
    path: PathBuf,
}

impl Project {
    fn new(name: &str, source: Option<&str>) -> Result<Self> {
        let folder = TempDir::new()?;
        let said = policy(folder.path(), &["new", name])?;
        ensure!(said.ok, "{}", said.err);
        let path = folder.path().join(name);
        if let Some(source) = source {
            fs::write(path.join("src/lib.rs"), source)?;
            fs::remove_dir_all(path.join("fixtures"))?;
        }
        Ok(Self {
            _folder: folder,
            path,
        })
    }

    fn test(&self, more: &[&str]) -> Result<Said> {
        let arguments = [&["test"], more].concat();
        run(command(&self.path, &arguments).env("CARGO_TARGET_DIR", target()))
    }

    fn write(&self, path: &str, content: &str) -> Result<()> {
        let path = self.path.join("fixtures").join(path);
        fs::create_dir_all(path.parent().context("has a folder")?)?;
        Ok(fs::write(path, content)?)
    }

    fn read(&self, path: &str) -> Result<String> {
        Ok(fs::read_to_string(self.path.join("fixtures").join(path))?)
    }
}

#[test]
fn the_fixtures_of_a_new_project_pass_and_are_blessed_when_they_change() -> Result<()> {
    let project = Project::new("blessed", None)?;
    let junit = project.path.join("junit.xml");
    let said = project.test(&["--junit", "junit.xml"])?;
    ensure!(
        said.ok && said.out.contains("2 passed, 0 failed"),
        "{}{}",
        said.out,
        said.err
    );
    let xml = fs::read_to_string(&junit)?;
    ensure!(
        xml.contains(r#"tests="2""#) && xml.contains(r#"failures="0""#),
        "{xml}"
    );

    project.write("new/body.txt", "hello\n")?;
    let said = project.test(&["--json"])?;
    ensure!(!said.ok, "a case without an expectation passes");
    let report = said.json()?;
    ensure!(
        report["cases"][1]["name"] == "new" && report["cases"][1]["result"] == "failed",
        "{report}"
    );
    let said = project.test(&["--bless"])?;
    ensure!(
        said.ok && said.out.contains("+ verdict = \"accept\""),
        "{}",
        said.out
    );
    ensure!(project.read("new/expected.toml")? == "verdict = \"accept\"\n");

    project.write(
        "new/expected.toml",
        "verdict = \"reject\"\nrule = \"line-length\"\n",
    )?;
    let said = project.test(&["--filter", "new", "--junit", "junit.xml"])?;
    ensure!(
        !said.ok && said.out.contains("- rule = \"line-length\""),
        "{}",
        said.out
    );
    ensure!(said.out.contains("0 passed, 1 failed"), "{}", said.out);
    let xml = fs::read_to_string(&junit)?;
    ensure!(
        xml.contains(r#"failures="1""#) && xml.contains("not expected"),
        "{xml}"
    );
    Ok(())
}

#[test]
fn fixtures_that_cannot_be_used_are_named() -> Result<()> {
    let project = Project::new("wrong", Some("compile_error!();"))?;
    let why = |project: &Project| -> Result<String> {
        let said = project.test(&[])?;
        ensure!(!said.ok, "{}", said.out);
        Ok(said.err)
    };
    ensure!(why(&project)?.contains("cannot be read"));
    fs::create_dir(project.path.join("fixtures"))?;
    ensure!(why(&project)?.contains("there is no fixture in ./fixtures"));
    let cases = [
        (
            "a/request.toml",
            "filename = 3",
            "request.toml, line 1: invalid type: integer `3`",
        ),
        (
            "a/request.toml",
            "filename = 'x'\nnmae = 'y'",
            "request.toml, line 2: unknown field `nmae`",
        ),
        ("a/request.toml", "", ""),
        ("a/notes.md", "", "`notes.md` is none of request.toml, body"),
        (
            "a/limits.toml",
            "time = 3",
            "limits.toml, line 1: unknown field `time`",
        ),
        ("a/settings.json", "[]", "no object"),
        (
            "a/expected.toml",
            "verdict = 'maybe'",
            "expected.toml, line 1: unknown variant `maybe`",
        ),
    ];
    for (path, content, says) in cases {
        project.write(path, content)?;
        if says.is_empty() {
            continue;
        }
        let said = why(&project)?;
        ensure!(
            said.contains("the fixture `a` cannot be used") && said.contains(says),
            "{path}: {said}"
        );
        fs::remove_file(project.path.join("fixtures").join(path))?;
    }
    project.write("a/body", "")?;
    project.write("a/body.csv", "")?;
    ensure!(why(&project)?.contains("two bodies, `body` and `body.csv`"));
    fs::remove_file(project.path.join("fixtures/a/body.csv"))?;
    project.write("a/expected.toml", "verdict = 'accept'")?;
    project.write("b/c/body.txt", "")?;
    project.write("b/c/expected.toml", "verdict = 'quarantine'")?;
    let said = why(&project)?;
    ensure!(
        said.contains("the fixtures `a` and `b/c` contradict each other"),
        "{said}"
    );
    Ok(())
}

/// A policy that counts, in the ways that tests want.
fn counting(chunk: &str, suspend: &str, resume: &str) -> String {
    format!(
        r#"use portcullis_policy::*;
struct Counting {{ count: u64 }}
impl Validator for Counting {{
    const NAME: &'static str = "counting";
    const SUMMARY: &'static str = "Counts.";
    type Settings = NoSettings;
    fn new(_: NoSettings) -> Result<Self, String> {{ Ok(Self {{ count: 0 }}) }}
    fn admit(&mut self, _: &Upload) -> Result<Admission, Failure> {{ Ok(Admission::Inspect(Extent::All)) }}
    fn chunk(&mut self, _: u64, bytes: &[u8]) -> Result<Progress, Failure> {{ {chunk}; let _ = bytes; Ok(Progress::More) }}
    fn finish(&mut self, _: &End) -> Result<Conclusion, Failure> {{
        Refusal::new("count", format!("There are {{}}.", self.count)).into()
    }}
    fn suspend(&mut self) -> Result<Option<Vec<u8>>, Failure> {{ {suspend} }}
    fn resume(&mut self, _: &Upload, state: &[u8]) -> Result<(), Failure> {{ {resume}; let _ = state; Ok(()) }}
}}
portcullis_policy::validator!(Counting);
"#
    )
}

#[test]
fn a_policy_is_caught_that_depends_on_cuts_or_forgets_in_a_pause() -> Result<()> {
    let (bytes, state) = (
        "self.count += bytes.len() as u64",
        "Ok(Some(self.count.to_le_bytes().to_vec()))",
    );
    let back = "self.count = state.try_into().map(u64::from_le_bytes).unwrap_or(0)";
    let project = Project::new("counting", Some(&counting(bytes, state, back)))?;
    project.write("some/body", &"x".repeat(1_000))?;
    project.write(
        "some/expected.toml",
        "verdict = 'reject'\nrule = 'count'\nmessage = 'There are 1000.'",
    )?;
    let said = project.test(&["--json"])?;
    ensure!(said.ok, "{}{}", said.out, said.err);
    let report = said.json()?;
    let case = &report["cases"][0];
    ensure!(
        case["ways"] == 11 && case["pauses"].as_u64() > Some(50),
        "{case}"
    );

    let source = project.path.join("src/lib.rs");
    fs::write(&source, counting("self.count += 1", "Ok(None)", ""))?;
    let said = project.test(&["--bless"])?;
    ensure!(
        !said.ok
            && said
                .out
                .contains("the same upload, byte by byte, is judged otherwise"),
        "{}",
        said.out
    );
    ensure!(said.out.contains("There are 1000."), "{}", said.out);

    fs::write(&source, counting(bytes, state, ""))?;
    let said = project.test(&[])?;
    ensure!(!said.ok && said.out.contains("paused at"), "{}", said.out);

    fs::write(
        &source,
        counting(
            "assert!(bytes.len() > 1, \"one byte alone\")",
            "Ok(None)",
            "",
        ),
    )?;
    let said = project.test(&[])?;
    let what = "in `chunk`: it panicked at src/lib.rs:9:";
    ensure!(
        said.out.contains(what) && said.out.contains(": one byte alone"),
        "{}",
        said.out
    );
    Ok(())
}

/// A process that goes with the test.
struct Watching(Child);

impl Drop for Watching {
    fn drop(&mut self) {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::KILL);
        }
        let _ = self.0.wait();
    }
}

#[test]
fn a_watched_project_is_tested_again_after_each_change() -> Result<()> {
    let project = Project::new("watched", None)?;
    let mut watching = command(&project.path, &["test", "--watch"]);
    watching
        .env("CARGO_TARGET_DIR", target())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut watching = Watching(watching.spawn()?);
    let said = watching.0.stdout.take().context("it says nothing")?;
    let mut lines = BufReader::new(said).lines();
    let mut until = |wanted: &str| -> Result<()> {
        for line in &mut lines {
            if line?.contains(wanted) {
                return Ok(());
            }
        }
        anyhow::bail!("it ends before it says {wanted:?}")
    };
    until("2 passed, 0 failed")?;
    until("waiting for a change")?;
    project.write("third/body", "x")?;
    until("1 failed")?;
    until("waiting for a change")?;
    let source = project.path.join("src/lib.rs");
    let broken = fs::read_to_string(&source)? + "broken";
    replace(&source, &broken)?;
    until("does not compile")?;
    Ok(())
}

/// As editors write: to a file beside it, which takes its place.
fn replace(path: &Path, content: &str) -> Result<()> {
    let new = path.with_extension("rs.new");
    fs::write(&new, content)?;
    Ok(fs::rename(new, path)?)
}
