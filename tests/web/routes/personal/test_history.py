"""Export, import, and deletion over HTTP: each visitor's own, and the owner's word about others."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from dreamina_ui.library.boards import Boards
from dreamina_ui.library.erasure import Erasure
from dreamina_ui.library.history_export import FORMAT, HistoryExport
from dreamina_ui.library.history_import import HistoryImport, ImportTasks
from dreamina_ui.library.prompt_tools import PromptTools
from dreamina_ui.library.shares import Shares
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.middleware.json_bounds import JsonBounds
from dreamina_ui.web.middleware.origin_guard import OriginGuard
from dreamina_ui.web.middleware.request_limits import RequestLimits
from dreamina_ui.web.routes.personal import history
from dreamina_ui.wiring import Personal
from tests.support.decoding import decoder
from tests.support.harness import Harness
from tests.support.library_rows import LibraryRows
from tests.support.shared_site import SharedSite

ZIP = {"Content-Type": "application/zip"}


class Site(SharedSite):
    """The routes behind the middleware that bounds bodies."""

    def __init__(self, harness: Harness, rows: LibraryRows) -> None:
        super().__init__()
        permissions = self.permissions
        boards, prompts = Boards(rows.ledger, rows.clock), PromptTools(rows.ledger, rows.clock)
        self.personal = personal = Personal(
            boards,
            Shares(rows.ledger, rows.clock),
            prompts,
            HistoryExport(rows.ledger, rows.media, boards, prompts),
            ImportTasks(HistoryImport(rows.ledger, rows.media, boards, prompts, decoder(), rows.clock)),
            Erasure(rows.ledger, rows.library, rows.input_images, rows.clock),
        )
        routes = history.build_history_routes(harness.services, personal, permissions, is_shared=True)
        self.app = RequestLimits(OriginGuard(JsonBounds(Starlette(routes=routes))))


@pytest.fixture
def site(harness: Harness, rows: LibraryRows) -> Site:
    return Site(harness, rows)


def test_what_one_visitor_downloads_another_can_import(site: Site, rows: LibraryRows) -> None:
    """The same file that leaves here is at home elsewhere; others' images are not in it."""
    (maker, maker_id), (mover, mover_id), (other, other_id) = (site.client() for _ in range(3))
    rows.add("mine", visitor_id=maker_id)
    rows.add("another's", visitor_id=other_id)
    export = maker.get("/dreamina/history/export")
    assert export.headers["content-type"] == "application/zip"
    names = zipfile.ZipFile(io.BytesIO(export.content)).namelist()
    assert [name for name in names if name.startswith("images/")] == names[:1]
    assert mover.get("/dreamina/history/import").json() == {"is_all": False}
    response = mover.post("/dreamina/history/import", content=export.content, headers=ZIP)
    assert response.status_code == 202
    progress = mover.get("/dreamina/history/import").json()
    assert (progress["is_done"], progress["images"], progress["error"]) == (True, 1, "")
    assert [job.inputs["prompt"] for job in rows.ledger.every_job(visitor_id=mover_id)] == ["mine"]
    assert other.get("/dreamina/history/import").json() == {"is_all": False}


