"""A bucket keeps what it was given, says so when it cannot, and no message shows a key."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import re
import socket
import threading
import traceback
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from dreamina_ui.errors import SettingsError
from dreamina_ui.media.bucket import UNREACHABLE_S, Bucket, BucketAccess, BucketError
from dreamina_ui.media.input_thumbnails import BucketThumbnails
from tests.support.bad_server import BadServer, ScriptedResponse
from tests.support.harness import Clock
from tests.support.s3_server import KEY_ID, SECRET, S3Server

CONTENT = bytes(range(256)) * 8000
STORED = ScriptedResponse(200, b"", {"ETag": '"x"'})
SIGNATURE_ERROR = (
    "<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>key-id-of-the-tests</AWSAccessKeyId>"
    "<StringToSign>AWS4-HMAC-SHA256 20261129T080218Z</StringToSign></Error>"
)


def scripted(server: BadServer) -> Bucket:
    return Bucket(BucketAccess("s3://one/p", endpoint=server.url, key_id=KEY_ID, secret=SECRET), timeout_s=2.0)


def test_a_long_object_is_read_in_pieces_from_any_position(bucket: Bucket) -> None:
    """Players jump in videos of 200 MB, and settings are spliced into copies."""
    bucket.put("long", CONTENT, "video/mp4")
    with bucket.open("long", len(CONTENT), 1000) as stream:
        assert stream.read() == CONTENT[1000:]
        stream.seek(-5, io.SEEK_END)
        assert stream.read(100) == CONTENT[-5:]
        stream.seek(3)
        assert stream.read(700_000) == CONTENT[3:700_003]


@contextmanager
def damaging(endpoint: str) -> Iterator[str]:
    """A proxy in front of a service that changes one bit of each body; gives its URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def forward() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client, socket.create_connection(("127.0.0.1", urlsplit(endpoint).port or 0)) as service:
                    request = b""
                    while not re.search(rb"\r\n\r\n.{%d}" % len(CONTENT), request, re.DOTALL):
                        request += client.recv(65_536)
                    service.sendall(request[:-1] + bytes([request[-1] ^ 1]))
                    client.sendall(service.recv(65_536))

    threading.Thread(target=forward, daemon=True).start()
    with listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def test_the_service_refuses_what_was_damaged_on_its_way(bucket: Bucket) -> None:
    """A flipped bit in a paid image would be noticed by nobody for years."""
    with damaging(bucket.access.endpoint) as proxy, pytest.raises(BucketError):
        Bucket(replace(bucket.access, endpoint=proxy), timeout_s=5.0).put("file", CONTENT, "image/png")
    assert list(bucket.list()) == []
    bucket.put("file", CONTENT, "image/png")
    assert [item.size_bytes for item in bucket.list()] == [len(CONTENT)]


def test_every_upload_says_its_checksum(server: BadServer) -> None:
    """Without it the service has nothing to verify."""
    server.script("PUT /one/p/file", STORED)
    scripted(server).put("file", b"an image", "image/png")
    headers = {name.lower(): value for name, value in server.requests_for("PUT", "/one/p/file")[-1].headers}
    assert headers["x-amz-checksum-sha256"] == b64encode(hashlib.sha256(b"an image").digest()).decode()


def test_no_error_shows_a_key_or_what_was_signed(server: BadServer, caplog: pytest.LogCaptureFixture) -> None:
    """Logs are pasted into public issues."""
    server.script("PUT /one/p/probe", ScriptedResponse(403, SIGNATURE_ERROR.encode()))
    bucket = scripted(server)
    with caplog.at_level(logging.DEBUG), pytest.raises(BucketError, match=r"^SignatureDoesNotMatch$") as caught:
        bucket.probe()
    assert caught.value.is_refusal
    shown = "".join(traceback.format_exception(caught.value)) + repr(bucket.access) + caplog.text
    assert not re.search(f"{KEY_ID}|{SECRET}|StringToSign|AWS4-HMAC", shown)


def test_a_wrong_secret_and_a_missing_bucket_are_refusals(s3_server: S3Server, server: BadServer) -> None:
    """A mistake in the settings ends the start with its name; an outage does not."""
    with pytest.raises(BucketError, match="SignatureDoesNotMatch") as caught:
        Bucket(s3_server.access(secret="wrong"), timeout_s=10.0).probe()
    assert caught.value.is_refusal
    server.script("PUT /one/p/probe", ScriptedResponse(404, b"<Error><Code>NoSuchBucket</Code></Error>"))
    with pytest.raises(BucketError, match="NoSuchBucket") as caught:
        scripted(server).probe()
    assert caught.value.is_refusal


def test_a_service_that_is_gone_holds_nobody_up() -> None:
    """Each page shows dozens of images; while each waited for its timeout, no thread would be left."""
    clock = Clock()
    gone = BucketAccess("s3://one/p", endpoint="http://127.0.0.1:9", key_id=KEY_ID, secret=SECRET)
    bucket = Bucket(gone, timeout_s=1.0, clock=clock)
    with pytest.raises(BucketError, match="cannot be reached") as caught:
        bucket.head("file")
    assert not caught.value.is_refusal
    bucket._store = None  # type: ignore[assignment]  # nobody is asked again at once
    with pytest.raises(BucketError, match="cannot be reached"):
        bucket.head("file")
    clock.advance(UNREACHABLE_S)
    with pytest.raises(ValueError, match="store"):
        bucket.head("file")


def test_a_probe_is_believed_for_some_seconds_and_a_failure_ends_that(server: BadServer) -> None:
    """Each paid job asks first, and a bucket wants money for each request."""
    server.script("PUT /one/p/probe", STORED)
    server.script("PUT /one/p/file", ScriptedResponse(403, SIGNATURE_ERROR.encode()))
    bucket = scripted(server)
    bucket.probe()
    bucket.probe()
    assert len(server.requests_for("PUT", "/one/p/probe")) == 1
    with pytest.raises(BucketError):
        bucket.put("file", b"", "image/png")
    bucket.probe()
    assert len(server.requests_for("PUT", "/one/p/probe")) == 2


def test_a_bucket_without_its_package_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who installs the program without the extra reads what to install."""
    monkeypatch.setitem(__import__("sys").modules, "obstore.store", None)
    with pytest.raises(SettingsError, match=r"pip install 'dreamina-ui\[s3\]'"):
        Bucket(BucketAccess("s3://one"))


def test_thumbnails_are_remembered_so_that_pages_ask_the_bucket_rarely(bucket: Bucket) -> None:
    """A page with many given files is drawn at each change of a job."""
    clock = Clock()
    thumbnails = BucketThumbnails(bucket, None, clock)  # type: ignore[arg-type]  # nothing is fetched
    other = BucketThumbnails(bucket, None, clock)  # type: ignore[arg-type]
    name = "a" * 32
    assert not thumbnails.has(name)
    other.put(name, b"a thumbnail")
    assert other.has(name)
    assert not thumbnails.has(name), "what is missing is not asked for at once"
    clock.advance(60)
    assert thumbnails.has(name)
    result = thumbnails.find(name)
    assert result
    assert b"".join(result.read()) == b"a thumbnail"
