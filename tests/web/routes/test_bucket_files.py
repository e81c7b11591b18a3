"""Files from a bucket are served like those of a folder: through the program, with ranges, caching and its checks."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from dreamina_ui.ledger.job import Job
from dreamina_ui.library.boards import Boards
from dreamina_ui.library.history_export import FORMAT, HistoryExport
from dreamina_ui.library.history_import import HistoryImport, ImportProgress
from dreamina_ui.library.library import Library
from dreamina_ui.library.prompt_tools import PromptTools
from dreamina_ui.library.shares import Shares
from dreamina_ui.media.bucket import Bucket
from dreamina_ui.media.late_copies import LateCopies
from dreamina_ui.media.object_store import ObjectStore
from dreamina_ui.settings import Delivery
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.routes.files import build_file_routes
from dreamina_ui.web.routes.library import build_library_routes
from dreamina_ui.web.routes.personal.shares import build_share_routes
from tests.support.decoding import decoder
from tests.support.harness import Harness, ScriptedApi, png

SIZE = (3000, 90)


@pytest.fixture
def harness(harness: Harness, bucket: Bucket, tmp_path: Path) -> Harness:
    harness.make_store = lambda _: ObjectStore(bucket, tmp_path / "scratch")
    harness.rebuild()
    return harness


@pytest.fixture
def client(harness: Harness) -> TestClient:
    return make_client(harness, "proxy")


@pytest.fixture
def job(harness: Harness, service: ScriptedApi) -> Job:
    service.completes(service.picture(size=SIZE))
    harness.start()
    return harness.wait(harness.generate().job_id, "done")


def make_client(harness: Harness, delivery: Delivery) -> TestClient:
    late_copies = LateCopies(harness.store, decoder())
    routes = build_file_routes(harness.reader, Permissions(is_shared=False), late_copies, delivery)
    site = "http://127.0.0.1"
    return TestClient(Starlette(routes=routes), site, client=("127.0.0.1", 50_000), follow_redirects=False)


def url_of(harness: Harness, job: Job, tier: str) -> str:
    [output] = harness.presenter.card(job, "en", for_owner=True)["outputs"]
    return f"/dreamina/{output[tier]}"


def test_an_original_comes_whole_in_ranges_and_not_twice(harness: Harness, job: Job, client: TestClient) -> None:
    """Browsers store it for good, resume downloads, and jump."""
    url, content = url_of(harness, job, "original"), png(SIZE)
    whole = client.get(url)
    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, content, "image/png")
    assert "immutable" in whole.headers["cache-control"]
    part = client.get(url, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, content[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(content)}"
    assert client.get(url, headers={"If-None-Match": whole.headers["etag"]}).status_code == 304
    assert client.get(url, headers={"Range": f"bytes={len(content)}-"}).status_code == 416
    assert client.head(url).headers["content-length"] == str(len(content))


def test_an_imported_image_and_its_shared_page_live_in_the_bucket(harness: Harness, bucket: Bucket) -> None:
    """Moving to a server without a disk loses nothing, and a friend sees the image until the link is revoked."""
    boards, prompts = Boards(harness.ledger, harness.clock), PromptTools(harness.ledger, harness.clock)
    importer = HistoryImport(harness.ledger, harness.store, boards, prompts, decoder(), harness.clock)
    job = {"job": "j", "model_id": "m", "inputs": {"prompt": "p"}, "state": "done", "files": [{"file": "a.png"}]}
    data, progress = io.BytesIO(), ImportProgress()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("a.png", png(SIZE))
        archive.writestr("manifest.json", json.dumps({"format": FORMAT, "version": 1, "jobs": [job]}))
    importer.run(data, "w", 10**9, progress)
    assert (progress.images, progress.skipped) == (1, 0)
    [imported] = harness.ledger.every_job(visitor_id="w")
    assert any(imported.job_id in item.key for item in bucket.list()), "nothing of it is on this disk alone"
    shares = Shares(harness.ledger, harness.clock)
    share = shares.share_file("w", imported.outputs[0].file_key, "w", shows_prompt=False)
    assert share is not None
    routes = build_share_routes(shares, harness.reader, {}, Permissions(is_shared=True), "https://studio.example")
    friend = TestClient(Starlette(routes=routes), "https://studio.example", follow_redirects=False)
    page = friend.get(f"/dreamina/shared/{share.share_id}")
    [path] = set(re.findall(r'href="([^"?]+/original/[^"?]+)"', page.text))
    url = urljoin(str(page.url), path)
    assert friend.get(url).content == png(SIZE)
    export = b"".join(HistoryExport(harness.ledger, harness.store, boards, prompts).stream("w", "w"))
    [name] = [name for name in zipfile.ZipFile(io.BytesIO(export)).namelist() if name.startswith("images/")]
    assert zipfile.ZipFile(io.BytesIO(export)).read(name) == png(SIZE)
    shares.revoke([share.share_id], "w")
    assert [friend.get(path).status_code for path in (url, f"/dreamina/shared/{share.share_id}")] == [404, 404]


def test_copies_come_from_the_bucket_and_a_late_one_goes_there(
    harness: Harness, job: Job, client: TestClient, bucket: Bucket
) -> None:
    """Another machine shows them, too."""
    for tier in ("preview", "thumbnail", "large"):
        assert client.get(url_of(harness, job, tier)).headers["content-type"] == "image/webp"
    [large] = [item.key for item in bucket.list() if item.key.endswith("/large.webp")]
    bucket.delete([large])
    assert client.get(url_of(harness, job, "large")).status_code == 200
    assert bucket.head(large).size_bytes > 0


def test_a_zip_reads_each_image_once_and_is_refused_while_the_bucket_is_away(
    harness: Harness, job: Job, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traffic from a bucket costs money, and a broken ZIP is found out about when it is too late."""
    reads: list[str] = []
    read = bucket.read

    def counted(key: str, start: int, stop: int) -> bytes:
        reads.extend([key] if start < stop else [])
        return read(key, start, stop)

    monkeypatch.setattr(bucket, "read", counted)
    library = Library(harness.ledger, harness.store)
    permissions = Permissions(is_shared=False)
    routes = build_library_routes(harness.reader, harness.presenter, library, permissions, harness.clock)
    client = TestClient(Starlette(routes=routes), "http://127.0.0.1", client=("127.0.0.1", 50_000))
    url = next(route.path for route in routes if isinstance(route, Route) and "zip" in route.path)
    with zipfile.ZipFile(io.BytesIO(client.get(url).content)) as archive:
        assert png(SIZE) in [archive.read(name) for name in archive.namelist()]
    assert len(reads) == 1
    bucket._unreachable_until = float("inf")
    assert client.get(url).status_code == 503


