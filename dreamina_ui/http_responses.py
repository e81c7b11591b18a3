"""The final response of an HTTP exchange, whatever comes before it.

A host may send interim responses first, such as `102 Processing` or `103 Early Hints`. `http.client` knows
`100 Continue` only, and would take any other for the final one, which then stays behind in the connection.

Source: RFC 9110, section 15.2.
"""

from __future__ import annotations

import http.client

MAX_INTERIM = 20


class FinalResponse(http.client.HTTPResponse):
    """Skips interim responses; raises BadStatusLine after `MAX_INTERIM`."""

    _interim_count = 0

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc]
        if 100 <= status < 200 and status != http.client.SWITCHING_PROTOCOLS:
            self._interim_count += 1
            if self._interim_count > MAX_INTERIM:
                raise http.client.BadStatusLine("too many interim responses")
            status = http.client.CONTINUE  # what `begin` skips
        return version, status, reason
