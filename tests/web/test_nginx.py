"""The program behind nginx with TLS, under a sub-path, with the configuration that docs/sharing.md gives."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import sqlite3
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from dreamina_ui.web.http import client_ip_hash
from tests.support.bad_server import closed_port
from tests.support.browser import OWNER_PASSWORD, ROOT, SMALL, AppProcess, wait_for
from tests.support.contexts import SMALL_DRAFT
from tests.support.page import await_form, press_generate

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
OPENSSL = shutil.which("openssl")
CLIENT = "127.0.0.2"
pytestmark = pytest.mark.skipif(
    not NGINX or not OPENSSL, reason="nginx or openssl is missing; on Debian: apt-get install nginx openssl"
)


class Site:
    """nginx on a free port, and two installations behind it, under two paths of one site."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = closed_port()
        self.url = f"https://localhost:{self.port}/studio/"
        settings = {
            "DREAMINA_TRUSTED_PROXIES": "127.0.0.1",
            "DREAMINA_OWNER_PASSWORD": OWNER_PASSWORD,
            "DREAMINA_SANDBOX_QUEUE_S": "0.2",
            "DREAMINA_SANDBOX_RUN_S": "0.4",
        }
        self.app = AppProcess(folder / "app", GRADIO_ROOT_PATH="/studio", **settings)
        self.other_url = f"https://localhost:{self.port}/other/"
        self.other_app = AppProcess(folder / "other", GRADIO_ROOT_PATH="/other", **settings)

    def start(self) -> None:
        key, certificate = self.folder / "studio.key", self.folder / "studio.pem"
        subprocess.run(
            [str(OPENSSL), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-subj", "/CN=localhost", "-days", "2", "-keyout", str(key), "-out", str(certificate)],
            check=True, capture_output=True,
        )  # fmt: skip
        given = (ROOT / "deploy" / "nginx.conf").read_text()
        for old, new in {
            "listen 443": f"listen 127.0.0.1:{self.port}",
            "127.0.0.1:7860": f"127.0.0.1:{self.app.port}",
            "/etc/ssl/certs/studio.pem": str(certificate),
            "/etc/ssl/private/studio.key": str(key),
        }.items():
            assert old in given, old
            given = given.replace(old, new)
        locations = given[given.index("    location = /studio") : given.rindex("}")]
        other = locations.replace("/studio", "/other").replace(f":{self.app.port}/", f":{self.other_app.port}/")
        given = given[: given.rindex("}")] + other + "}\n"
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        positions = "".join(f"{kind}_temp_path {self.folder}/{kind};\n" for kind in kinds)
        user = "user root;\n" if os.geteuid() == 0 else ""  # the folder of the tests is nobody else's
        config = self.folder / "nginx.conf"
        config.write_text(
            f"{user}daemon off;\npid {self.folder}/nginx.pid;\nworker_processes 1;\nevents {{}}\n"
            f"http {{\naccess_log off;\n{positions}{given}}}\n"
        )
        with (self.folder / "nginx.log").open("wb") as log:
            self.nginx = subprocess.Popen(
                [str(NGINX), "-p", str(self.folder), "-e", "stderr", "-c", str(config)], stderr=log
            )
        for app in (self.app, self.other_app):
            app.launch()
        for app in (self.app, self.other_app):
            app.wait_until_up()
        wait_for(lambda: self.nginx.poll() is not None or (self.folder / "nginx.pid").exists())
        assert self.nginx.poll() is None, (self.folder / "nginx.log").read_text()

    def stop(self) -> None:
        self.nginx.send_signal(signal.SIGTERM)
        self.nginx.wait(10)
        for app in (self.app, self.other_app):
            app.__exit__(None, None, None)

    def connect(self, *, directly: bool = False) -> http.client.HTTPConnection:
        """A connection from `CLIENT`, through nginx or past it."""
        source = (CLIENT, 0)
        if directly:
            return http.client.HTTPConnection("127.0.0.1", self.app.port, timeout=20, source_address=source)
        trusting = ssl._create_unverified_context()
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, source_address=source, context=trusting)

    def generate(self, prompt: str, *, directly: bool = False) -> tuple[http.client.HTTPResponse, Any]:
        """Press Generate as a program that lies about where it comes from: the open stream, and its first object."""
        return self._call("generate", [prompt, SMALL, 0.5, True], directly)

    def ask(self, name: str, *data: Any) -> Any:
        """The first object that an endpoint gives."""
        stream, first = self._call(name, data, directly=False)
        stream.close()
        return first

    def _call(self, name: str, data: Any, directly: bool) -> tuple[http.client.HTTPResponse, Any]:
        caller = self.connect(directly=directly)
        path = f"{'' if directly else '/studio'}/gradio_api/call/{name}"
        forged = {"X-Forwarded-For": "198.51.100.9", "Content-Type": "application/json"}
        caller.request("POST", path, json.dumps({"data": data}), forged)
        event = json.loads(caller.getresponse().read())["event_id"]
        caller.request("GET", f"{path}/{event}", headers=forged)
        stream = caller.getresponse()
        stream.readline()
        return stream, json.loads(stream.readline().removeprefix(b"data: "))[0]

    def jobs(self, prompt: str) -> list[tuple[str, str, str]]:
        """The job_id, the state and the IP address of each job with a prompt, as the ledger has them."""
        with closing(sqlite3.connect(f"file:{self.app.data / 'ledger.sqlite3'}?mode=ro", uri=True)) as ledger:
            asked = "SELECT job_id, state, address FROM jobs WHERE inputs LIKE ?"
            return ledger.execute(asked, (f"%{prompt}%",)).fetchall()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    running = Site(tmp_path_factory.mktemp("site"))
    running.start()
    yield running
    running.stop()


