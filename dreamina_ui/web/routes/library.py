"""The library's HTTP routes: its pages, favorites, delete and undo, ZIP, and settings by picture."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from itertools import chain

from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from dreamina_ui.errors import DreaminaError
from dreamina_ui.jobs.reader import JobReader
from dreamina_ui.ledger.job import Job, Output
from dreamina_ui.library.library import PAGE_ENTRIES, UNDO_S, Entry, Library, LibraryFilter
from dreamina_ui.library.naming import file_name
from dreamina_ui.library.zip_stream import stream_zip
from dreamina_ui.media.decoding.colors import bit_of
from dreamina_ui.web.auth.permissions import NOBODY, Permissions
from dreamina_ui.web.http import language_of, read_id, read_json, refusal
from dreamina_ui.web.i18n.translate import file_size
from dreamina_ui.web.paths import PREFIX
from dreamina_ui.web.presenters import JobPresenter, library_entry
from dreamina_ui.web.stored_files import refuses_unreadable

MAX_FILES_PER_REQUEST = 5000
MAX_PAGE_ENTRIES = 240
VISITOR_LENGTH = 8
_RATINGS = ("1", "2", "3", "4", "5")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def build_library_routes(
    reader: JobReader,
    presenter: JobPresenter,
    library: Library,
    permissions: Permissions,
    clock: Callable[[], float],
    visitor_names: Callable[[], Mapping[str, str]] = dict,
) -> list[BaseRoute]:
    """The routes of one library.

    Args:
        clock: gives the time, in seconds since 1970.
        visitor_names: reads what the owner calls visitors, by visitor_id.
    """
    handlers = _LibraryRoutes(reader, presenter, library, permissions, clock, visitor_names)
    prefix = f"/{PREFIX}/library"
    return [
        Route(prefix, handlers.page),
        Route(f"{prefix}/count", handlers.count),
        Route(f"{prefix}/usage", handlers.usage),
        Route(f"{prefix}/mark", handlers.mark, methods=["POST"]),
        Route(f"{prefix}/zip", handlers.zip, methods=["GET", "POST"]),
        Route(f"{prefix}/find", handlers.find, methods=["POST"]),
    ]


class _LibraryRoutes:
    def __init__(
        self,
        reader: JobReader,
        presenter: JobPresenter,
        library: Library,
        permissions: Permissions,
        clock: Callable[[], float],
        visitor_names: Callable[[], Mapping[str, str]],
    ) -> None:
        self._reader = reader
        self._presenter = presenter
        self._clock = clock
        self._visitor_names = visitor_names
        self._library = library
        self._permissions = permissions

    async def page(self, request: Request) -> Response:
        """One page of entries: `{"entries": [...], "next": str | null, "sees_others": bool}`.

        `next` is the cursor of the next page. An owner who sees what others made gets the beginning of its `visitor`
        with each entry that is somebody else's, and the `visitor_name` that they gave them in the Admin tab.
        """
        language = language_of(request)
        sees_others = self._permissions.sees_others(request)
        try:
            query = self._filter(request, request.query_params)
            after = request.query_params.get("after", "")
            limit = _page_length(request.query_params.get("limit"))
            entries = await run_in_threadpool(self._library.page, query, after, limit)
            names = await run_in_threadpool(self._visitor_names) if sees_others else {}
        except DreaminaError as exc:
            return refusal(exc, language)
        next_cursor = entries[-1].cursor if len(entries) == limit else None
        sender = self._permissions.visitor(request)
        shown = [
            library_entry(entry, language) | (_visitor_of(entry, sender, names) if sees_others else {})
            for entry in entries
        ]
        page = {"entries": shown, "next": next_cursor, "sees_others": sees_others}
        return JSONResponse(page, headers={"Cache-Control": "no-store"})

    async def count(self, request: Request) -> Response:
        """How many entries all pages of a filter have: `{"count": int}`. It reads all of them, unlike a page."""
        count = await run_in_threadpool(self._library.count, self._filter(request, request.query_params))
        return JSONResponse({"count": count}, headers={"Cache-Control": "no-store"})

    async def usage(self, request: Request) -> Response:
        """The library's counts, and its `size` in the visitor's language."""
        usage = await run_in_threadpool(self._library.usage, self._scope(request))
        totals = vars(usage) | {"size": file_size(language_of(request), usage.size_bytes)}
        return JSONResponse(totals, headers={"Cache-Control": "no-store"})

    async def mark(self, request: Request) -> Response:
        """Mark files, `{"files": [file_key]}` with `"favourite": bool`, `"deleted": bool` or `"rating": 0 to 5`."""
        body = await read_json(request)
        keys = body.get("files")
        files = [key for key in keys if isinstance(key, str) and key.isascii()] if isinstance(keys, list) else []
        now = self._clock()
        marks: dict[str, float | None] = {
            column: now if body[name] else None
            for name, column in (("favourite", "favorite_at"), ("deleted", "deleted_at"))
            if name in body
        }
        if "rating" in body and type(body["rating"]) is int and 0 <= body["rating"] <= len(_RATINGS):
            marks["rating"] = body["rating"] or None
        if not files or len(marks) != 1:
            return JSONResponse({"message": "files, and one of favourite, deleted, and rating"}, 400)
        scope = self._permissions.scope(request)
        try:
            count = await run_in_threadpool(lambda: self._library.mark(files[:MAX_FILES_PER_REQUEST], scope, **marks))
        except DreaminaError as exc:
            return refusal(exc, language_of(request))
        return JSONResponse({"count": count, "undo_s": UNDO_S})

    @refuses_unreadable
    async def zip(self, request: Request) -> Response:
        """Originals as one ZIP: those whose keys the form has, or all that match the query."""
        if request.method == "POST":
            async with request.form(max_fields=4, max_part_size=MAX_FILES_PER_REQUEST * 40) as form:
                keys = str(form.get("files", "")).split(",")[:MAX_FILES_PER_REQUEST]
            entries = self._selected(keys, self._permissions.scope(request))
        else:
            matches = self._library.entries(self._filter(request, request.query_params))
            entries = ((entry.job, entry.output) for entry in matches if entry.output)
        files = (
            (job, output, self._reader.original(job, output), file_name(job, output, "original"))
            for job, output in entries
        )
        first = await run_in_threadpool(next, files, None)
        if first is None:
            return Response("There is no image.", 404)
        name = f"dreamina-{datetime.now(timezone.utc):%Y-%m-%d}.zip"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        pieces = iterate_in_threadpool(stream_zip(chain([first], files)))
        return StreamingResponse(pieces, media_type="application/zip", headers=headers)

    async def find(self, request: Request) -> Response:
        """The settings of an image made here: `{"sha256": str}` of its original, or `{"file": file_key}`."""
        body, scope = await read_json(request), self._permissions.scope(request)
        sha256, file_key = body.get("sha256"), read_id(body, "file")
        job: Job | None = None
        if file_key is not None:
            match = await run_in_threadpool(self._reader.output, file_key)
            job = match[0] if match and scope in (None, match[0].visitor_id) else None
        elif isinstance(sha256, str) and _SHA256.fullmatch(sha256):
            job = await run_in_threadpool(self._library.by_sha256, sha256, scope)
        else:
            return JSONResponse({"message": "sha256 or file"}, 400)
        if job is None:
            return JSONResponse({"message": "unknown"}, 404)
        is_owner = self._permissions.is_owner(request)
        details = await run_in_threadpool(self._presenter.details, job, language_of(request), for_owner=is_owner)
        return JSONResponse(details)

    def _selected(self, keys: list[str], scope: str | None) -> Iterator[tuple[Job, Output]]:
        for key in self._reader.known_file_keys(keys):
            match = self._reader.output(key)
            if match is None or scope not in (None, match[0].visitor_id):
                continue
            if match[1].state == "kept" and match[1].deleted_at is None:
                yield match

    def _filter(self, request: Request, query: QueryParams) -> LibraryFilter:
        return LibraryFilter(
            visitor_id=self._scope(request),
            text=query.get("text", "")[:200],
            state=query.get("state", "")[:20],
            size=query.get("size", "")[:60],
            favorites=query.get("favourites") == "1",
            since=_moment(query.get("since")),
            until=_moment(query.get("until")),
            archive=query.get("put_aside") == "1",
            model_id=query.get("model", "")[:200],
            batches=query.get("batches") == "1",
            board_id=query.get("board", "")[:40],
            min_rating=int(rating) if (rating := query.get("rating", "")) in _RATINGS else 0,
            color=bit_of(query.get("color", "")),
            shared=query.get("shared") == "1",
            trash=query.get("trash") == "1",
            oldest_first=query.get("sort") == "oldest",
        )

    def _scope(self, request: Request) -> str | None:
        """As `Permissions.scope`; an owner may choose to see only what is theirs."""
        if self._permissions.sees_others(request) and request.query_params.get("whose") == "mine":
            return self._permissions.visitor(request) or NOBODY
        return self._permissions.scope(request)


def _visitor_of(entry: Entry, sender: str | None, names: Mapping[str, str]) -> dict[str, str]:
    visitor = entry.job.visitor_id or ""
    if visitor == sender:
        return {}
    return {"visitor": visitor[:VISITOR_LENGTH]} | ({"visitor_name": names[visitor]} if visitor in names else {})


def _page_length(text: str | None) -> int:
    is_number = text is not None and text.isascii() and text.isdigit() and len(text) < 5
    return min(max(int(text or 0), 1), MAX_PAGE_ENTRIES) if is_number else PAGE_ENTRIES


def _moment(text: str | None) -> float | None:
    """Parse seconds since 1970, as the page's script sends them; None for anything else."""
    try:
        moment = float(text or "nan")
    except ValueError:
        return None
    return moment if abs(moment) < 1e11 else None
