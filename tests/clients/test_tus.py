"""Uploads by clients that others made: tuspy, tus-js-client and curl, over lines that break, to servers that die."""

import base64
import json
import random
import subprocess
from urllib.parse import urljoin

import pytest
import requests
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError, TusUploadFailed

from conftest import Services
from pair import METADATA, PATIENCE, Line, TusJs, WebHost, sha256

TABLE = b"patid,sex\n" * 400_000
PROGRAM = b"\x7fELF\x02\x01\x01" + bytes(100_000)


class Pair:
    def __init__(self, folder):
        self.services = Services(folder, {"local": {}})
        self.web = WebHost(folder, self.services)
        self.line = Line(lambda: self.web.address)
        self.folder = folder

    def stop(self):
        self.line.close()
        for server in (self.web, self.services):
            server.kill()

    def stored(self, name):
        return (self.services.disks["local"] / "in" / name).read_bytes()

    def is_stored(self, name):
        return (self.services.disks["local"] / "in" / name).exists()

    def file(self, name, content):
        path = self.folder / name
        path.write_bytes(content)
        return str(path)


@pytest.fixture
def pair(tmp_path):
    pair = Pair(tmp_path)
    yield pair
    pair.stop()


@pytest.fixture
def tus_js():
    started = []

    def start(**options):
        started.append(TusJs(**options))
        return started[-1]

    yield start
    for client in started:
        client.close()


def record(url):
    answer = requests.get(url, timeout=PATIENCE)
    answer.raise_for_status()
    return answer.json()


def metadata(name):
    return {"filename": name, **METADATA}


def tuspy(pair, name, content, **options):
    client = TusClient(f"{pair.line.url}/uploads")
    path = pair.file(name, content)
    return client.uploader(path, metadata=metadata(name), **{"chunk_size": 500_000, **options})


@pytest.mark.parametrize("checksum", [False, True])
def test_tuspy_uploads_in_chunks(pair, checksum):
    uploader = tuspy(pair, "a.csv", TABLE, upload_checksum=checksum)
    uploader.upload()
    assert pair.stored("a.csv") == TABLE
    told = record(uploader.url)
    assert told["state"] == "committed"
    assert told["receipt"]["sha256"] == sha256(TABLE)


def test_tuspy_hears_a_refusal_and_never_a_success(pair):
    uploader = tuspy(pair, "a.csv", PROGRAM, chunk_size=10_000)
    for _ in range(3):
        with pytest.raises(TusUploadFailed) as refused:
            uploader.upload()
        assert refused.value.status_code == 422
        assert json.loads(refused.value.response_content)["policy"] == "file-type"
        uploader.offset = uploader.get_offset()
        assert uploader.offset < len(PROGRAM)
    assert not pair.is_stored("a.csv")


def test_tuspy_goes_on_over_a_line_that_breaks(pair):
    chance = random.Random(18)
    uploader = tuspy(pair, "a.csv", TABLE, chunk_size=len(TABLE))
    uploader.set_url(uploader.create_url())
    uploader.offset = 0
    offsets = [0]
    for _ in range(12):
        pair.line.cut_after(chance.randrange(400_000))
        with pytest.raises((TusCommunicationError, TusUploadFailed)):
            uploader.upload()
        uploader.offset = uploader.get_offset()
        offsets.append(uploader.offset)
    assert offsets == sorted(offsets)
    assert 0 < offsets[-1] < len(TABLE)
    # What the line still held of the request before may arrive after the offset was told (409): it asks again.
    uploader.retries, uploader.retry_delay = 5, 0.1
    uploader.upload()
    assert pair.stored("a.csv") == TABLE


def test_tus_js_client_uploads(pair, tus_js):
    variants = {
        "whole.csv": {},
        "chunks.csv": {"chunkSize": 333_333},
        "creation.csv": {"duringCreation": True, "chunkSize": 1_000_000},
        "later.csv": {"deferred": True, "chunkSize": 700_000},
        "post.csv": {"override": True},
        "parts.csv": {"parallel": 3},
    }
    for name, options in variants.items():
        path = pair.file(name, TABLE)
        client = tus_js(endpoint=f"{pair.web.url}/uploads", file=path, metadata=metadata(name), **options)
        done = client.until("success")
        assert pair.stored(name) == TABLE, name
        assert record(done["url"])["receipt"]["sha256"] == sha256(TABLE)


def test_tus_js_client_uploads_an_empty_file_and_a_small_one_with_its_creation(pair, tus_js):
    for name, content in [("empty.csv", b""), ("small.csv", b"patid\n1\n")]:
        # With an empty file and its creation in one it does not even begin: it fails by itself.
        during_creation = len(content) > 0
        path = pair.file(name, content)
        options = {"endpoint": f"{pair.web.url}/uploads", "file": path, "metadata": metadata(name)}
        tus_js(duringCreation=during_creation, **options).until("success")
        assert pair.stored(name) == content


