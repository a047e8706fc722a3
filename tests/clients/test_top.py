"""`portcullis top` in a terminal that others made, before the two real servers."""

import fcntl
import os
import pathlib
import pty
import signal
import struct
import subprocess
import termios
import threading
import time

import pyte
import pytest
import requests

from conftest import BINARIES, Services
from pair import WebHost

"""How long anything may take, in seconds."""
PATIENCE = 60
COLUMNS, LINES = 110, 40
"""What a terminal is told when a program gives it back as it was (xterm, alternate screen buffer)."""
GIVEN_BACK = b"\x1b[?1049l"


class Terminal:
    """A program in a terminal; `text` is what somebody before it sees."""

    def __init__(self, *arguments):
        self.screen = pyte.Screen(COLUMNS, LINES)
        self.sent = b""
        stream = pyte.ByteStream(self.screen)
        self.own, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        places = dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
        program = [BINARIES / "portcullis", "top", "--every", "1", *arguments]
        self.process = subprocess.Popen(program, **places, start_new_session=True, env={"TERM": "xterm-256color"})
        os.close(theirs)

        def read():
            while True:
                try:
                    sent = os.read(self.own, 65536)
                except OSError:
                    # Nobody writes to it any more.
                    return
                self.sent += sent
                stream.feed(sent)

        self.reader = threading.Thread(target=read, daemon=True)
        self.reader.start()

    @property
    def text(self):
        return "\n".join(self.screen.display)

    def row(self, name):
        """The words of the line that begins with this, without its frame."""
        for line in self.screen.display:
            for part in line.split("│"):
                if part.strip().startswith(name):
                    return part.split()
        return []

    def until(self, seen, what):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if seen():
                return
            time.sleep(0.05)
        raise AssertionError(f"{what}:\n{self.text}")

    def press(self, keys):
        os.write(self.own, keys)

    def ended(self):
        status = self.process.wait(timeout=30)
        self.reader.join(timeout=30)
        os.close(self.own)
        return status


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path)
    yield site
    site.services.kill()
    site.web.kill()


class Site:
    def __init__(self, folder):
        self.services = Services(folder, {"local": {}}, start=False)
        self.web = WebHost(folder, self.services, start=False)
        self.metrics = {"web": self.web.show_metrics(), "services": self.services.show_metrics()}
        self.services.start()
        self.web.start()

    def top(self):
        return Terminal("--web", self.metrics["web"], "--services", self.metrics["services"])

    def upload(self, name, content):
        files = {"file": (name, content, "text/csv")}
        return requests.post(f"{self.web.url}/uploads", files=files, timeout=60).status_code


def test_it_shows_uploads_verdicts_hop_and_disk_while_they_change(site):
    assert site.upload("first.csv", b"a\n1\n") == 201
    top = site.top()
    top.until(lambda: top.row("stored")[1:2] == ["1"], "the upload before is not there")
    for name in ("second.csv", "third.csv"):
        assert site.upload(name, b"a\n1\n") == 201
    assert site.upload("program.csv", b"\x7fELF\x02\x01\x01\0") == 422
    top.until(lambda: top.row("stored")[1:2] == ["3"], "what came since is not there")
    top.until(lambda: top.row("rejected")[1:2] == ["1"], "the refusal is not there")
    # Accepts, sets apart, rejects, fails.
    top.until(lambda: top.row("file-type")[1:5] == ["3", "0", "1", "0"], "the verdicts are not there")
    top.until(lambda: top.row("PUT /internal/uploads/{id}")[3:4] not in ([], ["-"]), "the calls are not there")
    top.until(lambda: top.row("fsync")[2:3] not in ([], ["-"]), "the steps are not there")
    assert "free" in top.row("local:") and "quarantine:" in top.text, top.text
    if picture := os.environ.get("TOP_PICTURE"):
        pathlib.Path(picture).write_text(top.text)
    top.press(b"q")
    assert top.ended() == 0
    assert GIVEN_BACK in top.sent


def test_a_server_that_is_away_is_one_sentence_and_comes_back(site):
    top = site.top()
    top.until(lambda: top.row("stored"), "nothing is there")
    site.services.stop()
    said = f"Nobody answers at {site.metrics['services']}; is services running"
    top.until(lambda: said in top.text, "nothing is said of it")
    assert top.row("stored"), "the other server is not shown any more"
    site.services.start()
    top.until(lambda: top.row("local:"), "it does not come back")
    top.press(b"\x03")
    assert top.ended() == 0
    assert GIVEN_BACK in top.sent


def test_it_says_that_something_else_answers(site):
    top = Terminal("--web", site.web.address, "--services", site.metrics["services"])
    top.until(lambda: f"What answers at {site.web.address} is not" in top.text, "nothing is said of it")
    top.process.send_signal(signal.SIGTERM)
    assert top.ended() == 0
    assert GIVEN_BACK in top.sent


@pytest.mark.parametrize("arguments, says", [([], "no terminal"), (["--web", "9464"], "127.0.0.1:9464")])
def test_what_cannot_be_is_one_sentence(arguments, says):
    refused = subprocess.run([BINARIES / "portcullis", "top", *arguments], capture_output=True, text=True, timeout=60)
    assert refused.returncode != 0 and says in refused.stderr, refused
