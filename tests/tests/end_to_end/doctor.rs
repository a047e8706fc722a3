//! `doctor` on either server: each answer is tried by breaking what it is about.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, ensure};
use portcullis_hop::HopVersion;
use portcullis_tests::gateway::{
    ADMIN_KEY, Behaviour, KEY, Policies, Server, Setup, TestGateway, binary,
};
use portcullis_tests::until;
use serde_json::Value;

/// A report with its exit code.
struct Report(i32, Value);

impl Report {
    async fn of(server: &Server) -> Result<Self> {
        Self::with(server, &[]).await
    }

    async fn with(server: &Server, environment: &[(&'static str, &str)]) -> Result<Self> {
        let (code, report) = server.doctor(environment).await?;
        ensure!(
            (code == 0) == (report["healthy"] == true),
            "{code} {report}"
        );
        Ok(Self(code, report))
    }

    fn check(&self, name: &str) -> Result<&Value> {
        let checks = self.1["checks"].as_array().context("has checks")?;
        let found = checks.iter().find(|check| check["check"] == name);
        found.with_context(|| format!("there is no check `{name}`: {}", self.1))
    }

    /// Makes sure that a check ended like this, says this, and what to do where something is wrong.
    fn says(&self, name: &str, outcome: &str, words: &str) -> Result<()> {
        let check = self.check(name)?;
        ensure!(check["outcome"] == outcome, "{check}");
        let found = check["found"].as_str().context("says something")?;
        ensure!(found.contains(words), "{check}");
        ensure!(!found.contains(KEY) && !found.contains('\n'), "{check}");
        let is_wrong = outcome == "problem" || outcome == "warning";
        ensure!(check["fix"].is_string() == is_wrong, "{check}");
        ensure!(outcome != "problem" || self.0 == 1, "{check}");
        Ok(())
    }
}

#[tokio::test]
async fn where_all_is_well_every_check_says_so() -> Result<()> {
    let gateway = TestGateway::start().await?;
    for (server, checks) in [
        (
            &gateway.web,
            &["services", "key-accepted", "version", "proxy", "policies"][..],
        ),
        (&gateway.services, &["catalog", "disk", "policies"][..]),
    ] {
        let report = Report::of(server).await?;
        let usual = [
            "role",
            "key",
            "configuration",
            "clock",
            "running",
            "collector",
        ];
        for check in usual.iter().chain(checks) {
            report.says(check, "ok", "")?;
        }
    }
    let report = Report::of(&gateway.web).await?;
    let ready = gateway.ready().await?;
    let revision = ready["revision"].as_str().context("has one")?;
    report.says("policies", "ok", revision)?;
    Ok(())
}

#[tokio::test]
async fn a_wrong_role_and_keys_that_are_missing_weak_open_or_strange_are_told_apart() -> Result<()>
{
    let gateway = TestGateway::start().await?;
    let web = &gateway.web;
    let role = Report::with(web, &[("SERVER_ROLE", "services")]).await?;
    role.says("role", "problem", "start portcullis-services instead")?;
    role.says("services", "ok", "take uploads")?;
    let role = Report::with(&gateway.services, &[("SERVER_ROLE", "")]).await?;
    role.says("role", "problem", "SERVER_ROLE is not set")?;

    let short = Report::with(web, &[("INTERNAL_API_KEY", "short")]).await?;
    short.says("key", "problem", "16 to 512")?;
    short.says("key-accepted", "skipped", "no key")?;
    short.says("services", "ok", "they answer")?;
    let weak = Report::with(
        web,
        &[("INTERNAL_API_KEY", "password-password-password-pass")],
    )
    .await?;
    weak.says("key", "warning", "can be guessed")?;
    weak.says("key-accepted", "problem", "do not take this key")?;

    let strange = Report::with(web, &[("INTERNAL_API_KEY", ADMIN_KEY)]).await?;
    strange.says("key", "ok", "strong")?;
    strange.says("key-accepted", "problem", "does not allow this")?;
    let strange = [("INTERNAL_API_KEY", "another-key-9876543210fedcba-xyzw")];
    let report = Report::with(&gateway.services, &strange).await?;
    report.says("running", "problem", "do not take this key")?;
    Ok(())
}

#[tokio::test]
async fn a_key_file_that_others_may_read_is_told_and_the_file_of_the_unit_is_read() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (key, unit) = (
        folder.path().join("key"),
        folder.path().join("services.env"),
    );
    std::fs::write(&key, KEY)?;
    std::fs::write(
        &unit,
        format!(
            "# A comment\nSERVER_ROLE=services\nINTERNAL_API_KEY_FILE=\"{}\"\n",
            key.display()
        ),
    )?;
    let told = |mode| {
        std::fs::set_permissions(&key, PermissionsExt::from_mode(mode))?;
        let program = binary("portcullis-services");
        let output = std::process::Command::new(program)
            .args(["doctor", "--json", "--env-file"])
            .arg(&unit)
            .env_remove("SERVER_ROLE")
            .env_remove("INTERNAL_API_KEY")
            .output()?;
        let report = serde_json::from_slice(&output.stdout)?;
        anyhow::Ok(Report(output.status.code().context("has one")?, report))
    };
    let open = told(0o644)?;
    open.says("role", "ok", "services")?;
    open.says("key", "warning", "everybody on this machine may read")?;
    told(0o640)?.says("key", "ok", "strong")?;
    Ok(())
}

#[tokio::test]
async fn services_that_are_away_strange_of_another_version_or_time_are_told_apart() -> Result<()> {
    let mut gateway = TestGateway::start().await?;
    let stranger = format!("http://{}", gateway.web.address());
    let report = Report::with(&gateway.web, &[("SERVICES_URL", &stranger)]).await?;
    report.says("services", "problem", "no services of Portcullis")?;
    gateway.services.stop().await?;
    let report = Report::of(&gateway.web).await?;
    report.says("services", "problem", "Connection refused")?;
    report.says("version", "skipped", "did not say")?;
    report.says(
        "running",
        "problem",
        "takes no uploads: Storage cannot be reached",
    )?;
    let report = Report::of(&gateway.services).await?;
    report.says("running", "problem", "Connection refused")?;
    let nowhere = [("SERVICES_URL", "http://services.invalid:8001")];
    let report = Report::with(&gateway.web, &nowhere).await?;
    report.says(
        "services",
        "problem",
        "nobody answers at http://services.invalid:8001",
    )?;
    let unusable = [("SERVICES_URL", "services:8001")];
    let report = Report::with(&gateway.web, &unusable).await?;
    report.says("services", "problem", "SERVICES_URL must be")?;

    let other = Setup::default()
        .through(Behaviour::OtherHop)
        .start()
        .await?;
    let report = Report::of(&other.web).await?;
    report.says(
        "version",
        "problem",
        &format!(
            "do not understand version {} of the hop",
            HopVersion::CURRENT
        ),
    )?;
    let late = Setup::default()
        .through(Behaviour::OtherClock)
        .start()
        .await?;
    let report = Report::of(&late.web).await?;
    report.says("clock", "problem", "s behind this one")?;
    Ok(())
}

#[tokio::test]
async fn policies_that_were_refused_or_cannot_be_used_are_told() -> Result<()> {
    let mut gateway = TestGateway::start().await?;
    let set = gateway.folder().join("policies.toml");
    std::fs::write(&set, "[[policy]]\nnam = 'x'\n")?;
    let refused = |ready: &Value| ready["policies"] == "refused";
    gateway
        .until_ready("the change is not seen", refused)
        .await?;
    let report = Report::of(&gateway.web).await?;
    report.says("policies", "problem", "the last change was refused")?;
    gateway.web.stop().await?;
    let report = Report::of(&gateway.web).await?;
    report.says("running", "problem", "no web host answers")?;
    report.says("policies", "problem", "line 2")?;
    gateway.write_policies(&Policies::default())?;
    let report = Report::of(&gateway.web).await?;
    report.says("policies", "ok", "can be used")?;
    Ok(())
}

#[tokio::test]
async fn disks_and_catalogs_that_cannot_be_used_are_told() -> Result<()> {
    let mut gateway = TestGateway::start().await?;
    let form = portcullis_tests::gateway::Form::submission("patient");
    gateway
        .upload(form.file("patient.csv", "a\n1\n"))
        .await?
        .receipt()?;
    let config = gateway.folder().join("services.toml");
    let usual = std::fs::read_to_string(&config)?;
    // As if the disk were full: so much is never free.
    std::fs::write(
        &config,
        format!("{usual}\n[limits]\nreserve-bytes = 1000000000000000\n"),
    )?;
    let report = Report::of(&gateway.services).await?;
    report.says("disk", "problem", "is full")?;
    std::fs::write(&config, "disk = 1\n")?;
    let report = Report::of(&gateway.services).await?;
    report.says("configuration", "problem", "unknown field `disk`")?;
    std::fs::write(&config, usual)?;

    gateway.services.stop().await?;
    let (disk, away) = (
        gateway.folder().join("local"),
        gateway.folder().join("away"),
    );
    std::fs::rename(&disk, &away)?;
    let report = Report::of(&gateway.services).await?;
    report.says("disk", "problem", "is not there")?;
    std::fs::create_dir(&disk)?;
    let report = Report::of(&gateway.services).await?;
    report.says(
        "disk",
        "problem",
        "the catalog has 1 file(s) on it, and it is empty",
    )?;
    ensure!(
        std::fs::read_dir(&disk)?.next().is_none(),
        "the doctor changed it"
    );
    std::fs::remove_dir(&disk)?;
    std::fs::rename(&away, &disk)?;
    Report::of(&gateway.services)
        .await?
        .says("disk", "ok", "takes files")?;
    ensure!(
        gateway.disk("local").staged()?.len() == 1,
        "the probe stays"
    );
    let id = disk.join(".portcullis/disk");
    let own = std::fs::read(&id)?;
    std::fs::write(&id, "0".repeat(32))?;
    let report = Report::of(&gateway.services).await?;
    report.says("disk", "problem", "is that of another disk")?;
    std::fs::write(&id, own)?;

    let catalog = gateway.folder().join("catalog.sqlite");
    std::fs::write(
        &catalog,
        "this is no database, but it is long enough to be taken for one",
    )?;
    let report = Report::of(&gateway.services).await?;
    report.says("catalog", "problem", "catalog failed")?;
    report.says("clock", "skipped", "cannot be read")?;
    std::fs::remove_file(&catalog)?;
    let report = Report::of(&gateway.services).await?;
    report.says("catalog", "ok", "when they start for the first time")?;
    Ok(())
}

#[tokio::test]
async fn a_user_who_may_not_do_what_services_may_is_told_so() -> Result<()> {
    const NOBODY: u32 = 65_534;
    if !rustix::process::geteuid().is_root() {
        writeln!(
            std::io::stderr(),
            "skipped: a_user_who_may_not_do_what_services_may_is_told_so, only root can be somebody else"
        )?;
        return Ok(());
    }
    let gateway = TestGateway::start().await?;
    // As folders on a machine are.
    std::fs::set_permissions(gateway.folder(), PermissionsExt::from_mode(0o755))?;
    let (code, report) = gateway.services.doctor_as(Some(NOBODY), &[]).await?;
    let report = Report(code, report);
    report.says("user", "warning", "runs as user 65534")?;
    report.says("disk", "problem", "permission denied")?;
    report.says("catalog", "problem", "this user cannot read")?;
    // As the umask of an earlier version left them.
    for name in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
        let file = gateway.folder().join(name);
        std::fs::set_permissions(file, PermissionsExt::from_mode(0o644))?;
    }
    let (code, report) = gateway.services.doctor_as(Some(NOBODY), &[]).await?;
    Report(code, report).says("catalog", "problem", "this user cannot write to")?;
    Ok(())
}

