"""Puts the site together: the page, our own routes, and the middleware around both."""

from __future__ import annotations

import logging
from typing import Any

import gradio as gr
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from dreamina_ui.ops.passwords import read_logins
from dreamina_ui.settings import Settings
from dreamina_ui.web.auth.login_throttle import LoginThrottle
from dreamina_ui.web.auth.login_wall import Authenticator, LoginWall
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.auth.sessions import Sessions
from dreamina_ui.web.auth.visitor import VisitorCookie
from dreamina_ui.web.batch_presenter import BatchPresenter
from dreamina_ui.web.gradio_page.endpoints import Endpoints
from dreamina_ui.web.gradio_page.head import PageHtml, page_styles
from dreamina_ui.web.gradio_page.page import build_page
from dreamina_ui.web.middleware.compression import PageCompression
from dreamina_ui.web.middleware.cookie_names import CookieNames
from dreamina_ui.web.middleware.gradio_patches import DisabledRoutes, add_script_nonces, remove_cors
from dreamina_ui.web.middleware.json_bounds import JsonBounds
from dreamina_ui.web.middleware.origin_guard import OriginGuard
from dreamina_ui.web.middleware.pace_limits import PaceLimits
from dreamina_ui.web.middleware.page_html import PageHtmlWriter
from dreamina_ui.web.middleware.proxy_headers import ProxyHeaders
from dreamina_ui.web.middleware.request_limits import RequestLimits
from dreamina_ui.web.middleware.security_headers import SecurityHeaders
from dreamina_ui.web.middleware.shared_sign_ins import SharedSignIns
from dreamina_ui.web.presenters import JobPresenter
from dreamina_ui.web.routes.admin import build_admin_routes
from dreamina_ui.web.routes.api_key import build_key_routes
from dreamina_ui.web.routes.batches import build_batch_routes
from dreamina_ui.web.routes.costs import build_cost_routes
from dreamina_ui.web.routes.files import build_file_routes
from dreamina_ui.web.routes.form import build_form_routes
from dreamina_ui.web.routes.input_files import build_input_file_routes
from dreamina_ui.web.routes.jobs import build_job_routes
from dreamina_ui.web.routes.library import build_library_routes
from dreamina_ui.web.routes.login import build_login_routes
from dreamina_ui.web.routes.models import build_model_routes
from dreamina_ui.web.routes.page_files import build_page_file_routes
from dreamina_ui.web.routes.personal.boards import build_board_routes
from dreamina_ui.web.routes.personal.history import build_history_routes
from dreamina_ui.web.routes.personal.prompts import build_prompt_routes
from dreamina_ui.web.routes.personal.shares import build_share_routes
from dreamina_ui.web.routes.personal.uploads import build_upload_routes
from dreamina_ui.web.routes.probes import build_probe_routes
from dreamina_ui.web.routes.request_lookup import build_request_lookup_routes
from dreamina_ui.web.routes.security_txt import build_security_txt_routes
from dreamina_ui.wiring import Services

log = logging.getLogger(__name__)


def build_app(settings: Settings, services: Services) -> tuple[gr.Blocks, dict[str, Any]]:
    """Build the page, our own routes and the middleware around both.

    Returns:
        The Blocks, and keyword arguments for `Blocks.launch`.

    Raises:
        SettingsError: the names and passwords cannot be read, or an optional package is missing.
    """
    logins = read_logins(settings.auth.get_secret_value(), settings.auth_file)
    permissions = Permissions(
        is_shared=settings.is_shared,
        owners=settings.owners,
        uses_hugging_face=settings.offers_hugging_face and not logins,  # names of two kinds might clash
        sessions=Sessions(store=services.sign_in_store),
        tag_secret=services.requester_secret,
    )
    authenticator = Authenticator(permissions, logins, settings.owner_password, store=services.sign_in_store)
    core = services.job_services
    presenter = JobPresenter(core.reader, core.accounts, core.models, core.input_files, core.clock, core.early_previews)
    key_throttle = LoginThrottle(store=services.sign_in_store, purpose="key")
    endpoints = Endpoints(core, presenter, permissions, key_throttle)
    if not settings.is_shared:
        log.info("Only this machine may use the page. To let others in, set DREAMINA_SHARED=1, behind a proxy, too")
    page, launch, html = build_page(
        core.models.packaged,
        services.model,
        permissions,
        endpoints,
        installation_id=services.installation_id,
        uses_sandbox=settings.uses_sandbox,
        keeps_data=settings.keeps_data,
        is_closed=authenticator.is_closed,
    )
    add_script_nonces()
    launch["app_kwargs"] = {
        "routes": _build_routes(settings, services, authenticator, presenter, endpoints, key_throttle),
        "middleware": _build_middleware(settings, authenticator, services, html),
        "lifespan": remove_cors,
    }
    launch["share"] = settings.wants_share_link  # by default Gradio shares a hosted notebook's page by itself
    return page, launch