def test_tus_js_client_hears_a_refusal_however_often_it_comes_back(pair, tus_js):
    path = pair.file("a.csv", PROGRAM)
    options = {"endpoint": f"{pair.web.url}/uploads", "file": path, "metadata": metadata("a.csv")}
    client = tus_js(chunkSize=10_000, **options)
    url = client.until("url")["url"]
    refused = client.until("error")
    for _ in range(2):
        assert refused["status"] == 422
        assert json.loads(refused["body"])["policy"] == "file-type"
        # Its page was closed and opened again.
        refused = tus_js(url=url, **options).until("error")
    assert record(url)["state"] == "rejected"
    assert not pair.is_stored("a.csv")


def test_tus_js_client_goes_on_through_cuts_and_kills_of_both_servers(pair, tus_js):
    path = pair.file("a.csv", TABLE)
    pair.line.cut_after(2000, 300_000, 900_000, 50_000, 1_200_000)
    client = tus_js(
        endpoint=f"{pair.line.url}/uploads", file=path, metadata=metadata("a.csv"), chunkSize=200_000
    )
    url = client.until("url")["url"]
    for sent, server in [(500_000, pair.web), (1_000_000, pair.services), (2_000_000, pair.web), (3_000_000, pair.services)]:
        client.until("progress", lambda told, sent=sent: told["sent"] >= sent)
        server.kill()
        if server is pair.services:
            # It is told to wait, not to begin anew.
            client.until("response", lambda told: told["method"] == "HEAD" and told["status"] == 423)
        server.start()
    assert client.until("success")["url"] == url
    assert pair.stored("a.csv") == TABLE
    assert {told["url"] for told in client.events if told["event"] == "url"} == {url}


def test_a_lost_last_answer_is_the_same_receipt(pair, tus_js):
    name, content = "a.csv", TABLE[:1_000_000]
    path = pair.file(name, content)
    options = {"endpoint": f"{pair.line.url}/uploads", "file": path, "metadata": metadata(name)}
    first = tus_js(**options)
    url = first.until("success")["url"]
    receipt = record(url)["receipt"]
    # As if it had not heard: all of it again, over the same address.
    assert tus_js(url=url, **options).until("success")["url"] == url
    assert record(url)["receipt"] == receipt
    assert receipt["version"] == 1


def test_curl_goes_on_after_the_web_host_was_killed(pair):
    def curl(*arguments, data=None):
        command = ["curl", "-sS", "-i", "-H", "Tus-Resumable: 1.0.0", *arguments]
        done = subprocess.run(command, input=data, capture_output=True, timeout=PATIENCE, check=True)
        head = done.stdout.split(b"\r\n\r\n")[-2].decode().split("\r\n")
        named = (line.split(": ", 1) for line in head[1:])
        return int(head[0].split()[1]), {name.lower(): value for name, value in named}

    body = TABLE[:700_000]
    pairs = ",".join(f"{key} {encoded(value)}" for key, value in metadata("a.csv").items())
    status, told = curl(
        "-X", "POST", f"{pair.web.url}/uploads", "-H", f"Upload-Length: {len(body)}", "-H", f"Upload-Metadata: {pairs}"
    )
    assert status == 201
    url = urljoin(f"{pair.web.url}/uploads", told["location"])
    piece = ["-X", "PATCH", url, "-H", "Content-Type: application/offset+octet-stream", "--data-binary", "@-"]
    status, told = curl(*piece, "-H", "Upload-Offset: 0", data=body[:300_000])
    assert (status, told["upload-offset"]) == (204, "300000")
    pair.web.kill()
    pair.web.start()
    status, told = curl("--head", url)
    assert (status, told["upload-offset"], told["upload-length"]) == (200, "300000", str(len(body)))
    status, told = curl(*piece, "-H", "Upload-Offset: 300000", data=body[300_000:])
    assert (status, told["upload-offset"]) == (204, str(len(body)))
    assert pair.stored("a.csv") == body


def test_curl_speaks_http_2(pair):
    path = pair.file("a.csv", TABLE)
    command = ["curl", "-sS", "--http2-prior-knowledge", "-o", pair.folder / "answer", "-w", "%{http_version} %{http_code}"]
    command += ["-F", f"file=@{path}", f"{pair.web.url}/uploads"]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True)
    assert done.stdout == b"2 201"
    assert pair.stored("a.csv") == TABLE


def encoded(text):
    return base64.b64encode(text.encode()).decode()