#[tokio::test]
async fn a_collector_that_is_away_is_a_warning_and_no_problem() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let nobody = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")];
    for server in [&gateway.web, &gateway.services] {
        let report = Report::with(server, &nobody).await?;
        report.says("collector", "warning", "does not take traces")?;
    }
    let collector = portcullis_telemetry::collector::Collector::start().await?;
    let endpoint = collector.endpoint();
    let there = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
    let report = Report::with(&gateway.web, &there).await?;
    report.says("collector", "ok", "takes traces")?;
    Ok(())
}

#[tokio::test]
async fn a_web_host_with_a_file_open_for_writing_is_found() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let report = Report::of(&gateway.web).await?;
    report.says("nothing-kept", "ok", "no file of an upload")?;
    let log = tempfile::NamedTempFile::new()?;
    let mut another = std::process::Command::new(binary("portcullis-web"))
        .env("SERVER_ROLE", "web")
        .env("INTERNAL_API_KEY", KEY)
        .env(
            "SERVICES_URL",
            format!("http://{}", gateway.services.address()),
        )
        .args(["--listen", "127.0.0.1:0", "--policies"])
        .arg(gateway.folder().join("policies.toml"))
        .stdout(log.reopen()?)
        .stderr(std::process::Stdio::null())
        .spawn()?;
    let listens = || Ok(std::fs::read_to_string(log.path())?.contains("portcullis.listening"));
    let started = until("another web host does not start", listens).await;
    let report = Report::of(&gateway.web).await;
    another.kill()?;
    another.wait()?;
    started?;
    report?.says("nothing-kept", "problem", "has 1 file(s) open for writing")?;
    Ok(())
}
