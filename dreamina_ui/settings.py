"""One frozen Settings, read once from the environment."""

from __future__ import annotations

import ipaddress
import os
import re
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from dreamina_ui.errors import SettingsError
from dreamina_ui.media.bucket import URL_FORM, BucketAccess
from dreamina_ui.media.presigned_urls import origin_of

TOKEN_VARIABLES = ("RUNCOMFY_API_TOKEN", "RUNCOMFY_TOKEN", "YOUR_API_TOKEN")
SECRET_VARIABLES = (
    *TOKEN_VARIABLES,
    "DREAMINA_OWNER_PASSWORD",
    "DREAMINA_METRICS_TOKEN",
    "DREAMINA_AUTH",
    "DREAMINA_DATABASE_URL",
    "DREAMINA_DATABASE_LISTEN_URL",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
)
_MAX_HOST_LENGTH = 64
"""No IP address is longer, nor is `localhost`."""

Delivery = Literal["proxy", "accel", "redirect"]
"""How files of a bucket reach visitors: through us, through an nginx in front by our word, or by signed URLs."""
Role = Literal["all", "web", "worker"]
"""A `web` server has the page and sends requests, a `worker` has no page and follows jobs; `all` does both."""

LOOPBACK = frozenset({"127.0.0.0/8", "::1/128"})
PRIVATE = LOOPBACK | {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"}
RUNCOMFY_URL = "https://model-api.runcomfy.net"
ACCOUNT_URL = "https://api.runcomfy.net"
"""Where RunComfy tells the balance of an account: the one other origin that the token travels to."""

SPACE_STORAGE = Path("/data")
"""Where a Hugging Face Space has its persistent storage, if it has one."""


_QUOTES = "\"'"
_PLACEHOLDER = re.compile(rf"[$%<`{{]|(?:{'|'.join(TOKEN_VARIABLES)})(?:=|$)", re.IGNORECASE)
_QUOTED = "must not have quotes around it; docker's --env-file takes them as part of the value"


class Settings(BaseSettings):
    """What the owner chose.

    Attributes:
        api_token: the RunComfy token, or None for the sandbox. Never shown by `repr`.
        api_base_url: where the Model API is, without a slash at the end.
        model_id: which model the page shows first, and `/generate` runs.
        models_dir: a folder of more model files, or None.
        public_url: where the service reaches this page, without a slash at the end; "" if it does not.
        chosen_data_dir: the folder of the ledger, the pictures and the sandbox; None for the default, see `data_dir`.
        database_url: the PostgreSQL database of the ledger, which several servers can share; None for a file in the
            data folder. Never shown by `repr`, as it may hold a password.
        database_listen_url: the same database without the pooler that `database_url` leads to; None if there is none.
        role: what this server does of what several servers do, see `Role`.
        probe_port: the port of `/healthz`, `/readyz` and `/metrics` of a `worker`; None for none.
        media_url: the bucket of all images, such as `s3://bucket/prefix`; "" for a folder in the data folder.
        media_serve: how files of the bucket reach visitors, see `Delivery`.
        s3_endpoint, s3_region: where that bucket is; "" for what Amazon's own variables say, see `bucket`.
        aws_key_id, aws_secret, aws_session_token: what opens it. Never shown by `repr`.
        media_hosts: the only hosts that result files may come from; empty for every public one. Only these may have
            IP addresses that a VPN client made up.
        sandbox_queue_s, sandbox_run_s: seconds a sandbox job waits and runs.
        sandbox_parallel: how many sandbox jobs run at once.
        max_library_gb: how many gigabytes (10^9 bytes) of originals are kept; None for no limit.
        min_free_gb: how many gigabytes of disk space new jobs leave free.
        keep_days: how many days a picture is kept that is no favourite; None for no limit.
        visitor_at_once ... usd_per_month: the owner's limits, see `limits.Limits`; None for the default.
        price_usd: what one file costs, in USD, where the API does not say.
        low_balance_usd: a balance of less than this is a warning for the owner.
        require_own_key: whether every visitor must use a RunComfy key of their own.
        trusted_proxies: IP addresses and networks whose `X-Forwarded-*` headers count; None for the default.
        declared_shared: the owner says that others can reach the page, for example through a proxy.
        owner_password: what the owner signs in with, from anywhere; None for no such way. Never shown by `repr`.
        wants_metrics: whether there is `/metrics`.
        metrics_token: the bearer token that `/metrics` asks for; None for nobody but the owner.
        ca_bundle: what certificates are verified with, a file or a folder; None for those that `requests` brings.
        log_format: `text`, or `json` for one object for each line.
        security_contact: a URL for reports of vulnerabilities, such as `mailto:security@example.com`; "" for none.
        auth, auth_file: names and passwords, see `passwords.read_logins`; any close the page to everybody else.
        owners: the names of the owner.
        share_link, mcp_server, server_name, root_path: Gradio's own variables, as text.
        space_id, space_host, system, oauth_client_id: Hugging Face's own variables, as text.

    Source of the variables' names: RunComfy Model API documentation, and its own clients.
    """

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, hide_input_in_errors=True, extra="ignore")

    api_token: SecretStr | None = Field(None, validation_alias=AliasChoices(*TOKEN_VARIABLES))
    api_base_url: str = Field(RUNCOMFY_URL, validation_alias="RUNCOMFY_API_BASE_URL")
    model_id: str = Field("bytedance/dreamina-4-0/text-to-image", validation_alias="DREAMINA_MODEL")
    models_dir: Path | None = Field(None, validation_alias="DREAMINA_MODELS_DIR")
    public_url: str = Field("", validation_alias="DREAMINA_PUBLIC_URL")
    chosen_data_dir: Path | None = Field(None, validation_alias="DREAMINA_DATA_DIR")
    database_url: SecretStr | None = Field(None, validation_alias="DREAMINA_DATABASE_URL")
    database_listen_url: SecretStr | None = Field(None, validation_alias="DREAMINA_DATABASE_LISTEN_URL")
    role: Role = Field("all", validation_alias="DREAMINA_ROLE")
    probe_port: int | None = Field(None, ge=1, le=65535, validation_alias="DREAMINA_PROBE_PORT")
    media_hosts: Annotated[frozenset[str], NoDecode] = Field(frozenset(), validation_alias="DREAMINA_MEDIA_HOSTS")
    media_url: str = Field("", validation_alias="DREAMINA_MEDIA_URL")
    media_serve: Delivery = Field("proxy", validation_alias="DREAMINA_MEDIA_SERVE")
    s3_endpoint: str = Field("", validation_alias="DREAMINA_S3_ENDPOINT")
    s3_region: str = Field("", validation_alias="DREAMINA_S3_REGION")
    aws_endpoint: str = Field("", validation_alias=AliasChoices("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"))
    aws_region: str = Field("", validation_alias=AliasChoices("AWS_REGION", "AWS_DEFAULT_REGION"))
    aws_key_id: SecretStr = Field(SecretStr(""), validation_alias=AliasChoices("AWS_ACCESS_KEY_ID"))
    aws_secret: SecretStr = Field(SecretStr(""), validation_alias=AliasChoices("AWS_SECRET_ACCESS_KEY"))
    aws_session_token: SecretStr = Field(SecretStr(""), validation_alias=AliasChoices("AWS_SESSION_TOKEN"))
    sandbox_queue_s: float = Field(2.0, ge=0, validation_alias="DREAMINA_SANDBOX_QUEUE_S")
    sandbox_run_s: float = Field(6.0, ge=0, validation_alias="DREAMINA_SANDBOX_RUN_S")
    sandbox_parallel: int = Field(2, ge=1, validation_alias="DREAMINA_SANDBOX_PARALLEL")
    max_library_gb: float | None = Field(None, gt=0, validation_alias="DREAMINA_MAX_LIBRARY_GB")
    keep_days: float | None = Field(None, gt=0, validation_alias="DREAMINA_KEEP_DAYS")
    min_free_gb: float = Field(0.5, ge=0, validation_alias="DREAMINA_MIN_FREE_GB")
    visitor_at_once: int | None = Field(None, ge=0, validation_alias="DREAMINA_VISITOR_JOBS_AT_ONCE")
    visitor_per_day: int | None = Field(None, ge=0, validation_alias="DREAMINA_VISITOR_JOBS_PER_DAY")
    address_at_once: int | None = Field(None, ge=0, validation_alias="DREAMINA_ADDRESS_JOBS_AT_ONCE")
    address_per_day: int | None = Field(None, ge=0, validation_alias="DREAMINA_ADDRESS_JOBS_PER_DAY")
    at_once: int | None = Field(None, ge=0, validation_alias="DREAMINA_JOBS_AT_ONCE")
    per_day: int | None = Field(None, ge=0, validation_alias="DREAMINA_JOBS_PER_DAY")
    usd_per_day: float | None = Field(None, ge=0, validation_alias="DREAMINA_USD_PER_DAY")
    usd_per_month: float | None = Field(None, ge=0, validation_alias="DREAMINA_USD_PER_MONTH")
    price_usd: float | None = Field(None, ge=0, validation_alias="DREAMINA_PRICE_USD")
    low_balance_usd: float = Field(1.0, ge=0, validation_alias="DREAMINA_LOW_BALANCE_USD")
    require_own_key: bool = Field(False, validation_alias="DREAMINA_REQUIRE_OWN_KEY")
    declared_shared: bool = Field(False, validation_alias="DREAMINA_SHARED")
    owner_password: SecretStr | None = Field(None, min_length=8, validation_alias="DREAMINA_OWNER_PASSWORD")
    wants_metrics: bool = Field(False, validation_alias="DREAMINA_METRICS")
    metrics_token: SecretStr | None = Field(None, validation_alias="DREAMINA_METRICS_TOKEN")
    security_contact: str = Field("", validation_alias="DREAMINA_SECURITY_CONTACT")
    auth: SecretStr = Field(SecretStr(""), validation_alias="DREAMINA_AUTH")
    auth_file: Path | None = Field(None, validation_alias="DREAMINA_AUTH_FILE")
    owners: Annotated[frozenset[str], NoDecode] = Field(frozenset(), validation_alias="DREAMINA_OWNERS")
    trusted_proxies: Annotated[frozenset[str] | None, NoDecode] = Field(
        None, validation_alias="DREAMINA_TRUSTED_PROXIES"
    )
    share_link: str = Field("", validation_alias="GRADIO_SHARE")
    mcp_server: str = Field("", validation_alias="GRADIO_MCP_SERVER")
    server_name: str = Field("", validation_alias="GRADIO_SERVER_NAME")
    root_path: str = Field("", validation_alias="GRADIO_ROOT_PATH")
    space_id: str = Field("", validation_alias="SPACE_ID")
    space_host: str = Field("", validation_alias="SPACE_HOST")
    system: str = Field("", validation_alias="SYSTEM")
    oauth_client_id: str = Field("", validation_alias="OAUTH_CLIENT_ID")
    ca_bundle: Path | None = Field(
        None, validation_alias=AliasChoices("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
    )
    certificate_folders: str = Field("", validation_alias="SSL_CERT_DIR")
    log_level: str = Field("INFO", validation_alias="DREAMINA_LOG_LEVEL", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    log_format: str = Field("text", validation_alias="DREAMINA_LOG_FORMAT", pattern="^(text|json)$")

    @field_validator("api_token")
    @classmethod
    def _token_fits_a_header(cls, token: SecretStr | None) -> SecretStr | None:
        text = token.get_secret_value() if token else ""
        if not all("!" <= character <= "~" for character in text):
            raise ValueError("must be printable ASCII without spaces; copy it again, without quotes or line ends")
        if text and (text[0] in _QUOTES or text[-1] in _QUOTES):
            raise ValueError(_QUOTED)
        if _PLACEHOLDER.match(text):
            raise ValueError("must be the token itself, not a placeholder, a variable or an assignment")
        return token

    @field_validator("chosen_data_dir", "models_dir", "auth_file", "ca_bundle")
    @classmethod
    def _home_is_expanded(cls, path: Path | None) -> Path | None:
        path = Path(str(path).strip()) if path else None  # docker's --env-file takes these, too
        if path and str(path)[0] in _QUOTES:
            raise ValueError(_QUOTED)
        try:
            expanded = Path(os.path.expandvars(path)).expanduser() if path else None
        except RuntimeError:
            raise ValueError("begins with ~, and there is no home folder; write the whole path") from None
        if expanded and (str(expanded).startswith("$") or re.match(r"%\w+%", str(expanded))):
            raise ValueError("begins with a variable that is not set; write the whole path")
        return expanded

    @field_validator("api_base_url")
    @classmethod
    def _base_url_is_safe(cls, url: str) -> str:
        parts = urlsplit(url)
        if "@" in parts.netloc or parts.query or parts.fragment or not parts.hostname:
            raise ValueError("must be a URL such as https://model-api.runcomfy.net")
        if "[" in parts.netloc:
            ipaddress.IPv6Address(parts.hostname)  # Python 3.10 takes anything between the brackets
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
            raise ValueError("must begin with https://; http:// would show the token, and is for this machine only")
        return url.rstrip("/")

    @field_validator("public_url")
    @classmethod
    def _public_url_is_one(cls, url: str, info: ValidationInfo) -> str:
        if not url:
            return url
        parts = urlsplit(url)
        if "@" in parts.netloc or parts.query or parts.fragment or not parts.hostname:
            raise ValueError("must be a URL such as https://pictures.example.com")
        api_is_here = not info.data.get("api_token") or is_loopback(
            urlsplit(info.data.get("api_base_url", "")).hostname or ""
        )
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname) and api_is_here):
            raise ValueError("must begin with https://; RunComfy fetches pictures from there")
        return url.rstrip("/")

    @field_validator("database_url", "database_listen_url")
    @classmethod
    def _database_is_postgresql(cls, url: SecretStr | None) -> SecretStr | None:
        if url and not url.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("must be a URL such as postgresql://user:password@host/name")
        return url

    @field_validator("media_url")
    @classmethod
    def _media_url_is_a_bucket(cls, url: str) -> str:
        if url and not URL_FORM.fullmatch(url):
            raise ValueError("must be a URL such as s3://bucket or s3://bucket/prefix")
        return url

    @field_validator("s3_endpoint")
    @classmethod
    def _endpoint_is_a_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.query):
            raise ValueError("must be a URL such as https://s3.example.com")
        return url.rstrip("/")

    @field_validator("security_contact")
    @classmethod
    def _contact_is_a_url(cls, contact: str) -> str:
        url = f"mailto:{contact}" if "@" in contact and ":" not in contact else contact
        if url and (not url.startswith(("mailto:", "https://", "tel:")) or not url.isprintable() or " " in url):
            raise ValueError("must be an e-mail address, or a URL that begins with https://, mailto: or tel:")
        return url

    @field_validator("media_hosts", mode="before")
    @classmethod
    def _hosts_are_a_list(cls, hosts: object) -> object:
        if isinstance(hosts, str):
            return frozenset(host.strip().lower() for host in hosts.split(",") if host.strip())
        return hosts

    @field_validator("owners", mode="before")
    @classmethod
    def _owners_are_a_list(cls, owners: object) -> object:
        return frozenset(filter(None, map(str.strip, owners.split(",")))) if isinstance(owners, str) else owners

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _proxies_are_networks(cls, proxies: object) -> object:
        if not isinstance(proxies, str):
            return proxies
        names = [name.strip() for name in proxies.split(",") if name.strip()]
        try:
            return frozenset(str(ipaddress.ip_network(name, strict=False)) for name in names if name != "none")
        except ValueError:
            raise ValueError("must be IP addresses or networks such as 127.0.0.1,10.0.0.0/8, or none") from None

    @field_validator("*", mode="before")
    @classmethod
    def _value_has_no_quotes(cls, value: object) -> object:
        # The last validator of a value is the first that sees it.
        text = value.strip() if isinstance(value, str) else ""
        if len(text) > 1 and text[0] == text[-1] and text[0] in _QUOTES:
            raise ValueError(_QUOTED)
        return value

    @property
    def certificates(self) -> Path | None:
        """The CA certificates that the environment names, a file or a folder; None for those of `certifi`.

        `SSL_CERT_DIR` may name several folders, also some that are not there: the first that has certificates counts.
        """
        folders = [Path(name) for name in self.certificate_folders.split(os.pathsep) if name]
        return self.ca_bundle or next(filter(has_certificates, folders), None)

    @property
    def believed_proxies(self) -> frozenset[str]:
        """The proxies whose word on a client's IP address and scheme counts, as networks.

        By default nobody's; a Space is reached through Hugging Face's own proxies only, which have private addresses,
        and a share link through Gradio's tunnel, which ends on this machine.
        """
        if self.trusted_proxies is not None:
            return self.trusted_proxies
        return PRIVATE if self.space_id else LOOPBACK if self.wants_share_link else frozenset()

    @property
    def reachable_url(self) -> str:
        """The page's URL as the service reaches it, without a slash at the end; "" if none is known before the start.

        A Space tells its host; a share link is known only later.
        """
        is_space = bool(self.space_id) and re.fullmatch(r"[a-z0-9.-]+\.hf\.space", self.space_host)
        return self.public_url or (f"https://{self.space_host}" if is_space else "")

    @property
    def frame_sites(self) -> tuple[str, ...]:
        """The other sites that may show the page in a frame."""
        return ("https://huggingface.co", "https://*.hf.space") if self.space_id else ()

    @property
    def data_dir(self) -> Path:
        """Where everything is kept; unless the owner chose, on a Space its persistent storage if it has one."""
        if self.chosen_data_dir is not None:
            return self.chosen_data_dir
        return SPACE_STORAGE if self.space_id and os.access(SPACE_STORAGE, os.W_OK) else Path("data")

    @property
    def image_origin(self) -> str:
        """Where browsers are sent for images, besides this site; "" for nowhere."""
        if self.bucket is None or self.media_serve != "redirect":
            return ""
        parts = urlsplit(origin_of(self.bucket))
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def bucket(self) -> BucketAccess | None:
        """The bucket of all images; None if they are in the data folder."""
        if not self.media_url:
            return None
        return BucketAccess(
            self.media_url,
            endpoint=self.s3_endpoint or self.aws_endpoint,
            region=self.s3_region or self.aws_region or "us-east-1",
            key_id=self.aws_key_id.get_secret_value(),
            secret=self.aws_secret.get_secret_value(),
            session_token=self.aws_session_token.get_secret_value(),
        )

    @property
    def keeps_data(self) -> bool:
        """Whether the data folder is still there after a restart: a Space forgets all but its persistent storage."""
        return not self.space_id or is_stored_by_space(self.data_dir)

    @property
    def wants_share_link(self) -> bool:
        """Whether Gradio is to open a share link; Gradio itself knows only `true`."""
        return self.share_link.lower() in ("true", "1")

    @property
    def wants_tools(self) -> bool:
        """Whether assistants may use the endpoints as MCP tools."""
        return self.mcp_server.lower() in ("true", "1")

    @property
    def offers_hugging_face(self) -> bool:
        """Whether people may sign in with Hugging Face: on a Space whose README says so.

        Elsewhere Gradio would stage a sign-in that makes everybody the same person.
        """
        return self.system == "spaces" and bool(self.space_id and self.oauth_client_id)

    @property
    def is_shared(self) -> bool:
        """Whether others than the person at this machine may reach the page."""
        elsewhere = bool(self.server_name) and not is_loopback(self.server_name)
        has_logins = bool(self.auth.get_secret_value() or self.auth_file)
        is_public = self.public_url.startswith("https:")
        is_offered = self.declared_shared or self.wants_share_link or has_logins or is_public
        return is_offered or elsewhere or bool(self.trusted_proxies or self.root_path or self.space_id)

    @property
    def has_path_only(self) -> bool:
        """Whether the page lies below a path of its site, where others may lie, too."""
        return bool(urlsplit(self.root_path).path.strip("/"))

    @property
    def uses_sandbox(self) -> bool:
        """Whether the embedded sandbox stands in for RunComfy."""
        return self.api_token is None and not self.require_own_key


