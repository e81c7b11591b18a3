"""A copy of an original that carries its job's settings, as an HTTP response."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from starlette.concurrency import iterate_in_threadpool
from starlette.responses import Response, StreamingResponse

from dreamina_ui.errors import MediaError
from dreamina_ui.ledger.job import Job, Output
from dreamina_ui.media.embedded_metadata import size_with_settings, with_settings
from dreamina_ui.media.store import StoredFile
from dreamina_ui.web.presenters import settings_object


def copy_with_settings(
    job: Job, output: Output, original: StoredFile, name: str, headers: Mapping[str, str]
) -> Response:
    """The copy, for download; it reads the file, so call it on a thread.

    Args:
        name: of the file.
        headers: `Cache-Control` among them.
    """
    settings = settings_object(job)
    try:
        pieces, size_bytes = with_settings(original, settings), size_with_settings(original, settings)
    except MediaError as exc:
        return Response(str(exc), exc.http_status, media_type="text/plain")
    all_headers = {
        "Content-Length": str(size_bytes),
        "Content-Disposition": f"attachment; filename*=utf-8''{quote(name)}",
        "X-Content-Type-Options": "nosniff",
        **headers,
    }
    return StreamingResponse(iterate_in_threadpool(pieces), media_type=output.media_type, headers=all_headers)
