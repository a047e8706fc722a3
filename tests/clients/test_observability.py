"""deploy/observability before a real Prometheus, which reads the real servers while they have something to do."""

import json
import pathlib
import re
import shutil
import subprocess
import time

import pytest
import requests
import yaml

from conftest import ROOT, Services, free_port
from pair import WebHost

FOLDER = ROOT / "deploy/observability"
RULES = FOLDER / "prometheus"
DASHBOARDS = sorted((FOLDER / "grafana/dashboards").glob("*.json"))
"""How long anything may take, in seconds."""
PATIENCE = 90

POLICIES = """
[[policy]]
name = "csv-schema"
component = "{components}/csv-schema.wasm"
match = {{ table = "patient" }}

[[policy]]
name = "traps"
component = "{guests}/hostile.wasm"
settings = {{ do = "trap", when = "chunk" }}
match = {{ table = "traps" }}

[[policy]]
name = "beside"
component = "{guests}/hostile.wasm"
mode = "shadow"
settings = {{ do = "reject", when = "finish" }}

[[policy]]
name = "route"
component = "{components}/route-by-attributes.wasm"
disks = ["local"]
settings = {{ template = "in/{{filename}}", ignore = ["table"] }}
"""
"""A collector that is not there."""
NOWHERE = {"OTEL_SDK_DISABLED": "false", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_METRIC_EXPORT_INTERVAL": "1000"}


def watched(server):
    """A kind of server that shows its metrics, and whose collector is away."""

    class Watched(server):
        def invoked(self, *arguments):
            invoked = super().invoked(*arguments)
            invoked["env"] |= NOWHERE
            return invoked

    return Watched


class Prometheus:
    """Debian's, with the files of deploy/observability but for addresses and how often it looks."""

    def __init__(self, folder, targets):
        shutil.copytree(RULES, folder)
        for name in ("recording.yaml", "alerts.yaml"):
            path = folder / name
            path.write_text(path.read_text().replace("interval: 30s", "interval: 1s"))
        config = yaml.safe_load((folder / "prometheus.yaml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        for job in config["scrape_configs"]:
            if job["job_name"] in targets:
                job["static_configs"][0]["targets"] = [targets[job["job_name"]]]
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{address}/api/v1"
        places = [f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data"]
        arguments = ["prometheus", *places, f"--web.listen-address={address}", "--log.level=warn"]
        self.process = subprocess.Popen(arguments)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)

    def get(self, path, **parameters):
        return requests.get(f"{self.url}/{path}", params=parameters, timeout=30)

    def ask(self, query):
        answer = self.get("query", query=query)
        assert answer.status_code == 200, f"{query}\n{answer.text}"
        return answer.json()["data"]["result"]

    def until(self, query, what, meanwhile=lambda: time.sleep(0.2)):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                if self.ask(query):
                    return
            except requests.ConnectionError:
                pass
            meanwhile()
        raise AssertionError(f"{what}: {query}")


class Site:
    def __init__(self, folder):
        self.services = watched(Services)(folder, {"local": {}}, start=False)
        self.web = watched(WebHost)(folder, self.services, start=False)
        targets = {"portcullis-services": self.services.show_metrics(), "portcullis-web": self.web.show_metrics()}
        self.services.start()
        definitions = folder / "definitions"
        definitions.mkdir()
        (definitions / "patient.json").write_text('[{"name": "age", "type": "integer"}]')
        components = {"components": ROOT / "policies/components", "guests": ROOT / "target/guests"}
        self.web.policies.write_text(POLICIES.format(**components))
        self.web.start()
        self.prometheus = Prometheus(folder / "prometheus", targets)

    def stop(self):
        self.prometheus.stop()
        self.web.kill()
        self.services.kill()

    def upload(self, name, table, content):
        files = {"file": (name, content, "text/csv")}
        return requests.post(f"{self.web.url}/uploads", data={"table": table}, files=files, timeout=60).status_code

    def work(self):
        """Uploads that end in each way."""
        ways = [
            self.upload(f"{time.monotonic_ns()}.csv", "other", b"a\n" * 1000),
            self.upload(f"{time.monotonic_ns()}.csv", "patient", b"age\n42\nold\n"),
            self.upload(f"{time.monotonic_ns()}.csv", "traps", b"a\n"),
        ]
        assert ways == [201, 422, 422], ways


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("site"))
    try:
        scraped = 'up{job="portcullis-%s"} == 1'
        for job in ("web", "services"):
            site.prometheus.until(scraped % job, "is not scraped")
        for _ in range(3):
            site.work()
        # A set that cannot be used; and services that are away for a moment.
        policies = site.web.policies.read_text()
        site.web.policies.write_text("nonsense")
        site.prometheus.until('portcullis_policies_loads_total{portcullis_result="refused"} > 0', "nothing was refused")
        site.web.policies.write_text(policies)
        site.services.kill()
        assert site.upload("away.csv", "other", b"a\n") == 503
        site.services.start()
        deadline = time.monotonic() + PATIENCE
        while site.upload(f"{time.monotonic_ns()}.csv", "other", b"a\n") != 201:
            assert time.monotonic() < deadline, "services are not back"
        # What is counted from here on is seen to grow.
        site.prometheus.until("increase(portcullis_shadow_changes_total[1m]) > 0", "the shadow is not seen", site.work)
        site.prometheus.until("increase(portcullis_telemetry_dropped_total[1m]) > 0", "nothing is dropped", site.work)
        site.prometheus.until("portcullis:upload_errors:ratio_rate5m > 0", "no rule is applied", site.work)
        yield site
    finally:
        site.stop()


def panels(dashboard):
    for panel in json.loads(dashboard.read_text())["panels"]:
        for target in panel["targets"]:
            yield panel, target


def queries():
    for dashboard in DASHBOARDS:
        for panel, target in panels(dashboard):
            if target["datasource"]["uid"] == "prometheus":
                yield pytest.param(target["expr"], id=f"{dashboard.stem}: {panel['title']} {target['refId']}")


def declared():
    """The names for Prometheus of what docs/metrics.md has, which is made from the code."""
    suffixes = {"counter": [""], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}
    rows = re.findall(r"^\| `([a-z_.]+)` \| `(.+?)` \| (\w+) \|", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE)
    for name, unit, kind in rows:
        unit = {"s": "_seconds", "By": "_bytes"}.get(unit, "")
        total = "_total" if kind == "counter" else ""
        for suffix in suffixes[kind]:
            yield name.replace(".", "_") + unit + total + suffix


@pytest.mark.parametrize("query", list(queries()))
def test_each_panel_shows_something(site, query):
    site.prometheus.until(query.replace("$__rate_interval", "2m"), "there is nothing to be seen")


def test_each_rule_is_applied(site):
    groups = site.prometheus.get("rules").json()["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) > 20
    for rule in rules:
        assert rule["health"] == "ok", rule
        site.prometheus.ask(rule["query"])


def test_alerts_of_what_happened_are_raised(site):
    site.prometheus.until('ALERTS{alertname="PoliciesRefused"}', "nobody is told")
    site.prometheus.until('ALERTS{alertname="PolicyFails", portcullis_policy_name="traps"}', "nobody is told")


def test_names_are_those_that_are_declared():
    known = set(declared())
    recorded = re.findall(r"record: (\S+)", (RULES / "recording.yaml").read_text())
    texts = [path.read_text() for path in (RULES / "recording.yaml", RULES / "alerts.yaml", *DASHBOARDS)]
    asked = {name for text in texts for name in re.findall(r"\b(?:portcullis|http_server|http_client)_[a-z_]+(?=[\[{ )])", text)}
    labels = set(re.findall(r"\b[a-z_]+(?=(?:=|!=|=~|!~)\\?\")|(?<=\{\{)[a-z_]+", " ".join(texts)))
    labels |= {label.strip() for text in texts for by in re.findall(r"by \(([^)]*)\)", text) for label in by.split(",")}
    unknown = asked - known - labels
    assert asked & known and not unknown, unknown
    rules = {name for text in texts for name in re.findall(r"portcullis:[a-z0-9_:]+", text)}
    assert rules <= set(recorded), rules - set(recorded)


def test_each_alert_has_its_runbook():
    runbooks = (ROOT / "docs/runbooks.md").read_text()
    groups = yaml.safe_load((RULES / "alerts.yaml").read_text())["groups"]
    alerts = [rule for group in groups for rule in group["rules"]]
    headings = re.findall(r"^## (\w+)$", runbooks, re.MULTILINE)
    assert sorted(headings) == sorted(rule["alert"] for rule in alerts)
    for rule in alerts:
        assert rule["annotations"]["runbook"] == f"docs/runbooks.md#{rule['alert'].lower()}"


@pytest.mark.parametrize("check", [["check", "config", "prometheus.yaml"], ["test", "rules", "tests.yaml"]])
def test_promtool_has_nothing_to_say(check):
    done = subprocess.run(["promtool", *check], cwd=RULES, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rest_can_be_read():
    """Grafana, Tempo, Loki and the collector are not to be had here: their files are read, and what they name is there."""
    for path in FOLDER.rglob("*.yaml"):
        assert yaml.safe_load(path.read_text()), path
    sources = yaml.safe_load((FOLDER / "grafana/provisioning/datasources/portcullis.yaml").read_text())["datasources"]
    known = {source["uid"] for source in sources}
    for dashboard in DASHBOARDS:
        for panel, target in panels(dashboard):
            assert target["datasource"]["uid"] in known, panel["title"]
    compose = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    mounted = [volume.split(":")[0] for service in compose["services"].values() for volume in service.get("volumes", [])]
    for path in (pathlib.Path(path) for path in mounted if path.startswith("./")):
        # In an archive, which is unpacked as `web`, this folder is one of the first.
        assert (FOLDER.parent / path.relative_to("web")).exists(), path
