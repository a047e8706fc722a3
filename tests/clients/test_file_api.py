"""The file API, tried with a client that was not made for this server."""

import concurrent.futures
import hashlib
import os
import subprocess
import sys
import time

import pytest
import requests

from conftest import KEY

TEXT = b"a,b\n1,2\n"
LARGE = os.urandom(3 * 256 * 1024 + 17)


def refused(call):
    with pytest.raises(requests.HTTPError) as error:
        call()
    answer = error.value.response
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["error"].endswith(".")
    return answer.status_code


@pytest.mark.parametrize("disk", ["local", "uploads"])
def test_a_file_goes_through_all_its_life(services, disk):
    client = services.client(disk)
    saved = client.save("c1/2026/patient/data.csv", TEXT, metadata={"cohort_id": 1, "user_id": 7, "file_type": "raw"})
    assert (saved["success"], saved["path"], saved["size"]) == (True, "c1/2026/patient/data.csv", len(TEXT))
    assert (services.disks[disk] / saved["path"]).read_bytes() == TEXT
    assert client.read(saved["path"]) == TEXT
    assert client.read(saved["path"], headers={"Range": "bytes=4-6"}) == TEXT[4:7]
    assert client.exists(saved["path"])
    known = client.metadata(saved["path"])
    assert (known["size"], known["content_type"]) == (len(TEXT), "text/csv")
    assert known["metadata"]["file_hash"] == hashlib.sha256(TEXT).hexdigest()
    assert client.delete(saved["path"])
    assert not client.exists(saved["path"])
    assert refused(lambda: client.read(saved["path"])) == 404
    assert refused(lambda: client.delete(saved["path"])) == 404


def test_who_asks_for_a_file_that_is_not_there_is_told_of_files(services):
    client, file = services.client(), {"path": "none.csv", "disk": "local"}
    for method, name, more in [
        ("GET", "download", {"params": file}),
        ("GET", "metadata", {"params": file}),
        ("DELETE", "delete", {"params": file}),
        ("POST", "undelete", {"json": file}),
    ]:
        with pytest.raises(requests.HTTPError) as error:
            client.call(method, name, **more)
        answer = error.value.response
        assert (answer.status_code, "no such file" in answer.json()["error"]) == (404, True), answer.text


def test_a_large_file_comes_in_chunks(services):
    client = services.client()
    saved = client.save_chunked("big.bin", LARGE, metadata={"cohort_id": 1})
    assert (saved["success"], saved["size"], saved["chunks"]) == (True, len(LARGE), 4)
    assert client.read("big.bin") == LARGE


def test_chunks_go_on_after_services_are_killed(services):
    client = services.client()
    upload = client.begin("big.bin")
    pieces = [LARGE[at : at + 200_000] for at in range(0, len(LARGE), 200_000)]
    for number, piece in enumerate(pieces):
        client.send(upload, number, piece)
        services.kill()
        services.start()
        # Its answer might have been lost.
        client.send(upload, number, piece)
    services.kill()
    services.start()
    assert client.complete(upload, len(pieces))["size"] == len(LARGE)
    services.kill()
    services.start()
    assert client.complete(upload, len(pieces))["size"] == len(LARGE)
    assert client.read("big.bin") == LARGE


def test_lists_are_of_paths_or_of_path_time_and_size(services):
    client = services.client()
    paths = [f"runs/{run}/{name}.csv" for run in (1, 2, 10) for name in "ab"]
    for path in paths:
        client.save(path, TEXT)
    assert client.paths("runs/1/") == ["runs/1/a.csv", "runs/1/b.csv"]
    assert client.paths("runs/1") == ["runs/1/a.csv", "runs/1/b.csv"]
    assert sorted(client.paths("")) == sorted(paths)
    for path, mtime, size in client.known("runs"):
        assert path in paths and abs(time.time() - mtime) < 600 and size == len(TEXT)
    assert client.delete_prefix("runs/1/", dry_run=True) == 0
    assert client.delete_prefix("runs/1/") == 2
    assert client.paths("runs/1") == []
    assert len(client.paths("runs")) == 4


def test_what_is_left_lying_is_cleaned_up(services):
    client = services.client()
    upload = client.begin("never.csv")
    assert client.cleanup(4, False)["found"] == 0
    assert client.cleanup(0, True)["cleaned"] == 1
    assert client.cleanup(0, False)["cleaned"] == 1
    assert refused(lambda: client.send(upload, 0, TEXT)) == 409


def test_health_needs_a_key_and_says_how_each_disk_is(services):
    health = services.client().call("GET", "health").json()
    assert health["status"] == "healthy" and set(health["disks"]) == {"local", "uploads"}
    url = f"{services.url}/internal/storage/health"
    assert requests.get(url, timeout=10).status_code == 401
    wrong = requests.get(url, headers={"X-API-Key": KEY[::-1]}, timeout=10)
    assert wrong.status_code == 403 and "X-API-Key" in wrong.json()["error"]


def test_many_clients_store_at_once(services):
    def store(nth):
        client = services.client()
        return client.save(f"many/{nth % 8}/{nth}.csv", TEXT + str(nth).encode())["version"]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert set(pool.map(store, range(200))) == {1}
    assert len(services.client().paths("many")) == 200


def test_the_description_holds_for_whatever_is_sent(services):
    """schemathesis makes calls from `openapi.json`, valid and not, and compares every answer with it."""
    command = [
        os.path.join(os.path.dirname(sys.executable), "schemathesis"),
        f"--config-file={os.path.dirname(os.path.abspath(__file__))}/schemathesis.toml",
        "run",
        f"{services.url}/internal/storage/openapi.json",
        "--header",
        f"X-API-Key: {KEY}",
        "--max-examples=30",
        "--seed=1",
        "--generation-database=none",
        "--suppress-health-check=all",
        "--no-color",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, cwd=services.folder)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
