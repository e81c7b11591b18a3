"""A page gets the scripts and texts that belong to it, or none: never those of another version."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.testclient import TestClient

from dreamina_ui.media.bucket import Bucket
from dreamina_ui.web.i18n.translate import page_words
from dreamina_ui.web.middleware.security_headers import SecurityHeaders
from dreamina_ui.web.paths import asset_path, static_files, words_digest, words_path
from dreamina_ui.web.routes.page_files import UNKNOWN_TTL_S, SharedPageFiles, build_page_file_routes

OTHER = "0123456789abcdef"
NAMES = (f"assets/{OTHER}/core/dom.js", f"words/{OTHER}/de.json")


def client(bucket: Bucket | None) -> TestClient:
    return TestClient(Starlette(routes=build_page_file_routes(bucket)))


def test_another_digest_never_gets_this_versions_files() -> None:
    """A shared cache would store them forever for a page that they do not belong to."""
    alone = client(None)
    assert alone.get(asset_path("main.js")).content == static_files()["main.js"].read_bytes()
    assert alone.get(words_path("de")).headers["cache-control"].endswith("immutable")
    for name in (*NAMES, f"assets/{OTHER}/main.js", asset_path("main.js").replace("main", "none")):
        response = alone.get(f"dreamina/{name}" if "dreamina" not in name else name)
        assert (response.status_code, response.headers["cache-control"]) == (404, "no-store")


def test_a_script_comes_compressed_and_without_the_headers_of_a_document() -> None:
    """A first visit loads more than a hundred of them, and its bytes are counted on a phone."""
    guarded = TestClient(SecurityHeaders(Starlette(routes=build_page_file_routes(None))))
    script = guarded.get(asset_path("main.js"), headers={"Accept-Encoding": "br"})
    assert script.headers["content-encoding"] == "br"
    assert script.content == static_files()["main.js"].read_bytes()
    assert int(script.headers["content-length"]) < len(script.content) / 2
    assert "content-security-policy" not in script.headers
    assert (script.headers["x-content-type-options"], script.headers["vary"]) == ("nosniff", "Accept-Encoding")
    plain = guarded.get(asset_path("main.js"), headers={"Accept-Encoding": "identity"})
    assert plain.content == static_files()["main.js"].read_bytes()
    assert "content-security-policy" in guarded.get(asset_path("logo.svg")).headers, "an image may hold scripts"


def test_servers_of_two_versions_have_the_files_of_both(bucket: Bucket) -> None:
    """While servers are replaced one by one, a visitor's page comes from one and its scripts from another."""
    SharedPageFiles(bucket).publish({OTHER: {"core/dom.js": b"old script", "de.json": b"{}"}})
    this = client(bucket)
    script, texts = (this.get(f"dreamina/{name}") for name in NAMES)
    assert (script.text, texts.json()) == ("old script", {})
    assert "javascript" in script.headers["content-type"]
    assert script.headers["cache-control"] == texts.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert this.get(f"dreamina/assets/{OTHER}/core/none.js").status_code == 404
    other = SharedPageFiles(bucket)
    version = asset_path("main.js").split("/")[2]
    assert other.read(version, "main.js") == static_files()["main.js"].read_bytes()
    assert other.read(words_digest("ja"), "ja.json") == page_words("ja")


def test_a_version_that_appears_later_is_found(bucket: Bucket) -> None:
    """The first page of a new version may reach an old server before its files are there."""
    now = [0.0]
    shared = SharedPageFiles(bucket, lambda: now[0])
    assert shared.read(OTHER, "a.js") is None
    SharedPageFiles(bucket).publish({OTHER: {"a.js": b"new"}})
    assert shared.read(OTHER, "a.js") is None, "each guess of a digest would cost a request"
    now[0] = UNKNOWN_TTL_S
    assert shared.read(OTHER, "a.js") == b"new"
    assert shared.read("../page/x", "a.js") is None


def test_a_damaged_archive_is_as_none(bucket: Bucket) -> None:
    """One bad object in the bucket must not turn into an error for visitors."""
    bucket.put(f"page/{OTHER}.zip", b"half of a ZIP", "application/zip")
    assert client(bucket).get(f"dreamina/{NAMES[0]}").status_code == 404
