"""Versions of a file: nothing is overwritten, deletions can be taken back, and a purge cannot."""

import pytest

from conftest import ADMIN_KEY
from test_file_api import TEXT, refused

PATH = "c1/a.csv"
OTHER = b"a,b\n3,4\n"


def read(client, **more):
    return client.call("GET", "download", params={"path": PATH, **more}).content


def history(client):
    files = client.call("GET", "list", params={"versions": "true"}).json()["files"]
    return [(file["path"], file["version"], file["deleted_at"] is not None) for file in files]


def purge(services, reason, key=ADMIN_KEY):
    client = services.client()
    client.session.headers["X-API-Key"] = key
    return client.call("POST", "purge", json={"path": PATH, "reason": reason}).json()


def stored(services):
    return sorted((services.disks["local"] / ".portcullis/versions").iterdir())


def test_an_upload_to_a_path_is_a_new_version_and_every_one_can_be_read(services):
    client = services.client()
    assert client.save(PATH, TEXT)["version"] == 1
    assert client.save(PATH, OTHER)["version"] == 2
    assert client.save("b.csv", TEXT)["version"] == 1
    assert read(client) == read(client, version=2) == OTHER
    assert read(client, version=1) == TEXT
    assert history(client) == [("b.csv", 1, False), (PATH, 2, False), (PATH, 1, False)]
    assert client.call("GET", "metadata", params={"path": PATH, "version": 1}).json()["metadata"]["size"] == len(TEXT)
    assert refused(lambda: read(client, version=3)) == 404
    assert refused(lambda: read(client, version="x")) == 400
    assert (services.disks["local"] / PATH).read_bytes() == OTHER


def test_the_same_bytes_again_are_the_version_that_is_there(services):
    client = services.client()
    first, again = client.save(PATH, TEXT), client.save(PATH, TEXT)
    assert first == again and len(stored(services)) == 1
    client.save(PATH, OTHER)
    # Not the newest any more: it becomes the newest.
    assert client.save(PATH, TEXT)["version"] == 3
    services.kill()
    services.start()
    assert len(stored(services)) == 3 and read(services.client()) == TEXT


def test_a_deletion_is_taken_back(services):
    client = services.client()
    client.save(PATH, TEXT)
    client.save(PATH, OTHER)
    undelete = lambda: client.call("POST", "undelete", json={"path": PATH}).json()["success"]
    assert refused(undelete) == 404
    client.delete(PATH)
    assert not client.exists(PATH) and not (services.disks["local"] / PATH).exists()
    assert read(client, version=2) == OTHER
    assert history(client) == [(PATH, 2, True), (PATH, 1, True)]
    assert undelete()
    assert read(client) == (services.disks["local"] / PATH).read_bytes() == OTHER
    assert history(client) == [(PATH, 2, False), (PATH, 1, False)]
    # Only the last deletion, and what came after it stays the newest.
    client.delete(PATH)
    client.save(PATH, b"new")
    assert undelete()
    assert read(client) == b"new"
    assert refused(undelete) == 404


def test_a_purge_removes_every_byte_and_leaves_that_it_was_there(services):
    client = services.client()
    client.save(PATH, TEXT, metadata={"name": "somebody"})
    client.save(PATH, OTHER)
    client.delete(PATH)
    client.save("b.csv", TEXT)
    assert refused(lambda: purge(services, "asked to", key=client.session.headers["X-API-Key"])) == 403
    assert refused(lambda: purge(services, "  ")) == 400
    assert purge(services, "the patient asked for it")["purged_versions"] == 2
    assert len(stored(services)) == 1
    services.stop()
    assert b"somebody" not in (services.folder / "catalog.sqlite").read_bytes()
    services.start()
    client = services.client()
    assert refused(lambda: read(client, version=1)) == 410
    assert refused(lambda: read(client)) == 404
    assert refused(lambda: client.call("POST", "undelete", json={"path": PATH})) == 404
    assert refused(lambda: purge(services, "again")) == 404
    tombs = client.call("GET", "list", params={"prefix": PATH, "versions": "true"}).json()["files"]
    assert [(tomb["version"], tomb["metadata"], bool(tomb["purged_at"])) for tomb in tombs] == [(2, {}, True), (1, {}, True)]
    assert client.save(PATH, TEXT)["version"] == 3
    assert client.paths("") == ["b.csv", PATH]
    services.kill()
    services.start()
    assert len(stored(services)) == 2


def test_the_operator_purges_beside_running_services(services):
    client = services.client()
    client.save(PATH, TEXT)
    purge = lambda path: services.command("purge", "local", path, "--reason", "the patient asked for it")
    missing = purge("no.csv")
    assert missing.returncode != 0 and "there is no file local:no.csv" in missing.stderr
    done = purge(PATH)
    assert done.returncode == 0 and "all 1 version(s)" in done.stdout, done.stderr
    assert not client.exists(PATH) and stored(services) == []


def test_what_is_purged_counts_for_no_quota(services):
    services.kill()
    services.settings["local"]["quota-bytes"] = 20
    services.start()
    client = services.client()
    client.save(PATH, TEXT)
    client.save(PATH, OTHER)
    client.delete(PATH)
    assert refused(lambda: client.save("b.csv", TEXT)) == 507
    purge(services, "room is needed")
    client.save("b.csv", TEXT)
