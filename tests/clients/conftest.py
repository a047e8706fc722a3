"""Services on free ports and temporary disks, for outside clients."""

import os
import pathlib
import subprocess

import pytest

from client import Client

ROOT = pathlib.Path(__file__).parents[2]
BINARIES = pathlib.Path(os.environ.get("PORTCULLIS_BIN_DIR", ROOT / "target/debug"))
KEY = "0123456789abcdef0123456789abcdef"


class Services:
    """The server as a process. It can be killed and started again where it was."""

    def __init__(self, folder):
        self.folder = folder
        self.disks = {name: folder / name for name in ("local", "uploads")}
        for disk in self.disks.values():
            disk.mkdir()
        self.address = "127.0.0.1:0"
        self.start()

    def start(self):
        disks = ", ".join(f'"{name}": {{"type": "local", "root": "{root}"}}' for name, root in self.disks.items())
        environment = {
            "SERVER_ROLE": "services",
            "INTERNAL_API_KEY": KEY,
            "STORAGE_CONFIG": f"{{{disks}}}",
            "OTEL_SDK_DISABLED": "true",
        }
        arguments = ["--config", "/dev/null", "--listen", self.address, "--catalog", str(self.folder / "catalog.sqlite")]
        self.process = subprocess.Popen(
            [BINARIES / "portcullis-services", *arguments], env=environment, stdout=subprocess.PIPE, text=True
        )
        for line in self.process.stdout:
            if line.startswith("listening on http://"):
                self.address = line.removeprefix("listening on http://").strip()
                return
        raise RuntimeError("services did not start; what they said is above")

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=10)
        self.process.stdout.close()

    @property
    def url(self):
        return f"http://{self.address}"

    def client(self, disk="local"):
        return Client(self.url, KEY, disk)


@pytest.fixture
def services(tmp_path):
    services = Services(tmp_path)
    yield services
    services.kill()
