"""The page and everything around it that a browser meets: routes of our own, and what stands before every request."""

from __future__ import annotations

from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from dreamina_ui.ops.passwords import read_logins
from dreamina_ui.settings import Settings
from dreamina_ui.web.auth.login_wall import Authenticator, LoginWall
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.auth.visitor import VisitorCookie
from dreamina_ui.web.gradio_page.page import build_page
from dreamina_ui.web.middleware.compression import PageCompression
from dreamina_ui.web.middleware.head_script import PageHead
from dreamina_ui.web.middleware.proxy_headers import ProxyHeaders
from dreamina_ui.web.middleware.request_limits import RequestLimits, without_cors
from dreamina_ui.web.middleware.security_headers import SecurityHeaders
from dreamina_ui.web.routes.admin import build_owner_routes
from dreamina_ui.web.routes.api_key import build_key_routes
from dreamina_ui.web.routes.batches import build_batch_routes
from dreamina_ui.web.routes.costs import build_cost_routes
from dreamina_ui.web.routes.form import build_form_routes
from dreamina_ui.web.routes.jobs import build_routes
from dreamina_ui.web.routes.library import build_library_routes
from dreamina_ui.web.routes.login import build_sign_in_routes
from dreamina_ui.web.routes.probes import build_probe_routes
from dreamina_ui.wiring import Services


def build_app(settings: Settings, parts: Services) -> tuple[gr.Blocks, dict[str, Any]]:
    """Wire the page to the parts below it.

    Returns:
        The Blocks, and keyword arguments for `Blocks.launch`.

    Raises:
        SettingsError: the names and passwords cannot be read, or a package that is asked for is missing.
    """
    logins = read_logins(settings.auth.get_secret_value(), settings.auth_file)
    access = Permissions(
        is_shared=settings.is_shared,
        owners=settings.owners,
        uses_hugging_face=settings.offers_hugging_face and not logins,  # one kind of names: two might clash
    )
    gate = Authenticator(access, logins, settings.owner_password)
    page, launch = build_page(
        parts.studio,
        parts.model,
        access,
        uses_sandbox=settings.uses_sandbox,
        keeps_data=settings.keeps_data,
        is_closed=gate.is_closed,
    )
    routes = build_routes(parts.studio, access) + build_library_routes(parts.studio, parts.library, access)
    routes += build_cost_routes(parts.costs, access, parts.studio.now)
    routes += build_key_routes(parts.studio, access)
    routes += build_sign_in_routes(gate, parts.studio.take_key)
    routes += build_batch_routes(parts.studio, parts.batches, parts.sender, access, uses_sandbox=settings.uses_sandbox)
    token = settings.metrics_token
    routes += build_probe_routes(parts.health, parts.metrics, access, token.get_secret_value() if token else None)
    routes += build_owner_routes(parts.studio, access, can_sign_in=gate.has_sign_in)
    routes += build_form_routes(parts.studio, parts.library, parts.links, access, uses_sandbox=settings.uses_sandbox)
    if settings.wants_tools:
        from dreamina_ui.web.mcp import build_tool_routes  # its package is optional, and half a second to load

        routes += build_tool_routes(parts.studio, parts.model, access, uses_sandbox=settings.uses_sandbox)
    middleware = [
        Middleware(PageCompression),  # outside of what reads the page as it passes
        Middleware(ProxyHeaders, settings.believed_proxies),
        Middleware(SecurityHeaders, settings.frame_sites),
        Middleware(RequestLimits, is_private=not settings.is_shared and not settings.uses_sandbox),
        *([Middleware(LoginWall, gate)] if gate.is_closed else []),
        Middleware(VisitorCookie),
        Middleware(PageHead),
    ]
    launch["app_kwargs"] = {"routes": routes, "middleware": middleware, "lifespan": without_cors}
    launch["share"] = settings.wants_share_link  # without a word, Gradio shares a hosted notebook's page by itself
    return page, launch
