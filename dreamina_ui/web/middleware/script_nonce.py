"""A fresh nonce for each page, which only the scripts of the page's own template carry.

Hashes of the scripts that a page happens to have would allow an injected one, too.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any

from jinja2 import BaseLoader, Environment
from starlette.types import Scope

NONCE = "csp_nonce"
"""The key of the nonce in a request's scope."""

_INLINE_SCRIPT = re.compile(r"<script(?![^>]*\ssrc=)")
_WITH_NONCE = f'<script nonce="{{{{ request.scope.{NONCE} }}}}"'


def add_nonce(scope: Scope) -> str:
    """Give a request a nonce, for its response's policy and inline scripts."""
    scope[NONCE] = secrets.token_urlsafe(18)
    return str(scope[NONCE])


def nonce_of(scope: Scope) -> str:
    """A request's nonce; `""` where the middleware of security headers did not run."""
    return str(scope.get(NONCE, ""))


class NonceLoader(BaseLoader):
    """Loads templates as another loader does, with the request's nonce in each inline script that the file has.

    It works on the source, before any values are put in: what comes from elsewhere gets no nonce.
    """

    def __init__(self, loader: BaseLoader) -> None:
        self._loader = loader

    def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, Callable[[], bool] | None]:
        source, path, is_current = self._loader.get_source(environment, template)
        return _INLINE_SCRIPT.sub(_WITH_NONCE, source), path, is_current


def add_nonces_to(templates: Any) -> None:
    """Put nonces into the inline scripts of Starlette's templates."""
    if not isinstance(templates.env.loader, NonceLoader):
        templates.env.loader = NonceLoader(templates.env.loader)
        templates.env.cache.clear()
