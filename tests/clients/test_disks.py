"""Disks as a site configures them: read-only, with quotas, with modes, and not mounted."""

import shutil
import stat

import pytest

from conftest import Services
from test_file_api import TEXT, refused


def test_a_quota_is_of_a_disk_and_of_each_cohort(tmp_path):
    quota = {"quota-bytes": 40, "cohort-quota": {"bytes": 16, "each": {"large": 24}}}
    services = Services(tmp_path, {"local": quota})
    client = services.client()
    save = lambda path, cohort: client.save(path, TEXT, metadata={"cohort": cohort})
    for cohort, files in (("small", 2), ("large", 3)):
        for nth in range(files):
            save(f"{cohort}/{nth}", cohort)
        assert refused(lambda: save(f"{cohort}/more", cohort)) == 507
    # The disk is full now, whosever the file is.
    assert refused(lambda: client.save("x", TEXT)) == 507
    assert len(client.paths("")) == 5
    services.kill()
    services.start()
    assert refused(lambda: client.save("x", TEXT)) == 507
    services.kill()


def test_a_chunked_upload_ends_where_its_quota_does(tmp_path):
    services = Services(tmp_path, {"local": {"quota-bytes": 10}})
    client = services.client()
    upload = client.begin("a.csv")
    client.send(upload, 0, TEXT)
    assert refused(lambda: client.send(upload, 1, TEXT)) == 507
    assert client.complete(upload, 1)["size"] == len(TEXT)
    services.kill()


def test_a_read_only_disk_is_read_and_takes_nothing(tmp_path):
    services = Services(tmp_path, {"local": {}, "uploads": {}})
    client = services.client()
    client.save("a/b.csv", TEXT)
    services.kill()
    services.settings["local"]["read-only"] = True
    services.start()
    assert client.read("a/b.csv") == TEXT
    assert client.paths("") == ["a/b.csv"]
    for change in (
        lambda: client.save("c.csv", TEXT),
        lambda: client.begin("c.csv"),
        lambda: client.delete("a/b.csv"),
        lambda: client.delete_prefix("a"),
    ):
        assert refused(change) == 409
    assert (services.disks["local"] / "a/b.csv").read_bytes() == TEXT
    services.client("uploads").save("c.csv", TEXT)
    health = client.call("GET", "health").json()["disks"]
    assert health["local"]["status"] == "healthy"
    assert not health["local"]["writable"] and health["uploads"]["writable"]
    services.kill()


def test_files_and_folders_get_the_modes_that_others_need(tmp_path):
    services = Services(tmp_path, {"local": {"file-mode": "0640", "folder-mode": "2750"}})
    services.client().save("a/b/c.csv", TEXT)
    root = services.disks["local"]
    for path, mode in (("a/b/c.csv", 0o640), ("a/b", 0o2750), ("a", 0o2750), (".portcullis", 0o700)):
        assert stat.S_IMODE((root / path).stat().st_mode) == mode, path
    services.kill()


def test_an_empty_folder_in_the_place_of_a_disk_is_refused_until_it_is_adopted(tmp_path):
    services = Services(tmp_path, {"local": {}})
    services.client().save("a.csv", TEXT)
    services.kill()
    root, away = services.disks["local"], tmp_path / "away"
    root.rename(away)
    root.mkdir()
    said = services.refuses_to_start()
    assert "is not mounted or was emptied" in said and "\n" not in said.strip()
    assert not any(root.iterdir())
    # The disk comes back: nothing else is needed.
    root.rmdir()
    away.rename(root)
    services.start()
    assert services.client().read("a.csv") == TEXT
    services.kill()
    shutil.rmtree(root)
    root.mkdir()
    wrong = services.command("disk", "adopt", "tape", "--reason", "x")
    assert wrong.returncode != 0 and "there is no disk `tape`" in wrong.stderr
    adopted = services.command("disk", "adopt", "local", "--reason", "the NAS was replaced")
    assert adopted.returncode == 0, adopted.stderr
    services.start()
    services.client().save("b.csv", TEXT)
    services.kill()
    assert " 16 bytes" in services.command("disk", "list").stdout


def test_the_disk_of_another_catalog_is_not_taken_for_ours(tmp_path):
    services = Services(tmp_path, {"local": {}, "uploads": {}})
    services.kill()
    local, uploads = (services.disks[name] for name in ("local", "uploads"))
    local.rename(tmp_path / "swapped")
    uploads.rename(local)
    (tmp_path / "swapped").rename(uploads)
    assert "is that of another disk" in services.refuses_to_start()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"file-mode": "0777"}, "a mode is three or four octal digits"),
        ({"quota": 1}, "unknown field `quota`"),
        ({"group": "no-such-group"}, "no-such-group"),
    ],
)
def test_a_setting_that_cannot_be_is_said(tmp_path, settings, says):
    services = Services(tmp_path, {"local": settings}, start=False)
    said = services.refuses_to_start()
    assert says in said and "\n" not in said.strip()


def test_who_names_no_disk_means_the_one_that_the_site_says(tmp_path):
    services = Services(tmp_path, {"archive": {}, "local": {}}, start=False)
    keys = services.config.read_text()
    services.config.write_text(f'default-disk = "tape"\n{keys}')
    assert "there is no disk `tape`" in services.refuses_to_start()
    for setting, disk in (('default-disk = "local"\n', "local"), ("", "archive")):
        services.config.write_text(setting + keys)
        services.start()
        saved = services.client().call("POST", "upload", data={"path": "a.csv"}, files={"file": TEXT})
        assert saved.json()["disk"] == disk
        assert (services.disks[disk] / "a.csv").read_bytes() == TEXT
        services.stop()
        services.address = "127.0.0.1:0"
