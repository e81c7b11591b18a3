"""Files that people give by URL: every broken rule is named before money is spent."""

from __future__ import annotations

import base64
import gzip
import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dreamina_ui.errors import InputError
from dreamina_ui.ledger.job import INPUT_SCHEME
from dreamina_ui.media.fetching.ssrf_guard import UrlGuard
from dreamina_ui.media.input_files import MAX_AT_ONCE, InputFacts, InputFiles
from dreamina_ui.media.input_thumbnails import FolderThumbnails
from dreamina_ui.media.signed_urls import LINK_S, SignedUrls, read_secret
from dreamina_ui.models.schema import load_models
from dreamina_ui.web.i18n.error_texts import rule_text
from dreamina_ui.web.i18n.translate import languages, translate
from tests.support.bad_server import BadServer, ScriptedResponse
from tests.support.browser import wait_for
from tests.support.decoding import decoder
from tests.support.file_server import FileServer, HostResponse
from tests.support.harness import Clock, Harness, ScriptedApi, png
from tests.support.hostile_images import jpeg_of_scans

EDIT = "bytedance/dreamina-4-0/edit"
MODEL = load_models()[EDIT]
FIELD = next(field for field in MODEL.fields if field.file_kind == "image")
PNG = {"Content-Type": "image/png"}
GIGABYTE = 10**9
Make = Callable[..., InputFiles]


@pytest.fixture
def host() -> Iterator[FileServer]:
    """A host of files, as bad as they come."""
    with FileServer() as running:
        yield running


@pytest.fixture
def make(tmp_path: Path, host: FileServer) -> Make:
    """Makes what is tested; the host of the test is the only one that may be private."""

    def make_one(*, resolve: Any = socket.getaddrinfo, **more: Any) -> InputFiles:
        guard = UrlGuard(exempt_origin=host.origin, resolve=resolve)
        links = SignedUrls("https://studio.example/page", b"s" * 32, Clock())
        options: dict[str, Any] = {"check_s": 4.0, "decoder": decoder()} | more
        return InputFiles(FolderThumbnails(tmp_path / "given"), guard, links, secret=b"s" * 32, **options)

    return make_one


def refusal(files: InputFiles, *urls: str) -> InputError:
    with pytest.raises(InputError) as caught:
        files.validate_files(MODEL, {"prompt": "x", "image_urls": list(urls)}, "someone")
    return caught.value


# --- the rules


def test_a_good_picture_passes_with_little_of_it_read(make: Make, host: FileServer) -> None:
    """Looking must stay cheap: a picture of 49 MB is known by its first bytes."""
    url = host.script("/good.png", HostResponse(png() + bytes(1000), headers=PNG, length=49_000_000))
    make().validate_files(MODEL, {"image_urls": [url, url]}, "someone")
    assert len(host.requests) == 1


@pytest.mark.parametrize("form", ["unknown length", "chunked"])
def test_a_picture_without_a_length_is_counted(make: Make, host: FileServer, form: str) -> None:
    """Not every good host tells it."""
    response = HostResponse(png(), headers=PNG, length=None, chunked=form == "chunked")
    make().validate_files(MODEL, {"image_urls": [host.script("/good.png", response)]}, "someone")


BAD = {
    "gone": HostResponse(status=404),
    "login": HostResponse(status=401, body=b"who are you?"),
    "status": HostResponse(status=500),
    "page": HostResponse(b"\n <!doctype html><form>Password</form>", headers={"Content-Type": "text/html"}),
    "page called a picture": HostResponse(b"<html>", headers=PNG),
    "kind": HostResponse(b"%PDF-1.7", headers=PNG),
    "compressed": HostResponse(gzip.compress(png()), headers={"Content-Encoding": "gzip"}),
    "size told": HostResponse(png(), length=GIGABYTE),
    "redirect": HostResponse(status=302, headers={"Location": "/bad"}),
    "cut": HostResponse(png()[:20], length=len(png())),
    "empty": HostResponse(b""),
}


@pytest.mark.parametrize("name", BAD)
def test_each_broken_rule_is_reported_by_name_with_the_url(make: Make, host: FileServer, name: str) -> None:
    """Who pays must read what to fix, and where."""
    good, bad = host.script("/good.png", HostResponse(png(), headers=PNG)), host.script("/bad", BAD[name])
    exc = refusal(make(), good, bad)
    rules = {"page called a picture": "page", "size told": "size", "empty": "kind"}
    assert (exc.field, exc.rule, exc.value) == ("image_urls.1", f"address_{rules.get(name, name)}", bad)
    assert bad in str(exc)
    assert "Nothing was submitted" in str(exc)


