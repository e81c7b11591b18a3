"""A stored file is sent with its size and validators, by ranges too, and errors are those of a file on the disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from dreamina_ui.media.folder_store import stored_file
from dreamina_ui.web.stored_files import file_response

CONTENT = bytes(range(256)) * 1000
RANGES = [
    "bytes=0-0", "bytes=100-199", "bytes=0-", "bytes=-5", "bytes=-999999", "bytes=255999-", "bytes=5-999999",
    "bytes=256000-", "bytes=9-1", "bytes=-", "bytes=", "x=0-1", "bytes", "bytes=a-b", "bytes=0-1,5-9", "bytes=5-9, 0-1",
    "bytes=0-5,3-9", "bytes=0-1,256000-", "bytes=0-1,5-9999999999999", "BYTES=1-2", "bytes=-0", "bytes=1-2,junk",
    "bytes=" + ",".join(["0-1"] * 101),
]  # fmt: skip


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    """Two routes to one file: ours, and Starlette's own."""
    path = tmp_path / "file.bin"
    path.write_bytes(CONTENT)

    async def ours(request: Request) -> Response:
        file = stored_file(path)
        assert file
        if "remove" in request.query_params:
            path.unlink()
        return await file_response(request, file, {"Cache-Control": "private"}, "image/png")

    async def starlettes(_: Request) -> Response:
        return FileResponse(path, headers={"Cache-Control": "private"}, media_type="image/png")

    with TestClient(Starlette(routes=[Route("/ours", ours), Route("/starlettes", starlettes)])) as made:
        yield made


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("requested", [None, *RANGES])
def test_a_stored_file_is_answered_like_a_file_on_the_disk(
    client: TestClient, method: str, requested: str | None
) -> None:
    """Players and download managers rely on every detail of it."""
    headers = {"Range": requested} if requested else {}
    ours = client.request(method, "/ours", headers=headers)
    theirs = client.request(method, "/starlettes", headers=headers)
    boundaries = [response.headers["content-type"].partition("boundary=")[2] for response in (ours, theirs)]
    assert ours.status_code == theirs.status_code
    assert {name: value.replace(boundaries[0] or "none", "b") for name, value in ours.headers.items()} == {
        name: value.replace(boundaries[1] or "none", "b") for name, value in theirs.headers.items()
    }
    own_boundary, their_boundary = (text.encode() or b"none" for text in boundaries)
    assert ours.content.replace(own_boundary, b"b") == theirs.content.replace(their_boundary, b"b")


@pytest.mark.parametrize("validator", ["etag", "last-modified"])
def test_a_range_of_another_version_is_the_whole_file(client: TestClient, validator: str) -> None:
    """Two halves of two versions are no file."""
    now = client.get("/ours").headers[validator]
    for condition, status in ((now, 206), ('"another"', 200), ("Thu, 01 Jan 1970 00:00:00 GMT", 200)):
        headers = {"Range": "bytes=0-9", "If-Range": condition}
        assert client.get("/ours", headers=headers).status_code == status


def test_a_file_that_is_removed_meanwhile_is_not_found(client: TestClient) -> None:
    """A half-sent answer would be taken for a broken network."""
    assert client.get("/ours?remove").status_code == 404