def read_settings() -> Settings:
    """Read the environment.

    Raises:
        SettingsError: a variable has an impossible value; the message names it and never shows a token.
    """
    try:
        return Settings()
    except ValidationError as exc:
        lines = []
        for error in exc.errors(include_input=False, include_url=False, include_context=False):
            name = str(error["loc"][0])
            names = " or ".join(TOKEN_VARIABLES) if name in TOKEN_VARIABLES else name
            lines.append(f"{names}: {error['msg'].removeprefix('Value error, ')}")
        raise SettingsError("\n".join(lines)) from None


def forget_secrets() -> None:
    """Take the secrets out of the environment, which every program inherits that this one starts."""
    for name in [name for name in os.environ if name.upper() in SECRET_VARIABLES]:
        del os.environ[name]


def is_stored_by_space(folder: Path, storage: Path = SPACE_STORAGE) -> bool:
    """Whether a folder lies in a Space's persistent storage, which is a disk of its own; an image may have a folder of
    the same name."""
    return os.path.ismount(storage) and folder.resolve().is_relative_to(storage)


def has_certificates(folder: Path) -> bool:
    """Whether OpenSSL would find certificates in a folder: it goes by the names that `openssl rehash` gives."""
    with suppress(OSError):
        return any(re.fullmatch(r"[0-9a-f]{8}\.[0-9]+", path.name) for path in folder.iterdir())
    return False


def is_loopback(host: str) -> bool:
    """Whether a host name or IP address means this machine."""
    return len(host) <= _MAX_HOST_LENGTH and _is_loopback(host)


@lru_cache(maxsize=4096)  # every request asks, many times
def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
