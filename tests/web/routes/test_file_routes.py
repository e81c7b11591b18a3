"""Each image has a large copy for the viewer, whenever it was stored."""

from __future__ import annotations

from urllib.parse import urljoin

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from dreamina_ui.ledger.job import Job
from dreamina_ui.library.library import Entry
from dreamina_ui.media.late_copies import LateCopies
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.presenters import library_entry
from dreamina_ui.web.routes.files import build_file_routes
from tests.support.decoding import decoder
from tests.support.harness import Harness, ScriptedApi
from tests.support.hostile_images import encode

LARGE, SMALL = (3000, 90), (900, 600)


@pytest.fixture
def client(harness: Harness) -> TestClient:
    routes = build_file_routes(harness.reader, Permissions(is_shared=False), LateCopies(harness.media, decoder()))
    return TestClient(Starlette(routes=routes), follow_redirects=False)


def stored_job(harness: Harness, service: ScriptedApi, size: tuple[int, int]) -> Job:
    service.completes(service.picture(size=size))
    harness.start()
    return harness.wait(harness.generate().job_id, "done")


def url_of(harness: Harness, job: Job, tier: str) -> str:
    [output] = harness.presenter.card(job, "en", for_owner=True)["outputs"]
    return f"/dreamina/{output[tier]}"


def test_the_large_copy_is_cached_like_the_others(harness: Harness, service: ScriptedApi, client: TestClient) -> None:
    """Walking back through the viewer must cost nothing."""
    url = url_of(harness, stored_job(harness, service, LARGE), "large")
    first = client.get(url)
    assert (first.status_code, first.headers["content-type"]) == (200, "image/webp")
    preview = client.get(url.replace("/large/", "/preview/"))
    assert first.headers["cache-control"] == preview.headers["cache-control"]
    assert first.headers["etag"] != preview.headers["etag"]
    assert client.get(url, headers={"If-None-Match": first.headers["etag"]}).status_code == 304


def test_an_older_image_gets_its_large_copy_when_somebody_asks(
    harness: Harness, service: ScriptedApi, client: TestClient
) -> None:
    """A library of years is not converted at once, and looks as sharp as a new one."""
    job = stored_job(harness, service, LARGE)
    path = harness.media.large_path(job.job_id, 0)
    path.unlink()
    assert client.get(url_of(harness, job, "large")).status_code == 200
    with Image.open(path) as image:
        assert image.size == (2560, 77)


def test_an_image_that_gets_no_large_copy_shows_its_preview(
    harness: Harness, service: ScriptedApi, client: TestClient
) -> None:
    """Better a little less sharp than a broken image; and nobody caches that."""
    job = stored_job(harness, service, LARGE)
    harness.media.large_path(job.job_id, 0).unlink()
    original = harness.media.path(job.job_id, 0, "original")
    assert original
    original.write_bytes(encode(Image.new("L", (8, 8)), "PNG")[:40])
    url = url_of(harness, job, "large")
    response = client.get(url)
    assert (response.status_code, response.headers["cache-control"]) == (307, "no-store")
    assert urljoin(url, response.headers["location"]) == url_of(harness, job, "preview")
    assert client.get("/dreamina/files/" + "0" * 32 + "/large/x.webp").status_code == 404


def test_a_small_image_has_its_preview_in_place_of_a_large_copy(harness: Harness, service: ScriptedApi) -> None:
    """The viewer asks for one URL and need not know which copies there are."""
    job = stored_job(harness, service, SMALL)
    assert url_of(harness, job, "large") == url_of(harness, job, "preview")
    [image] = harness.presenter.to_object(job, "https://studio.example")["images"]
    assert image["large_url"] == image["preview_url"]
    assert not harness.media.large_path(job.job_id, 0).exists()


def test_an_entry_of_the_library_names_what_the_viewer_shows(harness: Harness, service: ScriptedApi) -> None:
    """It opens and preloads images without asking for each job."""
    job = stored_job(harness, service, LARGE)
    entry = library_entry(Entry(job, job.outputs[0]), "en")
    assert f"/dreamina/{entry['large']}" == url_of(harness, job, "large")
    assert f"/dreamina/{entry['preview']}" == url_of(harness, job, "preview")
