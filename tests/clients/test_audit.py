"""The audit as an auditor meets it: what stands in it, that it can be checked without our programs, and what is seen of tampering."""

import base64
import csv
import hashlib
import io
import json
import sqlite3

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from conftest import ADMIN_KEY
from test_file_api import TEXT, refused

PATH = "c1/größe 1.csv"
PAYLOAD = ["subject", "client", "upload", "disk", "path", "version", "trace_id", "details"]


def database(services):
    rows = sqlite3.connect(services.folder / "catalog.sqlite")
    rows.row_factory = sqlite3.Row
    return rows


def tamper(services, sql):
    with database(services) as rows:
        rows.executescript(sql)


def verify(services, *arguments):
    done = services.command("audit", "verify", *arguments)
    return done.returncode, done.stdout + done.stderr


def export(services, *arguments):
    done = services.command("audit", "export", *arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def digest(value, before=b""):
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(before + text.encode()).digest()


def checked(services):
    """As `docs/audit.md` says it, and nothing of ours."""
    rows = database(services)
    (writer,) = rows.execute("SELECT * FROM audit_heads").fetchall()
    last = bytes(32)
    count = 0
    for row in rows.execute("SELECT * FROM audit ORDER BY sequence"):
        count += 1
        assert row["sequence"] == count and row["writer"] == writer["writer"]
        payload = row["payload_hash"]
        assert digest([row[name] for name in PAYLOAD], row["salt"]) == payload
        link = ["portcullis audit row 1", row["writer"], count, row["at"], row["action"], payload.hex(), last.hex()]
        last = digest(link)
        assert last == row["hash"]
    note = services.command("audit", "checkpoint").stdout
    text, signature = note.split("\n\n")
    assert f"sequence {count}\n" in text and f"hash {last.hex()}" in text
    key = bytes.fromhex(services.command("audit", "key").stdout.strip().removeprefix("ed25519:"))
    name, encoded = signature.removeprefix("— ").split()
    signed = base64.b64decode(encoded)
    assert signed[:4] == hashlib.sha256(name.encode() + b"\n\x01" + key).digest()[:4]
    Ed25519PublicKey.from_public_bytes(key).verify(signed[4:], (text + "\n").encode())
    return count


def everything(services):
    client = services.client()
    client.save(PATH, TEXT)
    client.call("GET", "download", params={"path": PATH})
    client.call("HEAD", "download", params={"path": PATH})
    client.exists(PATH)
    client.call("GET", "metadata", params={"path": PATH})
    client.paths("c1")
    client.call("POST", "delete_prefix", json={"prefix": "c1", "dry_run": True})
    client.delete(PATH)
    client.call("POST", "undelete", json={"path": PATH})
    client.session.headers["X-API-Key"] = ADMIN_KEY
    client.call("POST", "purge", json={"path": PATH, "reason": "asked for"})


def test_every_action_is_a_row_and_the_chain_can_be_checked_by_anybody(services):
    everything(services)
    rows = export(services, "--path", PATH)
    looks = ["download", "exists", "metadata", "list", "delete_prefix"]
    wanted = [("created", None), ("read", None)] + [("listed", call) for call in looks]
    wanted += [("deleted", None), ("undeleted", None), ("purged", None)]
    assert [(row["action"], (row["details"] or {}).get("call")) for row in rows] == wanted
    assert {row["client"] for row in rows} == {"127.0.0.1"}
    assert all(row["trace_id"] for row in rows)
    assert [row["subject"] for row in rows] == ["key:internal"] * 9 + ["key:admin"]
    assert rows[0]["details"]["sha256"] == hashlib.sha256(TEXT).hexdigest() and rows[0]["version"] == 1
    assert checked(services) == len(rows)
    code, said = verify(services)
    assert code == 0 and "nothing was changed" in said, said


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("UPDATE audit SET subject = 'key:other' WHERE sequence = 2", "row 2: what it says is not what was written"),
        ("UPDATE audit SET details = '{}' WHERE sequence = 1", "row 1: what it says is not what was written"),
        ("UPDATE audit SET at = at - 1 WHERE sequence = 3", "row 3: it, or the row before it, is not"),
        ("DELETE FROM audit WHERE sequence IN (3, 4)", "row 3: missing, up to row 4"),
        ("DELETE FROM audit WHERE sequence > 8", "row 9: missing, up to the newest that was signed, row 10"),
        ("DELETE FROM audit WHERE sequence > 8; UPDATE audit_heads SET sequence = 8", "is of none of the keys"),
        ("DELETE FROM audit; DELETE FROM audit_heads", "there is no signature of the newest row"),
    ],
)
def test_what_sqlite3_does_to_rows_is_seen(services, sql, says):
    everything(services)
    tamper(services, sql)
    code, said = verify(services)
    assert code == 1 and says in said and "fault(s)" in said, said