def test_an_endless_file_without_a_length_is_refused_at_the_limit(
    make: Make, host: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that hides the length does not fill the machine."""
    monkeypatch.setattr("dreamina_ui.media.input_files.MAX_MB", {"image": 1, "video": 2, None: 2})
    url = host.script("/endless", HostResponse(png() + bytes(100_000), headers=PNG, endless=True))
    exc = refusal(make(), url)
    assert (exc.rule, exc.limit) == ("address_size", 1)


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("http://files.example/a.png", "https"),
        ("https://127.0.0.1/a.png", "public"),
        ("https://169.254.169.254/latest/meta-data", "public"),
        ("https://[fd00:ec2::254]/a.png", "public"),
        ("https://router.local/a.png", "public"),
        ("https://rebinding.example/a.png", "public"),
        ("https://me:secret@files.example/a.png", "shape"),
    ],
)
def test_only_public_https_is_reached(make: Make, url: str, rule: str) -> None:
    """A form must not look into the owner's network."""

    def resolve(host: str, port: int, *_: Any) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.7", port))]

    assert refusal(make(resolve=resolve), url).rule == f"address_{rule}"


def test_a_name_that_does_not_resolve_is_reported(make: Make) -> None:
    """A slip in the name is the commonest mistake."""

    def resolve(*_: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    assert refusal(make(resolve=resolve), "https://fiels.example/a.png").rule == "address_unknown"


@pytest.mark.parametrize("target", ["https://10.0.0.1/x.png", "http://169.254.169.254/x", "http://127.0.0.1:1/x"])
def test_a_redirect_into_the_own_network_is_refused(make: Make, host: FileServer, target: str) -> None:
    """A public URL must not be a way in."""
    url = host.script("/hop", HostResponse(status=302, headers={"Location": target}))
    assert refusal(make(), url).rule in ("address_public", "address_https")


SLOW = {
    "silent": ScriptedResponse(silent=True),
    "trickled body": ScriptedResponse(body=png(), no_length=True, piece_bytes=1, piece_pause_s=0.1),
}


@pytest.mark.parametrize("name", [*SLOW, "trickled headers"])
def test_a_slow_host_delays_a_request_no_longer_than_configured(tmp_path: Path, name: str) -> None:
    """Nobody waits for a host that means harm, and no thread stays with it either."""
    with BadServer() as slow, socket.create_server(("127.0.0.1", 0)) as dripping:
        url = f"http://127.0.0.1:{dripping.getsockname()[1]}/a"
        if name in SLOW:
            slow.script("/a", SLOW[name])
            url = f"{slow.url}/a"
        else:
            threading.Thread(target=_drip, args=(dripping,), daemon=True).start()
        links = SignedUrls("", b"s" * 32, Clock())
        guard = UrlGuard(exempt_origin=url)
        files = InputFiles(FolderThumbnails(tmp_path), guard, links, secret=b"s" * 32, check_s=0.4)
        exc = refusal(files, url)
        assert (exc.rule, exc.limit) == ("address_slow", 0.4)
        wait_for(lambda: not files._under_way)  # no thread stays with the slow host


def _drip(listener: socket.socket) -> None:
    """One byte of a header now and then, forever: no silence is ever long."""
    connection, _ = listener.accept()
    with connection:
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while True:
                connection.sendall(b"x")
                time.sleep(0.05)
        except OSError:
            return


def test_nobody_keeps_all_threads_busy(make: Make, host: FileServer) -> None:
    """One visitor's slow URLs are not another's wait."""
    urls = [host.script(f"/slow{n}", HostResponse(trickle_s=0.05)) for n in range(MAX_AT_ONCE)]
    files = make(check_s=2.0)
    polls = [files.prepare_thumbnail(FIELD, url, "one") for url in urls]
    one_more = files.prepare_thumbnail(FIELD, urls[0] + "?more", "one").exception(5)
    assert isinstance(one_more, InputError)
    assert one_more.rule == "address_busy"
    good = host.script("/good.png", HostResponse(png(), headers=PNG))
    files.validate_files(MODEL, {"image_urls": [good]}, "another")
    assert all(poll.exception(5) for poll in polls)


def test_cleared_cookies_keep_no_more_threads_busy(
    make: Make, host: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each cookie is a new visitor: one client would else hold every thread, and nobody's files pass any more."""
    monkeypatch.setattr("dreamina_ui.media.input_files.MAX_OF_CLIENT", 3)
    urls = [host.script(f"/slow{n}", HostResponse(trickle_s=0.05)) for n in range(3)]
    files = make(check_s=2.0)
    polls = [files.prepare_thumbnail(FIELD, url, f"visitor {n}", "home") for n, url in enumerate(urls)]
    one_more = files.prepare_thumbnail(FIELD, urls[0] + "?more", "a new one", "home").exception(5)
    assert isinstance(one_more, InputError)
    assert one_more.rule == "address_busy"
    good = host.script("/good.png", HostResponse(png(), headers=PNG))
    files.validate_files(MODEL, {"image_urls": [good]}, "a new one", "elsewhere")
    assert all(poll.exception(5) for poll in polls)


def test_a_file_for_which_there_is_no_thread_is_refused_and_forgotten(
    make: Make, host: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a small container a visitor would else read forever that too many files are being checked."""
    files, url = make(), host.script("/good.png", HostResponse(png(), headers=PNG))
    with monkeypatch.context() as small:
        small.setattr(threading.Thread, "start", _no_thread)
        for _ in range(MAX_AT_ONCE + 1):
            exc = files.prepare_thumbnail(FIELD, url, "someone", "home").exception(5)
            assert isinstance(exc, InputError)
    files.validate_files(MODEL, {"image_urls": [url]}, "someone", "home")


def _no_thread(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize("language", sorted(languages()))
def test_every_rule_has_its_words(language: str) -> None:
    """In each language."""
    rules = [key.removeprefix("rule_") for key in languages()["en"] if key.startswith("rule_address_")]
    assert len(rules) > 15
    for rule in rules:
        text = rule_text(InputError("image_urls", rule, 1, "x"), language)
        assert text == translate(language, f"rule_{rule}", limit=1) != ""


# --- before money is spent


def test_a_bad_file_makes_no_job_and_sends_nothing(harness: Harness, service: ScriptedApi, make: Make) -> None:
    """The check stands in front of the row and the POST."""
    harness.input_files = make()
    harness.rebuild()
    harness.start()
    with pytest.raises(InputError) as caught:
        harness.jobs.generate(EDIT, {"prompt": "x", "image_urls": ["http://files.example/a.png"]}, visitor_id="v")
    assert caught.value.rule == "address_https"
    assert harness.reader.recent("v") == []
    assert service.server.requests_for("POST") == []


# --- thumbnails


def test_a_given_picture_is_shown_by_a_small_copy_of_ours(make: Make, host: FileServer, tmp_path: Path) -> None:
    """The visitor's browser does not tell a foreign host that it is here."""
    url = host.script("/large.png", HostResponse(png((900, 600)), headers=PNG))
    files = make()
    digest = files.prepare_thumbnail(FIELD, url, "someone").result(10)
    assert digest
    assert files.shown(url, "someone") == digest
    thumbnail = files.thumbnail(digest)
    assert thumbnail
    assert thumbnail.size_bytes < 5000
    asked = len(host.requests)
    assert files.prepare_thumbnail(FIELD, url, "someone").result(10) == digest
    assert len(host.requests) == asked
    assert [item.name for item in (tmp_path / "given").iterdir()] == [thumbnail.name]


def test_no_thumbnail_shows_whether_somebody_gave_a_url(make: Make, host: FileServer) -> None:
    """The name is each visitor's own, and cannot be made from the URL."""
    url = host.script("/large.png", HostResponse(png((900, 600)), headers=PNG))
    files = make()
    mine = files.prepare_thumbnail(FIELD, url, "someone").result(10)
    theirs = files.prepare_thumbnail(FIELD, url, "somebody else").result(10)
    guessed = hashlib.sha256(url.encode()).hexdigest()[:32]
    assert len({mine, theirs, guessed, None}) == 4
    assert files.thumbnail(guessed) is None
    assert files.shown(url, "a third") is None


@pytest.mark.parametrize("digest", ["../ledger", "0" * 31, "g" * 32, ""])
def test_no_other_file_is_a_thumbnail(make: Make, digest: str) -> None:
    """Names come from outside."""
    assert make().thumbnail(digest) is None


def test_a_damaged_picture_is_no_thumbnail_and_no_refusal(make: Make, host: FileServer) -> None:
    """Whether the service can read it is the service's to say."""
    url = host.script("/odd.png", HostResponse(png()[:60] + bytes(100), headers=PNG))
    assert make().prepare_thumbnail(FIELD, url, "someone").result(10) is None


def test_an_image_that_decodes_forever_delays_nobody(
    make: Make, host: FileServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Half a megabyte can be a minute of work, in the one process that makes everybody's thumbnails."""
    caplog.set_level("INFO")
    url = host.script("/bomb.jpg", HostResponse(jpeg_of_scans(4000), headers={"Content-Type": "image/jpeg"}))
    assert make().prepare_thumbnail(FIELD, url, "someone").result(20) is None
    assert "scans" in caplog.text


def test_what_a_kill_left_of_given_files_is_gone_at_the_next_start(
    harness: Harness, make: Make, tmp_path: Path
) -> None:
    """Each may be 50 MB, and strangers choose how many there are."""
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "partial-0123456789abcdef").write_bytes(b"half a picture")
    (folder / f"{'a' * 32}.webp").write_bytes(b"kept")
    harness.input_files = make()
    harness.rebuild()
    harness.start()
    assert [item.name for item in folder.iterdir()] == [f"{'a' * 32}.webp"]


# --- images that were uploaded, and their signed URLs


def test_a_signed_url_is_for_one_file_and_runs_out() -> None:
    """A link that gets about must not open the library, nor last forever."""
    clock = Clock()
    links = SignedUrls("https://studio.example/page", b"s" * 32, clock)
    url = links.url_of("f" * 32, "fox.png")
    index = url.removeprefix("https://studio.example/page/dreamina/inputs/")
    signed = links.file(index)
    assert signed is not None
    assert signed.key == "f" * 32
    assert LINK_S - 5 < signed.left_s <= LINK_S
    token = index.split("/")[0]
    changed_tokens = [
        token[:50] + ("A" if token[50] != "A" else "B") + token[51:],
        token[:-4],
        token + "AAAA",
        "A" * 40,
    ]
    for changed in (*(f"{text}/fox.png" for text in changed_tokens), "x" + index, index + "?", token):
        assert links.file(changed) is None
    assert SignedUrls("https://studio.example/page", b"t" * 32, clock).file(index) is None
    clock.advance(LINK_S + 1)
    expired = links.file(index)
    assert expired is not None
    assert expired.left_s < 0


def test_a_signed_url_holds_no_permanent_key() -> None:
    """The service, its logs and caches see it; tomorrow it must open nothing, and two of them must not look alike."""
    links = SignedUrls("https://studio.example/page", b"s" * 32, Clock())
    urls = {links.url_of("f" * 32, "image.png") for _ in range(3)}
    assert len(urls) == 3
    for url in urls:
        token = url.split("/")[-2]
        content = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        assert "f" * 8 not in url
        assert b"f" * 8 not in content
        assert bytes.fromhex("f" * 8) not in content


def test_the_secret_is_stored_for_its_owner_only(tmp_path: Path) -> None:
    """Signed URLs outlive a restart, and nobody else on the machine can sign."""
    path = tmp_path / "links.secret"
    secret = read_secret(path)
    assert len(secret) == 32
    assert read_secret(path) == secret
    assert path.stat().st_mode & 0o077 == 0
    path.write_bytes(b"cut")
    assert len(read_secret(path)) == 32


def test_uploaded_images_are_checked_without_a_request_and_by_owner(make: Make) -> None:
    """The page's public name may not be reachable from behind its own router; and nobody uses another's image."""
    key = "a" * 32
    mine = {(key, "someone"): InputFacts(9, 9, 10)}
    files = make(find_given=lambda *asked: mine.get(asked))
    files.validate_files(MODEL, {"image_urls": [f"{INPUT_SCHEME}{key}"]}, "someone")
    assert refusal(files, "https://10.0.0.1/a.png", f"{INPUT_SCHEME}{'b' * 32}").rule == "address_missing"
    with pytest.raises(InputError, match="address_missing"):
        files.validate_files(MODEL, {"image_urls": [f"{INPUT_SCHEME}{key}"]}, "somebody else")


@pytest.mark.parametrize(("public_url", "is_refused"), [("", True), ("https://studio.example", False)])
def test_images_within_a_request_have_a_bound_together(tmp_path: Path, public_url: str, is_refused: bool) -> None:
    """The service refuses a body of more than 64 MiB, after all of it was sent; of links it fetches each by itself."""
    files = InputFiles(
        FolderThumbnails(tmp_path),
        UrlGuard(),
        SignedUrls(public_url, b"s" * 32, Clock()),
        secret=b"s" * 32,
        find_given=lambda _key, _visitor: InputFacts(9, 9, 6_000_000),
    )
    given = [f"{INPUT_SCHEME}{index:032x}" for index in range(9)]
    if is_refused:
        assert refusal(files, *given).rule == "address_total"
    else:
        files.validate_files(MODEL, {"image_urls": given}, "someone")
