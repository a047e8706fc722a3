"""A client of the file API as sites have them: `requests`, one session, every call repeated that a busy server refuses."""

import hashlib
import io
import json

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

CHUNK_BYTES = 256 * 1024


class Client:
    """Calls `/internal/storage/` and gives back what a program wants to know. Failures are `requests.HTTPError`."""

    def __init__(self, url, key, disk):
        self.url = f"{url}/internal/storage/"
        self.disk = disk
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["X-API-Key"] = key
        again = Retry(
            total=5,
            backoff_factor=0.2,
            status_forcelist=[429, 500, 502, 503, 504],
            allowed_methods=None,
            raise_on_status=False,
        )
        self.session.mount("http://", HTTPAdapter(max_retries=again))

    def call(self, method, name, **more):
        answer = self.session.request(method, self.url + name, timeout=60, **more)
        if answer.status_code >= 400:
            problem = answer.json()
            raise requests.HTTPError(problem["error"], response=answer)
        return answer

    def save(self, path, content, content_type="text/csv", metadata=None):
        fields = {"path": path, "content_type": content_type, "disk": self.disk}
        if metadata is not None:
            digest = hashlib.sha256(content).hexdigest()
            known = {**metadata, "file_hash": digest, "file_size": len(content)}
            fields["metadata"] = json.dumps(known)
        part = {"file": ("file", io.BytesIO(content), content_type)}
        return self.call("POST", "upload", data=fields, files=part).json()

    def begin(self, path, content_type="text/csv", metadata=None):
        fields = {"path": path, "content_type": content_type, "action": "init", "disk": self.disk}
        fields["metadata"] = json.dumps(metadata or {})
        return self.call("POST", "upload_chunked", data=fields).json()["upload_id"]

    def send(self, upload, number, chunk):
        fields = {"upload_id": upload, "chunk_num": number, "action": "chunk", "disk": self.disk}
        part = {"chunk": ("chunk", io.BytesIO(chunk), "application/octet-stream")}
        return self.call("POST", "upload_chunked", data=fields, files=part).json()

    def complete(self, upload, chunks):
        fields = {"upload_id": upload, "action": "complete", "total_chunks": chunks, "disk": self.disk}
        return self.call("POST", "upload_chunked", data=fields).json()

    def save_chunked(self, path, content, **more):
        upload = self.begin(path, **more)
        chunks = [content[at : at + CHUNK_BYTES] for at in range(0, len(content), CHUNK_BYTES)]
        for number, chunk in enumerate(chunks):
            self.send(upload, number, chunk)
        return self.complete(upload, len(chunks))

    def read(self, path, **more):
        answer = self.call("GET", "download", params=self.file(path), stream=True, **more)
        return b"".join(answer.iter_content(64 * 1024))

    def paths(self, prefix):
        return self.call("GET", "list", params={"prefix": prefix, "include_metadata": False}).json()["files"]

    def known(self, prefix):
        files = self.call("GET", "list", params={"prefix": prefix, "include_metadata": True}).json()["files"]
        return [(file["path"], file["mtime"], file["size"]) for file in files]

    def exists(self, path):
        return self.call("GET", "exists", params=self.file(path)).json()["exists"]

    def metadata(self, path):
        return self.call("GET", "metadata", params=self.file(path)).json()["metadata"]

    def delete(self, path):
        return self.call("POST", "delete", json=self.file(path)).json()["success"]

    def delete_prefix(self, prefix, **more):
        return self.call("POST", "delete_prefix", json={"prefix": prefix, **more}).json()["deleted_count"]

    def cleanup(self, hours, dry_run):
        return self.call("POST", "cleanup", json={"hours": hours, "dry_run": dry_run}).json()["result"]

    def file(self, path):
        return {"path": path, "disk": self.disk}
