"""Images that visitors give: their own, bounded, without metadata, and with the job that was made of them."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from anyio import from_thread, to_thread
from PIL import Image
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from dreamina_ui.errors import InputError
from dreamina_ui.ledger.personal import input_image_rows
from dreamina_ui.library import input_images
from dreamina_ui.library.input_images import UNUSED_TTL_S, GivenImage, InputImages
from dreamina_ui.library.sent_inputs import SentInputs
from dreamina_ui.media.decoding.copies import INPUT_PX, MAX_INPUT_BYTES
from dreamina_ui.media.fetching.ssrf_guard import UrlGuard
from dreamina_ui.media.input_files import InputFiles
from dreamina_ui.media.input_store import FolderInputs
from dreamina_ui.media.input_thumbnails import FolderThumbnails
from dreamina_ui.media.signed_urls import LINK_S, SignedUrls
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.auth.visitor import VISITOR_COOKIE, visitor_id
from dreamina_ui.web.middleware.json_bounds import JsonBounds
from dreamina_ui.web.middleware.origin_guard import OriginGuard
from dreamina_ui.web.middleware.request_limits import MAX_UPLOAD_BYTES, RequestLimits
from dreamina_ui.web.routes.input_files import build_input_file_routes
from dreamina_ui.web.routes.personal import uploads
from dreamina_ui.web.routes.personal.uploads import build_upload_routes
from tests.support.bad_server import json_response
from tests.support.decoding import decoder
from tests.support.harness import Harness, ScriptedApi, png
from tests.support.hostile_images import encode
from tests.support.library_rows import LibraryRows

EDIT = "bytedance/dreamina-4-0/edit"
ME, YOU = "m" * 40, "y" * 40
UPLOADS = "/dreamina/given/images"


class Site:
    """The routes behind the middleware that bounds them, and the services below."""

    def __init__(self, harness: Harness, rows: LibraryRows, public_url: str) -> None:
        self.harness = harness
        self.links = links = SignedUrls(public_url, b"s" * 32, harness.clock)
        self.images = images = InputImages(
            harness.ledger, FolderInputs(harness.folder / "inputs"), decoder(), harness.clock
        )
        harness.input_files = InputFiles(
            FolderThumbnails(harness.folder / "given"), UrlGuard(), links, secret=b"s" * 32, find_given=images.facts
        )
        harness.sent_inputs = SentInputs(images, links)
        harness.rebuild()
        permissions = Permissions(is_shared=True)
        self.app = Starlette(
            routes=[
                *build_upload_routes(images, rows.library, links, permissions),
                *build_input_file_routes(harness.services, harness.presenter, images, links, permissions),
            ],
            middleware=[Middleware(OriginGuard), Middleware(RequestLimits), Middleware(JsonBounds)],
        )
        self.me, self.you = self.client(ME), self.client(YOU)

    def client(self, visitor: str = "") -> TestClient:
        return TestClient(self.app, "https://studio.example", cookies={VISITOR_COOKIE: visitor} if visitor else {})

    def upload(self, content: bytes, media_type: str = "image/png", status: int = 200) -> dict[str, Any]:
        response = self.me.post(UPLOADS, content=content, headers={"Content-Type": media_type})
        assert response.status_code == status, response.text
        return dict(response.json())

    def edit(self, *urls: str, visitor: str = ME) -> Any:
        inputs = {"prompt": "at night", "image_urls": list(urls)}
        return self.harness.jobs.generate(
            EDIT, inputs, visitor_id=visitor_id(f"{VISITOR_COOKIE}={visitor}"), is_click=False
        )


@pytest.fixture
def rows(harness: Harness) -> Iterator[LibraryRows]:
    made = LibraryRows(harness.folder)
    yield made
    made.ledger.close()


@pytest.fixture
def site(harness: Harness, rows: LibraryRows) -> Site:
    """A page that the service cannot reach."""
    return Site(harness, rows, "")


def photo(size: tuple[int, int], **options: Any) -> bytes:
    """A JPEG with the place where it was taken in three kinds of metadata, lying on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[1] = "N: secret place"
    file = io.BytesIO()
    image = Image.effect_noise(size, 90).convert("RGB")
    image.save(file, "JPEG", exif=exif, comment=b"secret place", xmp=b"<x>secret place</x>", **options)
    return file.getvalue()


def accept(service: ScriptedApi, request_id: str) -> None:
    """Let the service accept one edit."""
    service.server.script(f"POST /v1/models/{EDIT}", json_response({"request_id": request_id}))


