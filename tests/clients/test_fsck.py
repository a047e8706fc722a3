"""Catalog and disk that do not agree: found, mended where that is possible, and nothing is lost by it."""

import os
import sqlite3

import pytest

from test_file_api import TEXT, refused

PATH = "c1/a.csv"
MEND = ["--mend", "--reason", "a test", "--settled-for", "0"]


@pytest.fixture
def stored(services):
    """Services with one file, which are stopped; the file, its version and its link."""
    client = services.client()
    client.save(PATH, TEXT)
    services.stop()
    (version,) = (services.disks["local"] / ".portcullis/versions").iterdir()
    yield services, version, services.disks["local"] / PATH
    services.start()


def fsck(services, *arguments):
    done = services.command("fsck", "--disk", "local", "--settled-for", "0", *arguments)
    return done.returncode, done.stdout + done.stderr


def mended(services, says):
    """Found without being changed, then mended, then well."""
    for arguments in ([], []):
        code, said = fsck(services, *arguments)
        assert code == 1 and says in said and "1 disagreement(s), 0 of them mended" in said, said
    done = services.command("fsck", "--disk", "local", *MEND)
    assert done.returncode == 0 and "(mended)" in done.stdout, done.stdout + done.stderr
    code, said = fsck(services)
    assert code == 0 and "catalog and disk agree" in said, said


def test_where_all_is_well_nothing_is_found(stored):
    services, _, _ = stored
    code, said = fsck(services, "--digests")
    assert code == 0 and f"local: 1 version(s) at 1 path(s), {len(TEXT)} bytes read: catalog and disk agree" in said, said
    # What was read just now is not read again.
    code, said = fsck(services, "--digests")
    assert code == 0 and " 0 bytes read" in said, said
    code, said = fsck(services, "--digests", "--read-again-after", "0")
    assert code == 0 and f"{len(TEXT)} bytes read" in said, said


def test_a_version_that_is_gone_is_made_of_what_its_path_shows(stored):
    services, version, shown = stored
    version.unlink()
    mended(services, "its bytes are not on the disk")
    assert version.stat().st_ino == shown.stat().st_ino


def test_a_version_that_is_gone_for_good_is_said_to_be_lost(stored):
    services, version, shown = stored
    version.unlink()
    shown.unlink()
    code, said = fsck(services)
    assert code == 1 and "its bytes are not on the disk" in said, said
    done = services.command("fsck", "--disk", "local", *MEND)
    assert done.returncode == 0, done.stdout + done.stderr
    assert fsck(services)[0] == 0
    services.start()
    client = services.client()
    assert refused(lambda: client.call("GET", "download", params={"path": PATH})) == 404
    assert refused(lambda: client.call("GET", "download", params={"path": PATH, "version": 1})) == 410
    rows = services.command("audit", "export", "--action", "lost").stdout
    assert '"reason":"a test"' in rows and PATH in rows
    assert services.command("audit", "verify").returncode == 0
    assert client.save(PATH, TEXT)["version"] == 2
    services.stop()


def test_a_link_that_is_gone_or_wrong_is_made_again(stored):
    services, version, shown = stored
    shown.unlink()
    mended(services, "its path does not show it")
    assert shown.read_bytes() == TEXT


def test_what_others_put_at_a_path_is_told_and_stays(stored):
    services, _, shown = stored
    shown.unlink()
    shown.write_bytes(b"theirs")
    for arguments in ([], MEND):
        code, said = fsck(services, *arguments[:3])
        assert code == 1 and "something that Portcullis did not store" in said, said
    assert shown.read_bytes() == b"theirs"


def test_what_the_catalog_does_not_know_is_set_aside(stored):
    services, version, _ = stored
    strange = version.with_name("0123456789abcdef0123456789abcdef")
    strange.write_bytes(b"whose?")
    done = services.command("fsck", "--disk", "local", "--mend", "--reason", "too soon")
    assert done.returncode == 0 and strange.exists(), done.stdout
    mended(services, "the catalog does not know it; `--mend` sets it aside")
    assert (version.parent.parent / "aside" / strange.name).read_bytes() == b"whose?"
    stage = version.parent.parent / "stages" / strange.name
    stage.write_bytes(b"on its way")
    mended(services, "does not know the upload of this stage")


def test_a_file_that_only_the_disk_knows_is_left_visible(stored):
    services, version, shown = stored
    with sqlite3.connect(services.folder / "catalog.sqlite") as rows:
        rows.executescript("DELETE FROM versions; DELETE FROM uploads")
    for arguments in ([], MEND):
        code, said = fsck(services, *arguments[:3])
        assert code == 1 and "`import` takes it in" in said, said
    assert shown.read_bytes() == TEXT and version.exists()


def test_bytes_that_rot_are_found(stored):
    services, version, _ = stored
    rotten = bytearray(TEXT)
    rotten[0] ^= 1
    times = version.stat()
    version.write_bytes(rotten)
    os.utime(version, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert fsck(services)[0] == 0
    code, said = fsck(services, "--digests")
    assert code == 1 and "its bytes are not those that were stored" in said, said
    version.write_bytes(TEXT[:-1])
    code, said = fsck(services)
    assert code == 1 and "it has another length" in said, said
    version.write_bytes(TEXT)


def test_what_was_asked_wrongly_is_said(stored):
    services, _, _ = stored
    wrong = services.command("fsck", "--mend")
    assert wrong.returncode != 0 and "--reason" in wrong.stderr
    wrong = services.command("fsck", "--disk", "nowhere")
    assert wrong.returncode != 0 and "There is no such disk" in wrong.stderr
