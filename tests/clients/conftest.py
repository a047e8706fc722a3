"""Services on free ports and temporary disks, for outside clients."""

import json
import os
import pathlib
import socket
import subprocess
import threading

import pytest

from client import Client

ROOT = pathlib.Path(__file__).parents[2]
BINARIES = pathlib.Path(os.environ.get("PORTCULLIS_BIN_DIR", ROOT / "target/debug"))
KEY = "0123456789abcdef0123456789abcdef"
ADMIN_KEY = "00112233445566778899aabbccddeeff"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Server:
    """A server as a process. It can be killed and started again where it was; `invoked` says how."""

    address = "127.0.0.1:0"

    def start(self):
        self.process = subprocess.Popen(**self.invoked(), stdout=subprocess.PIPE)
        for line in self.process.stdout:
            said = json.loads(line)
            if said["event"] == "portcullis.listening":
                self.address = said["server.address"]
                # It goes on writing its log, which somebody has to read.
                threading.Thread(target=self.process.stdout.read, daemon=True).start()
                return
        raise RuntimeError("the server did not start; what it said is above")

    def show_metrics(self):
        """Has it show its metrics, from its next start on, at the address that is returned."""
        address = f"127.0.0.1:{free_port()}"
        self.config.write_text(f'metrics-listen = "{address}"\n{self.config.read_text()}')
        return address

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=10)
        self.process.stdout.close()

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)
        self.process.stdout.close()

    @property
    def url(self):
        return f"http://{self.address}"


class Services(Server):
    """Services with these disks."""

    def __init__(self, folder, settings, start=True):
        self.folder = folder
        self.settings = settings
        self.disks = {name: folder / name for name in settings}
        for disk in self.disks.values():
            disk.mkdir()
        key = folder / "admin.key"
        key.write_text(ADMIN_KEY)
        self.config = folder / "services.toml"
        self.config.write_text(f'[[keys]]\nname = "admin"\nkey-file = "{key}"\nscopes = ["admin"]\n')
        if start:
            self.start()

    def invoked(self, *arguments):
        disks = {
            name: {"type": "local", "root": str(self.disks[name]), **settings}
            for name, settings in self.settings.items()
        }
        environment = {
            "SERVER_ROLE": "services",
            "INTERNAL_API_KEY": KEY,
            "STORAGE_CONFIG": json.dumps(disks),
            "OTEL_SDK_DISABLED": "true",
        }
        places = ["--config", str(self.config), "--listen", self.address, "--catalog", str(self.folder / "catalog.sqlite")]
        return {"args": [BINARIES / "portcullis-services", *arguments, *places], "env": environment, "text": True}

    def command(self, *arguments):
        return subprocess.run(**self.invoked(*arguments), capture_output=True, timeout=60)

    def refuses_to_start(self):
        refused = self.command()
        assert refused.returncode != 0, refused.stdout
        return refused.stderr

    def client(self, disk="local"):
        return Client(self.url, KEY, disk)


@pytest.fixture
def services(tmp_path):
    services = Services(tmp_path, {"local": {}, "uploads": {}})
    yield services
    services.kill()
