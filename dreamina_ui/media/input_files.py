"""Files that people give by URL: validated before money is spent, and shown as thumbnails.

What a file must be: https, public, without a login, answering a plain GET with the file itself; a picture of at most
50 MB, a video of at most 100. Each broken rule is named. Every URL is fetched through the guard only.

Source: RunComfy Model API documentation, files as inputs.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import logging
import re
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, BinaryIO, NamedTuple

from dreamina_ui.errors import DiskError, InputError, UrlError
from dreamina_ui.ledger.job import input_key, networks_of
from dreamina_ui.media.decoding.bounds import is_photo
from dreamina_ui.media.decoding.copies import Bounds, ImageError
from dreamina_ui.media.decoding.workers import DecodeWorkers
from dreamina_ui.media.fetching.download import Downloader, DownloadError
from dreamina_ui.media.fetching.proxies import Proxy
from dreamina_ui.media.fetching.ssrf_guard import UrlGuard
from dreamina_ui.media.formats import FORMATS, recognise
from dreamina_ui.media.header_size import header_size
from dreamina_ui.media.input_thumbnails import ThumbnailStore
from dreamina_ui.media.signed_urls import SignedUrls
from dreamina_ui.media.store import StoredFile
from dreamina_ui.models.fields import Field
from dreamina_ui.models.schema import Model
from dreamina_ui.models.validations import FileFacts, broken_validation

CHECK_S = 8.0
"""How long a request to generate waits until all of its files are validated."""

COPY_S = 20.0
"""How long the file of a thumbnail may take to arrive."""

MAX_MB = {"image": 50, "video": 100, None: 100}
MAX_AT_ONCE = 12
MAX_OF_CLIENT = 24
"""How many files of one visitor, and of one client, are validated at the same time: cleared cookies make new
visitors, and there are 64 threads for all."""

BOUNDS = Bounds(max_pixels=17_000_000, cpu_s=4, wall_s=10.0)
SLOW_BOUNDS = BOUNDS._replace(max_pixels=12_600_000)
"""A larger picture is shown by its URL only: strangers choose what is decoded here. The second is for what decoders
take longest for: a WebP or AVIF without losses, or with transparent parts."""

MAX_INLINE_MB = 60
"""How large the images may be together where the request itself carries them: the service's bound is 64 MiB."""

_NAME = re.compile(r"[0-9a-f]{32}")

log = logging.getLogger(__name__)


class InputFacts(NamedTuple):
    """An image that a visitor gave: pixels, and bytes."""

    width: int
    height: int
    size_bytes: int