def test_strangers_import_little_and_nothing_that_is_no_export(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shared page's disk is not everybody's to fill, and no other site's form sends a ZIP."""
    stranger, _ = site.client()
    assert stranger.post("/dreamina/history/import", content=b"x", headers=ZIP).status_code == 202
    assert "ZIP" in stranger.get("/dreamina/history/import").json()["error"]
    assert stranger.post("/dreamina/history/import", content=b"[," * 5000, headers=ZIP).status_code == 202, "no JSON"
    assert stranger.post("/dreamina/history/import", content=b"x").status_code == 415
    assert TestClient(site.app).post("/dreamina/history/import", content=b"x", headers=ZIP).status_code == 403
    large = b"x" * (history.MAX_BYTES_OF_STRANGERS // 1000)
    monkeypatch.setattr(history._Quota, "left", lambda _quota, _client: len(large) - 1)
    assert stranger.post("/dreamina/history/import", content=large, headers=ZIP).status_code == 413


def test_what_strangers_import_counts_with_its_unpacked_size(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small ZIP of well packed images could otherwise fill the disk again and again."""
    stranger, _ = site.client()
    image = io.BytesIO()
    Image.new("RGB", (400, 400)).save(image, "BMP")
    manifest = {"format": FORMAT, "version": 1, "jobs": [
        {"job": "j", "model_id": "m", "inputs": {"prompt": "p"}, "state": "done", "files": [{"file": "a.bmp"}]}
    ]}  # fmt: skip
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.bmp", image.getvalue())
        archive.writestr("manifest.json", json.dumps(manifest))
    sizes: list[int] = []
    monkeypatch.setattr(history._Quota, "use", lambda _quota, _client, size_bytes: sizes.append(size_bytes))
    assert stranger.post("/dreamina/history/import", content=data.getvalue(), headers=ZIP).status_code == 202
    assert stranger.get("/dreamina/history/import").json()["images"] == 1
    assert len(data.getvalue()) < 10_000
    assert sum(sizes) == len(image.getvalue())


def test_the_visitor_and_the_owner_delete_all_of_a_visitors_data(site: Site, rows: LibraryRows) -> None:
    """One act is enough, nobody else can do it, and nothing happens by a mere click on a link."""
    (maker, maker_id), (_, other_id), (owner, _) = site.client(), site.client(), site.client(is_owner=True)
    for visitor in (maker_id, other_id):
        rows.add("mine", visitor_id=visitor)
    assert maker.get("/dreamina/history/erase").status_code == 405
    assert maker.post("/dreamina/history/erase", json={}).status_code == 400
    assert maker.post("/dreamina/history/erase", json={"confirm": True}).json() == {"count": 1}
    assert [job.visitor_id for job in rows.ledger.every_job() if job.inputs] == [other_id]
    wish = {"visitor": other_id, "confirm": True}
    assert maker.post("/dreamina/owner/erase", json=wish).status_code == 403
    assert owner.post("/dreamina/owner/erase", json={"visitor": 7, "confirm": True}).status_code == 400
    assert owner.post("/dreamina/owner/erase", json=wish).json() == {"count": 1}
    assert [job for job in rows.ledger.every_job() if job.inputs] == []
    assert rows.files() == []


def test_at_ones_own_machine_everything_is_ones_own(harness: Harness, site: Site, rows: LibraryRows) -> None:
    """What programs and other browsers made there is in the library, so it leaves and ends with the rest."""
    access = Permissions(is_shared=False)
    routes = history.build_history_routes(harness.services, site.personal, access, is_shared=False)
    me = TestClient(
        Starlette(routes=routes),
        base_url="http://127.0.0.1",
        client=("127.0.0.1", 50000),
        headers={"cookie": f"dreamina_visitor={'m' * 32}"},
    )
    for visitor in ("another browser", None):
        rows.add("mine", visitor_id=visitor)
    assert me.get("/dreamina/history/import").json() == {"is_all": True}
    names = zipfile.ZipFile(io.BytesIO(me.get("/dreamina/history/export").content)).namelist()
    assert len([name for name in names if name.startswith("images/")]) == 2
    archive = me.get("/dreamina/history/export").content
    assert me.post("/dreamina/history/import", content=archive, headers=ZIP).status_code == 202
    progress = me.get("/dreamina/history/import").json()
    assert (progress["is_done"], progress["known"], progress["images"]) == (True, 2, 0), (
        "what is here is not made twice"
    )
    assert me.post("/dreamina/history/erase", json={"confirm": True}).json() == {"count": 2}
    assert [job for job in rows.ledger.every_job() if job.inputs] == []
    assert rows.files() == []
