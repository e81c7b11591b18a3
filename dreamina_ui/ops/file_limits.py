"""How many files and connections may be open at once.

Each visitor holds a few connections, and a usual limit of 1,024 is reached by a few hundred visitors, or by one
stranger. Then not even the ledger can be written.
"""

from __future__ import annotations

from contextlib import suppress

MAX_OPEN_FILES = 65_536


def allow_many() -> None:
    """Raise this process's limit as far as the system lets it, up to `MAX_OPEN_FILES`; Windows has none."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = MAX_OPEN_FILES if most == resource.RLIM_INFINITY else min(MAX_OPEN_FILES, most)
        if now != resource.RLIM_INFINITY and now < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def max_connections() -> int:
    """How many connections leave enough room for the ledger, the images, and calls of the API."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        now = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if now != resource.RLIM_INFINITY:
            return min(now, MAX_OPEN_FILES) * 3 // 4
    return MAX_OPEN_FILES * 3 // 4