class InputFiles:
    """Looks at given files. Safe to call from many threads.

    Args:
        thumbnails: where thumbnails are stored.
        guard: says which URLs may be reached.
        links: says whether the service can fetch images from here.
        find_given: gives the facts of a visitor's uploaded image by its key; None if it is not theirs.
        secret: of this installation, for the names of thumbnails.
        decoder: makes the thumbnails; None for one of its own.
    """

    def __init__(
        self,
        thumbnails: ThumbnailStore,
        guard: UrlGuard,
        links: SignedUrls,
        *,
        secret: bytes,
        find_given: Callable[[str, str | None], InputFacts | None] = lambda _key, _visitor_id: None,
        decoder: DecodeWorkers | None = None,
        check_s: float = CHECK_S,
        copy_s: float = COPY_S,
        certificates: ssl.SSLContext | None = None,
        proxy: Proxy | None = None,
    ) -> None:
        self._thumbnails = thumbnails
        self._guard = guard
        self._links = links
        self._find_given = find_given
        self._secret = secret
        self._check_s = check_s
        self._copy_s = copy_s
        timeout_s = max(check_s / 2, 0.1)
        self._downloaders = {
            kind: Downloader(
                guard,
                max_bytes=mb * 10**6,
                connect_timeout_s=timeout_s,
                read_timeout_s=timeout_s,
                certificates=certificates,
                proxy=proxy,
            )
            for kind, mb in MAX_MB.items()
        }
        self._pool = ThreadPoolExecutor(64, "inspect")
        self._decoder = decoder or DecodeWorkers()
        self._lock = threading.Lock()
        self._under_way: Counter[str] = Counter()

    def clean_up(self) -> None:
        """Remove what a kill left half fetched; call it before anything is validated."""
        self._thumbnails.clean_up()

    def validate_files(
        self, model: Model, inputs: Mapping[str, Any], visitor_id: str | None, client_hash: str | None = None
    ) -> None:
        """Validate every file of some inputs, all at the same time; blocks for at most `check_s` seconds.

        Args:
            inputs: as `Model.validate_inputs` gives them.
            visitor_id, client_hash: who asks, so that nobody keeps all threads busy.

        Raises:
            InputError: the first rule that is broken, as `address_` and its name.
        """
        given = list(given_urls(model, inputs))
        self._inspect_given([(field, path, key) for field, path, url in given if (key := input_key(url))], visitor_id)
        given = [row for row in given if not input_key(row[2])]
        fields = {url: field for field, _, url in given}
        deadline_s = time.monotonic() + self._check_s
        under_way = {
            url: self._start(visitor_id, client_hash, self._inspect, fields[url], url, deadline_s) for url in fields
        }
        # A silent name server is the only thing that the deadline does not reach inside of an inspection.
        done, _ = wait([inspection for inspection in under_way.values() if inspection], self._check_s + 0.5)
        for _, input_path, url in given:
            inspection = under_way[url]
            exc = (
                inspection.exception()
                if inspection in done
                else _Broken("slow" if inspection else "busy", self._check_s)
            )
            if isinstance(exc, _Broken):
                raise InputError(input_path, f"address_{exc.rule}", exc.limit, url)
            if exc:
                raise exc

    def _inspect_given(self, given: list[tuple[Field, str, str]], visitor_id: str | None) -> None:
        """Validate images that visitors gave: the field, path and key of each."""
        inline_bytes = 0
        for field, path, key in given:
            facts = self._find_given(key, visitor_id)
            if facts is None:
                raise InputError(path, "address_missing", None, None)
            broken = broken_validation(field.validations, FileFacts(facts.size_bytes, facts.width, facts.height))
            if broken is not None:
                raise InputError(path, "address_rule", broken.described, None)
            inline_bytes += facts.size_bytes * 4 // 3
            if not self._links.public_url and inline_bytes > MAX_INLINE_MB * 10**6:
                raise InputError(path, "address_total", MAX_INLINE_MB, None)

    def prepare_thumbnail(
        self, field: Field, url: str, visitor_id: str | None, client_hash: str | None = None
    ) -> Future[str | None]:
        """Validate one file and make its thumbnail, in the background.

        Returns:
            The name of its thumbnail, or None where there is nothing to show; an InputError if a rule is broken.
        """

        def make() -> str | None:
            try:
                return self._thumbnail(field, url, visitor_id)
            except _Broken as exc:
                raise InputError(field.key, f"address_{exc.rule}", exc.limit, url) from exc

        started = self._start(visitor_id, client_hash, make)
        if started is None:
            started = Future()
            started.set_exception(InputError(field.key, "address_busy", None, url))
        return started

    def shown(self, url: str, visitor_id: str | None) -> str | None:
        """The name of the thumbnail of a file that a visitor gave by URL; None if there is none."""
        name = self._name(url, visitor_id)
        return name if self._thumbnails.has(name) else None

    def thumbnail(self, name: str) -> StoredFile | None:
        """A thumbnail (WebP, 400 px); None if there is none. Raises DiskError if the storage refuses."""
        return self._thumbnails.find(name) if _NAME.fullmatch(name) else None

    def _start(
        self, visitor_id: str | None, client_hash: str | None, function: Callable[..., Any], *args: Any
    ) -> Future[Any] | None:
        """Begin something on a thread of the pool; None if who asks keeps too many busy, or there is no thread."""
        limits = {f"visitor {visitor_id}": MAX_AT_ONCE} if visitor_id else {}
        networks = networks_of(client_hash) if client_hash else ()
        limits |= {f"client {network}": factor * MAX_OF_CLIENT for network, factor in networks}
        with self._lock:
            if any(self._under_way[name] >= most for name, most in limits.items()):
                return None
            self._under_way.update(limits.keys())
        try:
            started = self._pool.submit(function, *args)
        except RuntimeError:  # the pool keeps the work all the same and may do it later, which is harmless
            self._end(limits)
            return None
        started.add_done_callback(lambda _: self._end(limits))
        return started

    def _end(self, names: Iterable[str]) -> None:
        with self._lock:
            self._under_way.subtract(list(names))
            self._under_way += Counter()  # forgets the names that have none

    def _inspect(self, field: Field, url: str, deadline_s: float) -> None:
        """Validate one file; raises _Broken."""
        try:
            self._guard.parse(url)  # the service gets it as it is, so nothing may need to be encoded in it
            head, size_bytes = self._downloaders[field.file_kind].probe(url, deadline_s)
        except UrlError as exc:
            raise _Broken(exc.rule) from None
        except DownloadError as exc:
            limits = {"status": exc.status_code, "size": MAX_MB[field.file_kind], "slow": self._check_s}
            raise _Broken(exc.rule, limits.get(exc.rule)) from None
        if head.lstrip()[:1] == b"<":
            raise _Broken("page")
        allowed = [form for form in FORMATS if form.is_common and field.file_kind in (None, form.kind)]
        if field.file_kind and recognise(head) not in allowed:
            raise _Broken("kind", ", ".join(form.name for form in allowed))
        if field.validations:
            size = self._pixels(field, url, head, deadline_s)
            _enforce_validations(field, FileFacts(size_bytes, *(size or ())))

    def _pixels(self, field: Field, url: str, head: bytes, deadline_s: float) -> tuple[int, int] | None:
        """The size in pixels, if a rule asks for it; the whole file is fetched only if its beginning does not say."""
        if not any(rule.needs_pixels for rule in field.validations):
            return None
        size = header_size(io.BytesIO(head))
        if size is not None or field.file_kind == "video":
            return size
        try:
            with self._thumbnails.scratch_file() as file:
                self._downloaders[field.file_kind].fetch(url, file, deadline_s)
                file.flush()
                return header_size(file)
        except (UrlError, DownloadError, DiskError, OSError):
            return None  # the rule is left to the service

    def _thumbnail(self, field: Field, url: str, visitor_id: str | None) -> str | None:
        name = self._name(url, visitor_id)
        if self._thumbnails.has(name):
            return name
        self._inspect(field, url, time.monotonic() + self._check_s)
        if field.file_kind != "image":
            return None
        deadline_s = time.monotonic() + self._copy_s
        try:
            with self._thumbnails.scratch_file() as file:
                self._downloaders["image"].fetch(url, file, deadline_s)
                file.flush()
                thumbnail = self._shrink(file)
            self._thumbnails.put(name, thumbnail)
        except (UrlError, DownloadError, ImageError, DiskError, OSError) as exc:
            log.info("No thumbnail of a given file: %s", exc if isinstance(exc, ImageError) else type(exc).__name__)
            return None
        return name

    def _shrink(self, file: BinaryIO) -> bytes:
        file.seek(0)
        form = recognise(file.read(64))
        if form is None or form.kind != "image" or not form.is_common:
            raise ImageError("it is no image")
        is_slow = form.name in ("WEBP", "AVIF") and not is_photo(file, form.name)
        bounds = SLOW_BOUNDS if is_slow else BOUNDS
        return self._decoder.make_copies(file, form, ["thumbnail"], bounds, is_background=True).files["thumbnail"]

    def _name(self, url: str, visitor_id: str | None) -> str:
        """The name of a thumbnail: nobody can tell from it, or find out with it, whether somebody gave a URL."""
        given = json.dumps([visitor_id, url]).encode()
        return hmac.new(self._secret, given, hashlib.sha256).hexdigest()[:32]


def given_urls(model: Model, inputs: Mapping[str, Any]) -> Iterator[tuple[Field, str, str]]:
    """Every URL in some inputs: its field, its path such as `image_urls.0`, and the URL."""
    for field in model.fields:
        yield from ((field, path, url) for path, url in field.kind.urls(field, inputs.get(field.key)))


def _enforce_validations(field: Field, file: FileFacts) -> None:
    """Raise _Broken for a file that breaks a rule of the model's schema."""
    broken = broken_validation(field.validations, file)
    if broken is not None:
        raise _Broken("rule", broken.described)


class _Broken(Exception):
    """A rule that a file breaks, and what the rule asks for."""

    def __init__(self, rule: str, limit: Any = None) -> None:
        super().__init__(rule)
        self.rule = rule
        self.limit = limit
