"""The web host behind nginx, below a path: every address that it gives leads back through the proxy."""

import re
import shutil
import socket
import subprocess
from urllib.parse import urljoin

import pytest
import requests
from tusclient.client import TusClient

from conftest import BINARIES, Services
from pair import METADATA, PATIENCE, WebHost

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
TABLE = b"patid,sex\n" * 100_000
CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr;
events {{ }}
http {{
  access_log off;
  client_max_body_size 0;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen {address};
    location /app/ {{
      proxy_pass http://{web}/;
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_buffering off;
    }}
  }}
}}
"""

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


class Nginx:
    def __init__(self, folder, web):
        self.address = free_address()
        configuration = folder / "nginx.conf"
        configuration.write_text(CONFIGURATION.format(folder=folder, address=self.address, web=web.address))
        self.process = subprocess.Popen([NGINX, "-c", str(configuration), "-p", str(folder)])
        self.url = f"http://{self.address}/app/"
        self.until_it_answers()

    def until_it_answers(self):
        session = requests.Session()
        retries = requests.adapters.Retry(connect=50, backoff_factor=0.05)
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retries))
        assert session.get(urljoin(self.url, "healthz"), timeout=PATIENCE).ok

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)


def free_address():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        host, port = taken.getsockname()
    return f"{host}:{port}"


@pytest.fixture
def site(tmp_path):
    services = Services(tmp_path, {"local": {}})
    web = WebHost(tmp_path, services)
    nginx = Nginx(tmp_path, web)
    nginx.stored = services.disks["local"] / "in"
    yield nginx
    nginx.stop()
    for server in (web, services):
        server.kill()


def test_the_page_and_all_that_it_loads_come_through_the_proxy(site):
    page = requests.get(site.url, timeout=PATIENCE)
    assert page.ok
    loaded = re.findall(r'(?:src|href)="([^"#]+)"', page.text)
    assert len(loaded) >= 4
    for address in loaded:
        answer = requests.get(urljoin(site.url, address), timeout=PATIENCE)
        assert answer.ok, address
    action = re.search(r'<form id="upload"[^>]* action="([^"]+)"', page.text).group(1)
    address = urljoin(site.url, action)
    files = {"file": ("form.csv", TABLE, "text/csv")}
    fields = {name: value for name, value in METADATA.items() if name != "filetype"}
    sent = requests.post(address, data=fields, files=files, headers={"Accept": "text/html"}, timeout=PATIENCE)
    assert sent.status_code == 201
    assert (site.stored / "form.csv").read_bytes() == TABLE
    for way in re.findall(r'(?:src|href)="([^"#]+)"', sent.text):
        assert requests.get(urljoin(address, way), timeout=PATIENCE).ok, way


def test_tuspy_goes_on_through_the_proxy(site, tmp_path):
    path = tmp_path / "tuspy.csv"
    path.write_bytes(TABLE)
    client = TusClient(urljoin(site.url, "uploads"))
    uploader = client.uploader(str(path), metadata=METADATA | {"filename": "tuspy.csv"}, chunk_size=300_000)
    uploader.upload_chunk()
    assert uploader.url.startswith(site.url)
    again = client.uploader(str(path), url=uploader.url, chunk_size=300_000)
    again.upload()
    assert (site.stored / "tuspy.csv").read_bytes() == TABLE


def test_the_command_uploads_through_the_proxy(site, tmp_path):
    path = tmp_path / "command.csv"
    path.write_bytes(TABLE)
    attributes = [part for name, value in METADATA.items() if name != "filetype" for part in ("--attr", f"{name}={value}")]
    command = [BINARIES / "portcullis", "upload", "--to", site.url.rstrip("/"), *attributes, path]
    subprocess.run(command, check=True, timeout=PATIENCE, env={"HOME": str(tmp_path)})
    assert (site.stored / "command.csv").read_bytes() == TABLE