def test_a_checkpoint_that_was_kept_elsewhere_shows_that_the_whole_catalog_was_put_back(services, tmp_path):
    client = services.client()
    client.save(PATH, TEXT)
    services.stop()
    before = (services.folder / "catalog.sqlite").read_bytes()
    services.start()
    client = services.client()
    client.delete(PATH)
    client.session.headers["X-API-Key"] = ADMIN_KEY
    kept = tmp_path / "kept"
    answer = client.session.get(f"{services.url}/internal/audit/checkpoint", timeout=60)
    kept.write_text(answer.text)
    assert verify(services, "--checkpoint", str(kept))[0] == 0
    services.stop()
    (services.folder / "catalog.sqlite").write_bytes(before)
    services.start()
    assert verify(services)[0] == 0
    code, said = verify(services, "--checkpoint", str(kept))
    assert code == 1 and "row 2: missing" in said, said
    kept.write_text("what is this")
    code, said = verify(services, "--checkpoint", str(kept))
    assert code == 1 and "is no signed checkpoint" in said, said


def test_checkpoints_are_for_administrators(services):
    assert refused(lambda: services.client().call("GET", "../audit/checkpoint")) == 403


def test_histories_are_shown_and_exported_and_can_be_erased(services):
    everything(services)
    client = services.client()
    client.save("=cmd|'a'!A1.csv", TEXT)
    shown = services.command("audit", "show", "--subject", "key:admin")
    assert shown.returncode == 0 and len(shown.stdout.splitlines()) == 1, shown.stderr
    assert f"purged  key:admin  from 127.0.0.1  local:{PATH}" in shown.stdout and '"asked for"' in shown.stdout
    last = services.command("audit", "show", "--limit", "1")
    assert "created" in last.stdout and "older rows" in last.stderr
    table = services.command("audit", "export", "--format", "csv", "--action", "created").stdout
    first, second = csv.DictReader(io.StringIO(table))
    assert first["path"] == PATH and json.loads(first["details"])["size"] == len(TEXT)
    assert second["path"] == "'=cmd|'a'!A1.csv"
    out = services.folder / "export.jsonl"
    assert export(services, "--out", str(out), "--since", "2020-01-01") == []
    assert len(out.read_text().splitlines()) == 11 and out.stat().st_mode & 0o777 == 0o600
    wrong = services.command("audit", "show", "--since", "yesterday")
    assert wrong.returncode != 0 and "2026-11-26" in wrong.stderr
    wrong = services.command("audit", "export", "--action", "made")
    assert wrong.returncode != 0 and "there are created, imported" in wrong.stderr
    wrong = services.command("audit", "erase", "--reason", "all of it")
    assert wrong.returncode != 0 and "the whole audit is never erased" in wrong.stderr
    erased = services.command("audit", "erase", "--path", PATH, "--reason", "the patient asked for it")
    assert erased.stdout == "what 10 row(s) said is erased\n", erased.stderr
    assert export(services, "--path", PATH) == []
    code, said = verify(services)
    assert code == 0 and "10 of them erased" in said, said
    again = services.command("audit", "erase", "--path", PATH, "--reason", "the patient asked for it")
    assert again.stdout == "what 0 row(s) said is erased\n"