def test_the_page_makes_a_picture_behind_nginx(site: Site, browser: Browser) -> None:
    """The page, its scripts, its stream and its files all find their way through a sub-path and TLS."""
    visitor = browser.new_context(ignore_https_errors=True, locale="en-US")
    visitor.add_init_script(SMALL_DRAFT)
    page = visitor.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if "Security Policy" in said.text else None)
    page.goto(site.url)
    await_form(page)
    picture = press_generate(page, "a lighthouse behind a wall").locator("img").first
    expect(picture).to_be_visible()
    wait_for(lambda: picture.evaluate("node => node.complete && node.naturalWidth") > 0)
    identity = next(item for item in visitor.cookies() if "dreamina_visitor" in item["name"])
    visitor.close()
    job_id = site.jobs("a lighthouse")[0][0]
    link = site.ask("job", job_id)["images"][0]["original_url"]
    assert link.startswith(f"https://127.0.0.1:{site.port}/studio/dreamina/files/")
    caller = site.connect()
    caller.request("GET", link.partition(str(site.port))[2])
    assert caller.getresponse().status == 200
    assert identity["name"].startswith("__Host-dreamina_visitor_")
    assert identity["secure"]
    assert identity["httpOnly"]
    assert complaints == []


def test_two_installations_on_one_site_leave_each_other_alone(site: Site, browser: Browser) -> None:
    """Signing in or out at one of them must not sign out at the other one, nor take what was typed there."""
    owner = browser.new_context(ignore_https_errors=True, locale="en-US")
    page = owner.new_page()
    drafts: dict[str, str] = {}
    for url in (site.url, site.other_url):
        page.goto(f"{url}dreamina/sign-in")
        page.get_by_label("Owner password").fill(OWNER_PASSWORD)
        page.keyboard.press("Enter")
        await_form(page)
        drafts[url] = f"a draft of {url}"
        page.get_by_label("Prompt").first.fill(drafts[url])
        page.wait_for_function("text => JSON.stringify(localStorage).includes(text)", arg=drafts[url])
    assert page.evaluate("text => JSON.stringify(localStorage).includes(text)", drafts[site.url])
    page.goto(f"{site.other_url}dreamina/sign-in")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/other/dreamina/sign-in?signed_out")
    stored = page.evaluate("JSON.stringify(localStorage)")
    assert drafts[site.url] in stored
    assert drafts[site.other_url] not in stored
    assert page.evaluate("fetch('/studio/dreamina/owner/overview').then(response => response.status)") == 200
    assert page.evaluate("fetch('/other/dreamina/owner/overview').then(response => response.status)") == 403
    owner.close()


def test_the_response_says_that_it_is_https(site: Site) -> None:
    """A browser that came by https never comes by http again."""
    caller = site.connect()
    caller.request("GET", "/studio/")
    response = caller.getresponse()
    assert response.status == 200
    assert "max-age" in str(response.headers["strict-transport-security"])
    assert "Secure" in str(response.headers["set-cookie"])


@pytest.mark.parametrize("directly", [False, True], ids=["through nginx", "past nginx"])
def test_a_forged_client_ip_does_not_count(site: Site, directly: bool) -> None:
    """A limit for each IP address must hold for the one that a visitor really has."""
    prompt = f"a {'short' if directly else 'long'} way round"
    stream, _ = site.generate(prompt, directly=directly)
    stream.close()
    assert site.jobs(prompt)[0][2] == client_ip_hash(CLIENT)


def test_a_stream_is_not_buffered(site: Site) -> None:
    """A proxy that keeps a stream back until it ends would show nothing of a job but its end."""
    prompt = "a slow boat"
    stream, first = site.generate(prompt)
    state = site.jobs(prompt)[0][1]
    stream.close()
    assert first["state"] != "done"
    assert state != "done"


def test_a_whole_history_passes_and_other_large_bodies_do_not(site: Site) -> None:
    """Whoever moves here brings more than an image has."""
    large = b"PK\x05\x06" + bytes(31_500_000)
    caller = site.connect()
    caller.request("GET", "/studio/")
    opened = caller.getresponse()
    opened.read()
    headers = {"Cookie": str(opened.headers["set-cookie"]).partition(";")[0], "Content-Type": "application/zip"}
    caller.request("POST", "/studio/dreamina/history/import", large, headers)
    response = caller.getresponse()
    assert (response.status, response.headers["x-dreamina-ui"]) == (202, "1")
    response.read()
    caller.request("POST", "/studio/dreamina/given/images", headers=headers | {"Content-Length": str(len(large))})
    assert caller.getresponse().status == 413