def test_what_is_deleted_is_gone_and_what_cannot_be_read_may_come_again(
    harness: Harness, job: Job, client: TestClient, bucket: Bucket
) -> None:
    """A cache that stored either answer would show the wrong thing for a year."""
    url = url_of(harness, job, "preview")
    bucket._unreachable_until = float("inf")
    away = client.get(url)
    assert (away.status_code, away.headers["cache-control"]) == (503, "no-store")
    bucket._unreachable_until = 0.0
    harness.store.remove(job.job_id, 0)
    gone = client.get(url)
    assert (gone.status_code, gone.headers["cache-control"]) == (404, "no-store")


def test_a_redirect_leads_to_the_private_bucket_for_a_while(harness: Harness, job: Job, bucket: Bucket) -> None:
    """Large sites save the traffic; the file still has its name and type, and nobody reads the bucket without us."""
    client, url = make_client(harness, "redirect"), url_of(harness, job, "original")
    response = client.get(f"{url}?download")
    assert (response.status_code, response.headers["cache-control"]) == (307, "private, max-age=3000")
    location = response.headers["location"]
    assert location == client.get(f"{url}?download").headers["location"], "a cache knows the second one"
    served = requests.get(location, timeout=10)
    assert (served.status_code, served.content, served.headers["content-type"]) == (200, png(SIZE), "image/png")
    assert served.headers["content-disposition"].startswith("attachment; filename*=utf-8''dreamina-a-red-fox")
    assert "immutable" in served.headers["cache-control"]
    part = requests.get(location, headers={"Range": "bytes=0-9"}, timeout=10)
    assert (part.status_code, part.content) == (206, png(SIZE)[:10])
    assert requests.get(location.replace("Expires=7200", "Expires=72000"), timeout=10).status_code == 403
    assert requests.get(location.partition("?")[0], timeout=10).status_code == 403
    assert client.get(url, headers={"Sec-Fetch-Dest": "empty"}).content == png(SIZE), "scripts may not go elsewhere"
    assert client.get(url_of(harness, job, "preview")).status_code == 200
    gone = client.get(url.replace("/original/", "/other/"))
    assert gone.status_code == 404
