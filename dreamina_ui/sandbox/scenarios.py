"""Trouble that the sandbox plays on request, as the real service and what stands around it have them.

A word in square brackets in a prompt chooses one for that request, such as `a fox [fail: no foxes today]`; the command
line's `--scenario` chooses some for every request.
"""

from __future__ import annotations

import re
import struct
import zlib

SCENARIOS = {
    "fail": "the request fails at its end; [fail: TEXT] gives the reason",
    "completed-then-failed": "the status says completed, the result says failed",
    "not-ready": "the result is not ready for 10 seconds after the end",
    "gateway-404": "status and result are a gateway's 404 page for 10 seconds",
    "gateway-502": "the same with a 502 page",
    "gateway-504": "the same with a 504 page",
    "slow-cancel": "a cancel is accepted, and carried out 10 seconds later",
    "late-files": "the files answer 404 for the first 15 seconds",
    "odd-headers": "the files have an empty Content-Encoding and a wrong Content-Type",
    "odd-images": "the files are PNGs with a text chunk whose checksum is wrong",
}
"""What can be asked for, and what it does."""

GATEWAY_S = NOT_READY_S = CANCEL_S = 10.0
LATE_FILES_S = 15.0
DEFAULT_REASON = "The sandbox was asked to fail."

_WORD = re.compile(r"\[([a-z0-9-]+)(?::\s*([^\]]*))?\]")
_PNG_HEADER_BYTES = 33
"""The signature and the first chunk, behind which other chunks may stand."""


def scenarios_in(prompt: str) -> frozenset[str]:
    """The scenarios that a prompt asks for."""
    return frozenset(match[1] for match in _WORD.finditer(prompt) if match[1] in SCENARIOS)


def reason_in(prompt: str) -> str:
    """Why a request fails that was asked to."""
    reasons = (match[2] for match in _WORD.finditer(prompt) if match[1] == "fail" and match[2])
    return next(reasons, DEFAULT_REASON)


def with_bad_checksum(png: bytes) -> bytes:
    """A PNG with one more text chunk, whose checksum is wrong: browsers show it."""
    text = b"Comment\0odd"
    checksum = zlib.crc32(b"tEXt" + text) ^ 1
    chunk = struct.pack(">I", len(text)) + b"tEXt" + text + struct.pack(">I", checksum)
    return png[:_PNG_HEADER_BYTES] + chunk + png[_PNG_HEADER_BYTES:]