def submitted(service: ScriptedApi) -> list[dict[str, Any]]:
    """What the service was sent."""
    return [json.loads(request.body) for request in service.server.requests_for("POST", f"/v1/models/{EDIT}")]


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def test_an_upload_loses_its_metadata_and_stands_upright(site: Site) -> None:
    """A photo tells where somebody lives; and the service may not know which side is up."""
    source = photo((60, 40))
    assert source.count(b"secret place") == 3
    given = site.upload(source, "image/jpeg")
    assert (given["width"], given["height"], given["note"]) == (40, 60, "")
    match = site.images.file(given["url"].removeprefix("dreamina-input:"))
    assert match is not None
    content = b"".join(match[1].read())
    assert b"secret place" not in content
    assert (opened(content).size, opened(content).format, dict(opened(content).getexif())) == ((40, 60), "JPEG", {})
    [*names] = sorted(path.suffix for path in (site.harness.folder / "inputs").iterdir())
    assert names == [".jpg", ".webp"]


@pytest.mark.parametrize(
    ("name", "mode", "form"),
    [("a.png", "RGBA", "PNG"), ("a.webp", "RGB", "PNG"), ("a.gif", "P", "PNG"), ("a.bmp", "RGB", "PNG")],
)
def test_the_service_gets_png_or_jpeg_of_any_image(site: Site, name: str, mode: str, form: str) -> None:
    """It takes these two; people have others."""
    file = io.BytesIO()
    Image.new(mode, (30, 20)).save(file, name[2:].upper(), **({"lossless": True} if name == "a.webp" else {}))
    given = site.upload(file.getvalue(), "application/octet-stream")
    match = site.images.file(given["url"].removeprefix("dreamina-input:"))
    assert match is not None
    assert opened(b"".join(match[1].read())).format == form


