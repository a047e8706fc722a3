"""Both servers, and a bad line before them, for clients that upload."""

import hashlib
import json
import os
import pathlib
import queue
import socket
import subprocess
import threading

from conftest import BINARIES, KEY, ROOT, Server

FOLDER = pathlib.Path(__file__).parent
METADATA = {"filetype": "text/csv", "cohort": "c1", "protocol_year": "2024", "table": "patient"}
POLICIES = """
[[policy]]
name = "file-type"
component = "{components}/file-type.wasm"
settings = {{ allow = ["csv"] }}

[[policy]]
name = "route-by-attributes"
component = "{components}/route-by-attributes.wasm"
disks = ["local"]
settings = {{ template = "in/{{filename}}", ignore = ["cohort", "protocol_year", "table"] }}
"""
"""How long anything may take, in seconds."""
PATIENCE = 60


class WebHost(Server):
    """The public side of these services."""

    def __init__(self, folder, services, start=True):
        self.services = services
        self.policies = folder / "policies.toml"
        self.policies.write_text(POLICIES.format(components=ROOT / "policies/components"))
        self.config = folder / "web.toml"
        self.config.write_text("allow-anonymous = true\nconcatenation = true\n")
        if start:
            self.start()

    def invoked(self):
        environment = {
            "SERVER_ROLE": "web",
            "INTERNAL_API_KEY": KEY,
            "SERVICES_URL": self.services.url,
            "OTEL_SDK_DISABLED": "true",
        }
        places = ["--config", self.config, "--listen", self.address, "--policies", self.policies]
        return {"args": [BINARIES / "portcullis-web", *places], "env": environment, "text": True}


class Line:
    """Passes connections on to another address, and cuts them where it is told to."""

    def __init__(self, target):
        self.target = target
        self.cuts = queue.Queue()
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        host, port = self.listener.getsockname()
        return f"http://{host}:{port}"

    def cut_after(self, *sizes):
        """Each of the next connections ends after so many bytes of its client."""
        for size in sizes:
            self.cuts.put(size)

    def close(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client):
        with client:
            host, port = self.target().split(":")
            try:
                server = socket.create_connection((host, int(port)))
            except OSError:
                return
            try:
                rest = self.cuts.get_nowait()
            except queue.Empty:
                rest = None
            with server:
                back = threading.Thread(target=_copy, args=(server, client), daemon=True)
                back.start()
                _copy(client, server, rest)
                back.join()
            # Closing is what tells a client in the middle of sending: where its bytes fill the window of this side,
            # an end alone never reaches it.


def _copy(source, sink, rest=None):
    """Until the source ends, or so many bytes have passed; then neither end goes on."""
    try:
        while rest is None or rest > 0:
            block = source.recv(65536 if rest is None else min(rest, 65536))
            if not block:
                break
            sink.sendall(block)
            rest = None if rest is None else rest - len(block)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class TusJs:
    """tus-js-client in a process of its own, with what it tells."""

    def __init__(self, **options):
        script = [os.environ.get("NODE", "node"), "upload.mjs", json.dumps(options)]
        self.process = subprocess.Popen(script, cwd=FOLDER / "tus-js", text=True, stdout=subprocess.PIPE)
        self.events = []

    def until(self, event, says=lambda told: True):
        """Reads on until this happens."""
        for line in self.process.stdout:
            told = json.loads(line)
            self.events.append(told)
            if told["event"] == event and says(told):
                return told
            if told["event"] in ("success", "error"):
                break
        raise AssertionError(f"no {event}: {self.events[-5:]}")

    def close(self):
        self.process.kill()
        self.process.wait(timeout=10)
        self.process.stdout.close()


def sha256(content):
    return hashlib.sha256(content).hexdigest()
