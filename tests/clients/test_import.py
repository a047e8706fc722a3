"""A tree of files that was there before: taken in where it stands, file by file, as often as it takes."""

import hashlib
import json
import os
import signal
import subprocess
import time

import pytest

from test_file_api import TEXT, refused


@pytest.fixture
def tree(services):
    """Files that nobody stored by Portcullis, and one that somebody did."""
    root = services.disks["local"]
    files = {f"old/{site}/{number}.csv": f"{site},{number}\n".encode() for site in ("a", "b") for number in range(3)}
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    services.client().save("old/new.csv", TEXT)
    return services, root, files


def run(services, *arguments):
    done = services.command("import", *arguments)
    return done.returncode, done.stdout + done.stderr


def test_files_are_taken_in_where_they_stand_beside_running_services(tree):
    services, root, files = tree
    client = services.client()
    assert client.paths("old") == ["old/new.csv"]
    bytes_in_all = sum(map(len, files.values()))
    code, said = run(services, str(root / "old"), "--dry-run")
    assert code == 0 and f"6 file(s) with {bytes_in_all} bytes would be taken in; nothing was changed" in said, said
    assert client.paths("old") == ["old/new.csv"]
    inodes = {path: (root / path).stat().st_ino for path in files}
    code, said = run(services, str(root), "--reason", "the old archive")
    assert code == 0 and f"1 file(s) known, 0 left as they are, 6 file(s) with {bytes_in_all} bytes taken in" in said, said
    assert client.paths("old") == sorted([*files, "old/new.csv"])
    for path, content in files.items():
        assert client.call("GET", "download", params={"path": path}).content == content
        assert (root / path).stat().st_ino == inodes[path] and (root / path).stat().st_mode & 0o777 == 0o600
        known = client.call("GET", "metadata", params={"path": path}).json()["metadata"]
        assert known["sha256"] == hashlib.sha256(content).hexdigest() and known["version"] == 1
        assert abs(known["mtime"] - (root / path).stat().st_mtime) < 0.01
    code, said = run(services, str(root), "--reason", "again")
    assert code == 0 and "7 file(s) known, 0 left as they are, 0 file(s)" in said, said
    rows = services.command("audit", "export", "--action", "imported").stdout.splitlines()
    assert len(rows) == 6 and json.loads(rows[0])["details"]["reason"] == "the old archive"
    assert services.command("audit", "verify").returncode == 0
    assert services.command("fsck", "--digests", "--settled-for", "0").returncode == 0
    # Like any other file from here on.
    assert client.save("old/a/0.csv", TEXT)["version"] == 2
    client.delete("old/a/1.csv")
    assert not (root / "old/a/1.csv").exists()


def test_what_cannot_be_taken_in_is_told_and_stays(tree):
    services, root, _ = tree
    (root / "old/link.csv").symlink_to("a/0.csv")
    (root / "old/CON.csv").write_bytes(b"reserved")
    (root / "old/u\u0308.csv").write_bytes(b"not in NFC")
    code, said = run(services, str(root / "old"), "--reason", "the old archive")
    assert code == 0 and "3 left as they are, 6 file(s)" in said, said
    assert "local:old/link.csv: it is a link" in said and "local:old/CON.csv: no upload could have this name" in said
    assert (root / "old/CON.csv").read_bytes() == b"reserved"


def test_what_others_put_at_a_path_that_was_stored_before_becomes_its_newest_version(tree):
    services, root, _ = tree
    services.stop()
    (root / "old/new.csv").unlink()
    (root / "old/new.csv").write_bytes(b"theirs")
    code, said = run(services, str(root / "old/"), "--reason", "somebody copied it there")
    assert code == 0 and "7 file(s)" in said, said
    services.start()
    client = services.client()
    assert client.call("GET", "download", params={"path": "old/new.csv"}).content == b"theirs"
    assert client.call("GET", "download", params={"path": "old/new.csv", "version": 1}).content == TEXT
    assert services.command("fsck", "--digests", "--settled-for", "0").returncode == 0


def test_versions_that_the_catalog_forgot_are_taken_in_as_they_are(services):
    client = services.client()
    client.save("a.csv", TEXT)
    services.stop()
    (version,) = (services.disks["local"] / ".portcullis/versions").iterdir()
    for file in services.folder.glob("catalog.sqlite*"):
        file.unlink()
    code, said = run(services, str(services.disks["local"]), "--reason", "the catalog is lost")
    assert code == 0 and "1 file(s)" in said, said
    assert list(version.parent.iterdir()) == [version]
    services.start()
    assert services.client().call("GET", "download", params={"path": "a.csv"}).content == TEXT
    assert services.command("fsck", "--digests", "--settled-for", "0").returncode == 0


def test_an_import_that_is_killed_goes_on(services):
    root = services.disks["local"]
    for number in range(2000):
        (root / f"{number % 20}").mkdir(exist_ok=True)
        (root / f"{number % 20}/{number}.csv").write_bytes(b"%d\n" % number)
    services.stop()
    for _ in range(3):
        running = subprocess.Popen(**services.invoked("import", str(root), "--reason", "a test"), stdout=subprocess.PIPE)
        deadline = time.monotonic() + 30
        before = len(os.listdir(root / ".portcullis/versions"))
        while len(os.listdir(root / ".portcullis/versions")) < before + 50 and time.monotonic() < deadline:
            assert running.poll() is None
        running.send_signal(signal.SIGKILL)
        running.wait(timeout=10)
        running.stdout.close()
    services.start()
    services.stop()
    assert services.command("fsck", "--settled-for", "0").returncode == 0
    code, said = run(services, str(root), "--reason", "a test")
    assert code == 0 and "left as they are" in said, said
    assert len(os.listdir(root / ".portcullis/versions")) == 2000
    assert services.command("fsck", "--digests", "--settled-for", "0").returncode == 0
    services.start()
    assert len(services.client().paths("")) == 2000


def test_what_was_asked_wrongly_is_said(services):
    wrong = services.command("import", "/tmp", "--reason", "x")
    assert wrong.returncode != 0 and "is on no disk of the configuration" in wrong.stderr
    wrong = services.command("import", str(services.disks["local"]))
    assert wrong.returncode != 0 and "--reason" in wrong.stderr
    wrong = services.command("import", "/nowhere", "--dry-run")
    assert wrong.returncode != 0 and "/nowhere cannot be used" in wrong.stderr
    assert refused(lambda: services.client().call("GET", "metadata", params={"path": "a.csv"})) == 404