def test_a_large_image_is_scaled_down_with_a_note(site: Site) -> None:
    """The service's own clients send at most 6 MiB and about 4K; whoever gives more learns what became of it."""
    given = site.upload(photo((5200, 2600), quality=70), "image/jpeg")
    assert max(given["width"], given["height"]) == INPUT_PX
    assert (given["width"], given["height"]) == (INPUT_PX // 2, INPUT_PX)
    assert "2600 × 5200" in given["note"]
    match = site.images.file(given["url"].removeprefix("dreamina-input:"))
    assert match is not None
    assert match[1].size_bytes <= MAX_INPUT_BYTES


@pytest.mark.parametrize(
    ("content", "status", "text"),
    [
        (b"<html>", 422, "isn't an image"),
        (b"", 422, "isn't an image"),
        (png((40, 40))[:-30], 422, "damaged"),
        (bytes(MAX_UPLOAD_BYTES + 1), 413, "too large"),
    ],
)
def test_what_is_no_image_is_refused_and_leaves_nothing(site: Site, content: bytes, status: int, text: str) -> None:
    """Strangers send anything; the disk must not fill with it."""
    assert text in site.upload(content, status=status)["message"]
    folder = site.harness.folder / "inputs"
    assert not folder.exists() or list(folder.iterdir()) == []


def test_only_an_upload_may_be_large_and_no_form_can_send_one(site: Site) -> None:
    """Another site's page can send a form in a visitor's name, and everything else stays within 64 kB."""
    assert site.me.post(UPLOADS, content=png(), headers={"Content-Type": "text/plain"}).status_code == 415
    assert site.me.post(UPLOADS, files={"file": png()}).status_code == 415
    large = b" " * 65_600
    for path in (f"{UPLOADS}/from-library", "/dreamina/given/look"):
        response = site.me.post(path, content=large, headers={"Content-Type": "application/json"})
        assert response.status_code == 413
    assert site.client().post(UPLOADS, content=png(), headers={"Content-Type": "image/png"}).status_code == 403


def test_nobody_else_sees_or_uses_an_image(site: Site) -> None:
    """What somebody uploads is theirs, also where another visitor comes to know its key."""
    given = site.upload(png())
    thumbnail = f"/dreamina/{given['thumbnail']}"
    assert site.me.get(thumbnail).headers["content-type"] == "image/webp"
    for other in (site.you, site.client()):
        assert other.get(thumbnail).status_code == 404
    with pytest.raises(InputError, match="address_missing"):
        site.edit(given["url"], visitor=YOU)
    with pytest.raises(InputError, match="address_missing"):
        site.harness.jobs.generate(EDIT, {"prompt": "x", "image_urls": [given["url"]]})


def test_an_image_of_the_library_becomes_an_input_of_its_own(site: Site, rows: LibraryRows) -> None:
    """Deleting the picture later does not spoil a rerun; and nobody takes another visitor's."""
    mine = rows.add("a fox", visitor_id=visitor_id(f"{VISITOR_COOKIE}={ME}")).outputs[0].file_key
    given = site.me.post(f"{UPLOADS}/from-library", json={"file": mine}).json()
    assert re.fullmatch(r"dreamina-input:[0-9a-f]{32}", given["url"])
    for client, key in ((site.you, mine), (site.me, "x"), (site.me, None)):
        assert client.post(f"{UPLOADS}/from-library", json={"file": key}).status_code == 404


# --- what the service gets


def test_without_a_public_url_the_request_carries_the_image(site: Site, service: ScriptedApi) -> None:
    """On a home machine nobody can fetch anything, and people still edit their own pictures; also once more, later."""
    assert site.me.get(UPLOADS).json() == {"by_link": False}
    url = site.upload(png((50, 30)))["url"]
    accept(service, "r1")
    site.harness.start()
    job = site.edit(url)
    site.harness.wait(job.job_id, lambda job: bool(job.request_id))
    assert job.inputs["image_urls"] == [url]
    site.harness.restart()
    accept(service, "r2")
    again = site.edit(*job.inputs["image_urls"])
    site.harness.wait(again.job_id, lambda job: bool(job.request_id))
    assert len(submitted(service)) == 2
    for sent in submitted(service):
        [uri] = sent["image_urls"]
        head, _, content = uri.partition(",")
        assert head == "data:image/png;base64"
        assert opened(base64.b64decode(content)).size == (50, 30)


def test_with_a_public_url_the_service_gets_a_link_that_runs_out(
    harness: Harness, rows: LibraryRows, service: ScriptedApi
) -> None:
    """It needs no login, holds nothing that lasts, and nobody else gets more than the one image."""
    site = Site(harness, rows, "https://studio.example")
    assert site.me.get(UPLOADS).json() == {"by_link": True}
    url = site.upload(png((50, 30)))["url"]
    accept(service, "r1")
    harness.start()
    harness.wait(site.edit(url).job_id, lambda job: bool(job.request_id))
    [link] = submitted(service)[0]["image_urls"]
    assert link.startswith("https://studio.example/dreamina/inputs/")
    assert url[-32:] not in link
    stranger = site.client()
    response = stranger.get(link)
    assert (response.headers["content-type"], opened(response.content).size) == ("image/png", (50, 30))
    assert (response.headers["cache-control"], response.headers["x-robots-tag"]) == ("no-store", "noindex")
    assert stranger.get(link.replace("/inputs/", "/inputs/1")).status_code == 404
    harness.clock.advance(LINK_S + 1)
    assert stranger.get(link).status_code == 404


def test_a_job_whose_image_is_gone_is_not_sent(site: Site, service: ScriptedApi) -> None:
    """Half of what was asked for is not worth its price."""
    url = site.upload(png())["url"]
    job = site.edit(url)
    site.images.remove_visitor(job.visitor_id)
    with pytest.raises(InputError, match="address_missing"):
        site.edit(url)
    with pytest.raises(InputError, match="address_missing"), SentInputs(site.images, site.links).opened(job):
        pass


# --- how long, and how many


def test_an_image_goes_after_a_day_unless_a_job_was_made_with_it(site: Site, service: ScriptedApi) -> None:
    """What nobody used is not stored forever; what a job was made with is there to run it again."""
    unused, used = site.upload(png((11, 11))), site.upload(png((12, 12)))
    accept(service, "r1")
    site.edit(used["url"])
    site.harness.clock.advance(UNUSED_TTL_S + 60)
    assert site.images.remove_old() == 1
    assert site.me.get(f"/dreamina/{unused['thumbnail']}").status_code == 404
    assert site.me.get(f"/dreamina/{used['thumbnail']}").status_code == 200
    site.harness.clock.advance(input_image_rows.USED_TTL_S)
    assert site.images.remove_old() == 0, "the job is still under way"
    [job] = site.harness.ledger.unfinished(site.harness.origin)
    site.harness.ledger.change(job.job_id, "failed", problem="not_sent")
    assert site.images.remove_old() == 1
    assert list((site.harness.folder / "inputs").iterdir()) == []


def test_the_same_file_is_stored_once(site: Site) -> None:
    """A repeated drop, or one whose answer was lost, costs no room."""
    assert site.upload(png())["url"] == site.upload(png())["url"]


def test_unused_images_make_room_and_others_are_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody fills the disk: not by trying out, nor with what they use, nor with new cookies from one network."""
    monkeypatch.setattr(input_images, "MAX_UNUSED", 2)
    first, *_ = [site.upload(png((10 + index, 10))) for index in range(3)]
    assert site.me.get(f"/dreamina/{first['thumbnail']}").status_code == 404
    monkeypatch.setattr(input_images, "MAX_IMAGES", 2)
    assert "no room" in site.upload(png((30, 30)), status=422)["message"]
    monkeypatch.setattr(input_images, "CLIENT_FACTOR", 1)
    response = site.you.post(UPLOADS, content=png((31, 31)), headers={"Content-Type": "image/png"})
    assert response.status_code == 422


def test_only_models_that_one_may_use_take_urls(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the owner did not offer is not there, whichever way somebody asks."""
    question = {"model_id": EDIT, "field": "image_urls", "address": "nothing"}
    assert site.me.post("/dreamina/given/look", json=question).status_code == 422
    monkeypatch.setattr(site.harness.catalog, "may_use", lambda _model_id, *, is_owner: is_owner)
    assert site.me.post("/dreamina/given/look", json=question).status_code == 400


def test_a_small_file_of_a_stranger_is_no_large_image(site: Site) -> None:
    """Empty images of a few hundred bytes took a second of CPU time each, and strangers have many cookies."""
    empty = encode(Image.new("RGB", (4200, 4000)), "PNG")
    assert "too many" in site.upload(empty, status=422)["message"]
    assert site.images.add(io.BytesIO(empty), "known", None).image.width == 4096
    mask = encode(Image.new("L", (4096, 4096)), "PNG")
    assert site.upload(mask)["width"] == 4096, "masks are as large as results"


@pytest.mark.parametrize(
    ("form", "options", "extension"),
    [
        ("WEBP", {"quality": 80}, "jpg"), ("WEBP", {"lossless": True}, "png"), ("AVIF", {"quality": 60}, "jpg"),
        ("PNG", {}, "png"),
    ],
)  # fmt: skip
def test_what_had_losses_becomes_a_jpeg(site: Site, form: str, options: dict[str, Any], extension: str) -> None:
    """As a PNG, a photo took two seconds to pack and became fifteen times as large."""
    image = Image.effect_noise((64, 64), 60).convert("RGB")
    given = site.images.add(io.BytesIO(encode(image, form, **options)), "v", None)
    assert given.image.extension == extension


def test_one_visitor_keeps_no_more_than_a_few_uploads_open(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each holds a file on the disk and waits for a decoding process."""
    monkeypatch.setattr(uploads, "MAX_AT_ONCE", 0)
    assert site.upload(png(), status=429)["message"]


def test_a_kill_leaves_no_half_upload(tmp_path: Path) -> None:
    """Parts of uploads would stay on the disk forever."""
    store = FolderInputs(tmp_path)
    (tmp_path / "partial-1").write_bytes(b"x")
    store.clean_up()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../secret.png", "/secret.png", f"{'0' * 32}.txt", "..", "", f"{'0' * 32}.png\n"])
def test_a_row_from_elsewhere_names_no_other_file(tmp_path: Path, name: str) -> None:
    """A ledger that somebody sends must not make a server serve, back up, overwrite, or delete its machine's files."""
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    store = FolderInputs(tmp_path / "inputs")
    assert store.find(name.replace("/secret", f"{tmp_path}/secret") if name[:1] == "/" else name) is None
    with pytest.raises(ValueError, match="no name"):
        store.put(name, b"x")
    store.remove([name])
    assert secret.read_bytes() == b"secret"


def test_a_few_clients_cannot_take_all_places() -> None:
    """Whoever lets uploads hang from two IP addresses would otherwise keep everybody from adding an image."""
    under_way = uploads._UnderWay()
    with ExitStack() as hanging:
        for client in ("a" * 32, "b" * 32, "c" * 32):
            taken = [hanging.enter_context(under_way.count(f"{client} {visitor}", client)) for visitor in range(100)]
            assert 0 < sum(taken) < uploads.MAX_OF_ALL / 5
        with under_way.count("somebody else", "d" * 32) as is_allowed:
            assert is_allowed


def test_images_are_not_read_on_the_threads_of_the_whole_site(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images that wait for a decoder would otherwise make every other request wait with them."""
    borrowed: list[int] = []
    add = site.images.add

    def note_threads(*args: Any, **options: Any) -> GivenImage:
        borrowed.append(from_thread.run_sync(lambda: to_thread.current_default_thread_limiter().borrowed_tokens))
        return add(*args, **options)

    monkeypatch.setattr(site.images, "add", note_threads)
    site.upload(png())
    assert borrowed == [0]
