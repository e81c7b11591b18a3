"""nginx serves files from the bucket when the program says so, with the configuration in deploy/."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware

from dreamina_ui.media.bucket import Bucket
from dreamina_ui.media.late_copies import LateCopies
from dreamina_ui.media.object_store import ObjectStore
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.middleware.security_headers import SecurityHeaders
from dreamina_ui.web.routes.files import build_file_routes
from tests.support.bad_server import closed_port
from tests.support.browser import ROOT, wait_for
from tests.support.decoding import decoder
from tests.support.harness import Harness, ScriptedApi, png

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
SIZE = (300, 200)
pytestmark = pytest.mark.skipif(not NGINX, reason="nginx is missing; on Debian: apt-get install nginx")


@pytest.fixture
def harness(harness: Harness, bucket: Bucket, tmp_path: Path) -> Harness:
    harness.make_store = lambda _: ObjectStore(bucket, tmp_path / "scratch")
    harness.rebuild()
    return harness


@pytest.fixture
def app(harness: Harness) -> Iterator[int]:
    """The routes of files on a port."""
    permissions = Permissions(is_shared=False)
    routes = build_file_routes(harness.reader, permissions, LateCopies(harness.store, decoder()), "accel")
    site = Starlette(routes=routes, middleware=[Middleware(SecurityHeaders)])
    server = uvicorn.Server(uvicorn.Config(site, port=(port := closed_port()), log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_for(lambda: server.started)
    yield port
    server.should_exit = True
    thread.join()


@pytest.fixture
def site(app: int, bucket: Bucket, tmp_path: Path) -> Iterator[str]:
    """nginx in front of them."""
    given = (ROOT / "deploy" / "nginx-bucket.conf").read_text()
    assert given.count("https://s3.example.com/") == 1
    (tmp_path / "bucket.conf").write_text(given.replace("https://s3.example.com/", f"{bucket.access.endpoint}/"))
    port, config = closed_port(), tmp_path / "nginx.conf"
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    positions = "".join(f"{kind}_temp_path {tmp_path}/{kind};\n" for kind in kinds)
    config.write_text(
        f"{'user root;' if os.geteuid() == 0 else ''} daemon off; pid {tmp_path}/nginx.pid; worker_processes 1;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{positions}server {{\nlisten 127.0.0.1:{port};\n"
        f"location / {{ proxy_pass http://127.0.0.1:{app}; proxy_set_header Host $http_host; }}\n"
        f"include {tmp_path}/bucket.conf;\n}}\n}}\n"
    )
    with (tmp_path / "nginx.log").open("wb") as log:
        nginx = subprocess.Popen([str(NGINX), "-p", str(tmp_path), "-e", "stderr", "-c", str(config)], stderr=log)
    wait_for(lambda: nginx.poll() is not None or (tmp_path / "nginx.pid").exists())
    assert nginx.poll() is None, (tmp_path / "nginx.log").read_text()
    yield f"http://127.0.0.1:{port}"
    nginx.terminate()
    nginx.wait(10)


def test_nginx_serves_a_file_that_the_program_allows(harness: Harness, service: ScriptedApi, site: str) -> None:
    """Python touches no byte of it, and it is as safe, and stored as long, as if it did."""
    service.completes(service.picture(size=SIZE))
    harness.start()
    job = harness.wait(harness.generate().job_id, "done")
    [output] = harness.presenter.card(job, "en", for_owner=True)["outputs"]
    url = f"{site}/dreamina/{output['original']}"
    whole = requests.get(url, timeout=10)
    assert (whole.status_code, whole.content) == (200, png(SIZE))
    headers = whole.headers
    assert headers["content-type"] == "image/png"
    assert headers["content-disposition"].count("inline; filename*=utf-8''dreamina-a-red-fox") == 1
    assert headers["cache-control"] == "private, no-cache", "as the program says, and not as the bucket would"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert (headers["x-content-type-options"], headers["cross-origin-resource-policy"]) == ("nosniff", "cross-origin")
    part = requests.get(url, headers={"Range": "bytes=5-9"}, timeout=10)
    assert (part.status_code, part.content) == (206, png(SIZE)[5:10])
    again = requests.get(url, headers={"If-None-Match": headers["etag"]}, timeout=10)
    assert (again.status_code, again.content) == (304, b"")
    assert requests.get(f"{site}/dreamina/{output['preview']}", timeout=10).headers["content-type"] == "image/webp"


def test_nobody_reads_the_bucket_past_the_program(site: str, bucket: Bucket) -> None:
    """The location is for nginx itself."""
    bucket.put("secret", b"of somebody else", "image/png")
    path = f"{bucket.access.bucket}/{bucket.access.prefix}/secret"
    assert requests.get(f"{site}/dreamina-bucket/{path}", timeout=10).status_code == 404
    assert requests.get(f"{site}/dreamina/files/{'0' * 32}/original/x.png", timeout=10).status_code == 404