def _build_routes(
    settings: Settings,
    services: Services,
    authenticator: Authenticator,
    presenter: JobPresenter,
    endpoints: Endpoints,
    key_throttle: LoginThrottle,
) -> list[BaseRoute]:
    core, personal, permissions = services.job_services, services.personal, authenticator.permissions
    uses_sandbox, token = settings.uses_sandbox, _metrics_token(settings)
    batch_presenter = BatchPresenter(presenter, core.models, services.dispatcher)
    routes = [
        *build_job_routes(core, presenter, permissions),
        *build_library_routes(
            core.reader, presenter, services.library, permissions, core.clock, core.moderation.visitor_names
        ),
        *_build_personal_routes(services, permissions, is_shared=settings.is_shared),
        *build_cost_routes(services.costs, permissions, core.clock),
        *build_key_routes(core.api_keys, core.accounts, permissions, key_throttle),
        *build_login_routes(
            authenticator,
            core.api_keys.take_back,
            shared_site_id=services.installation_id if settings.has_path_only else "",
        ),
        *build_batch_routes(
            core, batch_presenter, services.batches, personal.prompts, permissions, uses_sandbox=uses_sandbox
        ),
        *build_request_lookup_routes(core.reader, presenter, services.batches, batch_presenter, permissions),
        *build_probe_routes(services.health, services.metrics, token, permissions.is_owner),
        *build_admin_routes(core, permissions, can_sign_in=authenticator.has_sign_in),
        *build_model_routes(core, personal.prompts, permissions, uses_sandbox=uses_sandbox),
        *build_form_routes(core, presenter, permissions, uses_sandbox=uses_sandbox),
        *build_input_file_routes(core, presenter, services.input_images, services.links, permissions),
        *build_upload_routes(services.input_images, services.library, services.links, permissions),
        *build_file_routes(core.reader, permissions, services.late_copies, settings.media_serve),
        *build_page_file_routes(services.shared.bucket if services.shared else None, page_styles()),
        *build_security_txt_routes(settings.security_contact, core.clock),
    ]
    if settings.wants_tools:
        from dreamina_ui.web.mcp import build_tool_routes  # its package is optional, and half a second to load

        routes += build_tool_routes(core, services.model, endpoints, uses_sandbox=uses_sandbox)
    return routes


def _build_personal_routes(services: Services, permissions: Permissions, *, is_shared: bool) -> list[BaseRoute]:
    core, personal = services.job_services, services.personal
    return [
        *build_board_routes(personal.boards, personal.shares, permissions),
        *build_share_routes(personal.shares, core.reader, core.models, permissions, services.links.public_url),
        *build_history_routes(core, personal, permissions, is_shared=is_shared),
        *build_prompt_routes(personal.prompts, permissions),
    ]


def _metrics_token(settings: Settings) -> str | None:
    return settings.metrics_token.get_secret_value() if settings.metrics_token else None


def _build_middleware(
    settings: Settings, authenticator: Authenticator, services: Services, html: PageHtml
) -> list[Middleware]:
    """The middleware, outermost first."""
    api_keys = services.job_services.api_keys
    shares = services.sign_in_store is not None
    return [
        Middleware(PageCompression),  # outside of what reads the page as it passes
        Middleware(ProxyHeaders, settings.believed_proxies),
        Middleware(CookieNames, services.installation_id),
        Middleware(SecurityHeaders, settings.frame_sites, settings.image_origin),
        Middleware(PaceLimits),
        Middleware(DisabledRoutes),
        Middleware(OriginGuard, is_private=not settings.is_shared and not settings.uses_sandbox),
        Middleware(RequestLimits),
        Middleware(JsonBounds),
        *([Middleware(SharedSignIns, authenticator.permissions, api_keys)] if shares else []),
        *([Middleware(LoginWall, authenticator)] if authenticator.is_closed else []),
        Middleware(VisitorCookie),
        Middleware(PageHtmlWriter, html.head, html.body),
    ]
