"""Settings -> the parts below the page, wired together; for app.py and for the command line."""

from __future__ import annotations

import logging
import os
import secrets
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from dreamina_ui.api.call_stats import ApiCalls
from dreamina_ui.api.client import RunComfy
from dreamina_ui.batches.dispatcher import Dispatcher
from dreamina_ui.batches.store import BatchStore
from dreamina_ui.errors import SettingsError, StorageError
from dreamina_ui.jobs.services import JobServices
from dreamina_ui.ledger.job import SANDBOX_ORIGIN
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.sharing.sign_ins import SignInStore
from dreamina_ui.library.boards import Boards
from dreamina_ui.library.erasure import Erasure
from dreamina_ui.library.history_export import HistoryExport
from dreamina_ui.library.history_import import HistoryImport, ImportTasks
from dreamina_ui.library.input_images import InputImages
from dreamina_ui.library.late_colors import LateColors
from dreamina_ui.library.library import Library
from dreamina_ui.library.prompt_tools import PromptTools
from dreamina_ui.library.retention import Retention
from dreamina_ui.library.sent_inputs import SentInputs
from dreamina_ui.library.shares import Shares
from dreamina_ui.library.superseded import SupersededFiles
from dreamina_ui.media.bucket import Bucket, BucketError
from dreamina_ui.media.decoding.workers import DecodeWorkers
from dreamina_ui.media.fetching.connection import trusted_certificates
from dreamina_ui.media.fetching.fetch import OutputFetcher
from dreamina_ui.media.fetching.proxies import Proxy, environment_proxy
from dreamina_ui.media.fetching.reachability import Reachability
from dreamina_ui.media.fetching.ssrf_guard import UrlGuard
from dreamina_ui.media.folder_store import FolderStore
from dreamina_ui.media.input_files import InputFiles
from dreamina_ui.media.input_store import BucketInputs, FolderInputs, InputStore
from dreamina_ui.media.input_thumbnails import BucketThumbnails, FolderThumbnails, ThumbnailStore
from dreamina_ui.media.late_copies import LateCopies
from dreamina_ui.media.object_store import ObjectStore
from dreamina_ui.media.signed_urls import SignedUrls, read_secret
from dreamina_ui.media.store import MediaStore
from dreamina_ui.models.schema import MODELS_FOLDER, Model, load_models
from dreamina_ui.ops.data_dir import DataDir
from dreamina_ui.ops.health import Health
from dreamina_ui.ops.metrics import Metrics
from dreamina_ui.sandbox.catalog import sample_models
from dreamina_ui.sandbox.server import Sandbox
from dreamina_ui.settings import ACCOUNT_URL, RUNCOMFY_URL, Settings
from dreamina_ui.spending.accounts import Accounts
from dreamina_ui.spending.costs import Costs
from dreamina_ui.spending.limits import CAUTIOUS, CAUTIOUS_IN_SANDBOX, Limits, SpendingGuard

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Personal:
    """What visitors make of their images and prompts."""

    boards: Boards
    shares: Shares
    prompts: PromptTools
    history_export: HistoryExport
    imports: ImportTasks
    erasure: Erasure


@dataclass(frozen=True)
class Shared:
    """What the page needs of what servers share, besides the ledger and the images."""

    sign_ins: SignInStore
    bucket: Bucket


@dataclass(frozen=True)
class Services:
    """Everything below the page.

    `model` is what it shows first, `metrics` None unless the owner wants them, `sandbox` None when RunComfy is used.
    `installation_id` tells installations on one host apart, `requester_secret` hashes who sends a request.
    `shared` is what several servers share; None for one.
    """

    job_services: JobServices
    model: Model
    library: Library
    personal: Personal
    costs: Costs
    batches: BatchStore
    dispatcher: Dispatcher
    links: SignedUrls
    input_images: InputImages
    decoder: DecodeWorkers
    late_copies: LateCopies
    retention: Retention
    health: Health
    metrics: Metrics | None
    sandbox: Sandbox | None
    installation_id: str
    requester_secret: bytes
    shared: Shared | None

    @property
    def sign_in_store(self) -> SignInStore | None:
        return self.shared.sign_ins if self.shared else None

    def start(self) -> None:
        """Pick up unfinished jobs and tidy the library.

        Raises:
            LedgerError, DiskError: the ledger or the disk refuses.
        """
        self.input_images.clean_up()
        log.info("Limits: %s", self.job_services.spending.limits().described())
        self.job_services.start()
        self.dispatcher.start()
        self.retention.start()

    def stop(self, timeout_s: float) -> None:
        """Start nothing new; give what is being sent `timeout_s` seconds to be answered."""
        self.health.drain()
        self.retention.stop()
        self.dispatcher.stop()
        self.job_services.stop(timeout_s)
        self.late_copies.stop()
        self.decoder.stop()
        if self.sandbox:
            self.sandbox.stop()


def build_services(settings: Settings, folder: DataDir) -> Services:
    """Wire the parts; without any token to come, with a sandbox in place of RunComfy.

    Raises:
        DreaminaError: a setting, a model file or the data folder makes it impossible.
        OSError: the data folder refuses.
    """
    _refuse_unshared(settings)
    models = _models(settings)
    network = _network(settings)  # before the client of the API reads the environment
    owner = _owner_api(settings, folder, models, calls := ApiCalls())
    media, thumbnails = _media_stores(settings, folder)
    ledger = _open_ledger(settings, folder)
    library, decoder = Library(ledger, media), DecodeWorkers()
    given = _given_inputs(settings, folder, network, owner.trusted_origins, ledger, thumbnails, decoder)
    job_services = JobServices(
        accounts=accounts(settings, owner.client, ledger, calls),
        models=models,
        catalog_api=owner.client,
        ledger=ledger,
        media=media,
        fetcher=_fetcher(settings, network, media, owner.trusted_origins, decoder),
        guard=SpendingGuard(limits(settings), api_origin(settings), settings.price_usd),
        input_files=given.files,
        sent_inputs=SentInputs(given.images, given.links),
        reachability=network.reachability,
        role=settings.role if settings.database_url else None,
        is_shared=settings.is_shared,
        low_balance_usd=settings.low_balance_usd,
    )
    batches = BatchStore(ledger, job_services.moderation, job_services.clock)
    return Services(
        job_services=job_services,
        model=models[settings.model_id],
        library=library,
        costs=Costs(ledger),
        batches=batches,
        dispatcher=Dispatcher(job_services, batches),
        links=given.links,
        input_images=given.images,
        decoder=decoder,
        late_copies=LateCopies(media, decoder),
        personal=_personal(ledger, library, media, decoder, given.images, job_services.clock),
        retention=_retention(settings, library, ledger, media, thumbnails, job_services, decoder, given.images),
        health=_health(settings, folder, network, ledger, media, owner.client, calls),
        metrics=Metrics(ledger, job_services.guard, calls) if settings.wants_metrics else None,
        sandbox=owner.sandbox,
        installation_id=ledger.secret("installation").hex()[:8],
        requester_secret=ledger.secret("requesters"),
        shared=_shared(settings, ledger, media),
    )


def _shared(settings: Settings, ledger: Ledger, media: MediaStore) -> Shared | None:
    if settings.database_url is None or not isinstance(media, ObjectStore):
        return None
    return Shared(SignInStore(ledger), media.bucket)


def _models(settings: Settings) -> dict[str, Model]:
    models = load_models(MODELS_FOLDER, *([settings.models_dir] if settings.models_dir else []))
    if settings.model_id not in models:
        raise SettingsError(f"DREAMINA_MODEL: there is no model {settings.model_id!r}; there are {', '.join(models)}.")
    return models


def _personal(
    ledger: Ledger,
    library: Library,
    media: MediaStore,
    decoder: DecodeWorkers,
    input_images: InputImages,
    clock: Callable[[], float],
) -> Personal:
    boards, prompts = Boards(ledger, clock), PromptTools(ledger, clock)
    return Personal(
        boards=boards,
        shares=Shares(ledger, clock),
        prompts=prompts,
        history_export=HistoryExport(ledger, media, boards, prompts),
        imports=ImportTasks(HistoryImport(ledger, media, boards, prompts, decoder, clock)),
        erasure=Erasure(ledger, library, input_images, clock),
    )


def _refuse_unshared(settings: Settings) -> None:
    """Refuse a database that several servers can share where the rest of what they need cannot be shared."""
    if settings.database_url is None:
        if settings.role != "all":
            raise SettingsError(f"DREAMINA_ROLE={settings.role} is for several servers: set DREAMINA_DATABASE_URL.")
        return
    if settings.uses_sandbox:
        raise SettingsError(
            "DREAMINA_DATABASE_URL: servers that share a database cannot each have a sandbox inside. Run one on its "
            "own (python -m dreamina_ui.sandbox) and name it by RUNCOMFY_API_BASE_URL, or set RUNCOMFY_API_TOKEN."
        )
    if settings.bucket is None:
        raise SettingsError(
            "DREAMINA_DATABASE_URL: servers that share a database must share the images, too. Set DREAMINA_MEDIA_URL."
        )


def _open_ledger(settings: Settings, folder: DataDir) -> Ledger:
    """The ledger of the settings: a database that servers share, or the file in the data folder."""
    if settings.database_url is None:
        return Ledger(folder.ledger)
    from dreamina_ui.ledger.engines.postgresql import PostgresqlDatabase  # its package is optional

    listen_url = settings.database_listen_url.get_secret_value() if settings.database_listen_url else None
    return Ledger(PostgresqlDatabase(settings.database_url.get_secret_value(), listen_url=listen_url))


def _links_secret(settings: Settings, folder: DataDir, ledger: Ledger) -> bytes:
    """What signed URLs are made with: every server that shares the database must know it."""
    return read_secret(folder.links_secret) if settings.database_url is None else ledger.secret("links")


def _media_stores(settings: Settings, folder: DataDir) -> tuple[MediaStore, ThumbnailStore]:
    """Where outputs and thumbnails of given files are stored: the bucket of DREAMINA_MEDIA_URL, or the data folder."""
    if settings.bucket is None:
        if settings.media_serve != "proxy":
            raise SettingsError(f"DREAMINA_MEDIA_SERVE={settings.media_serve} needs DREAMINA_MEDIA_URL.")
        store = FolderStore(folder.media, min_free_bytes=round(settings.min_free_gb * 1e9))
        if not store.can_sync_folders():
            log.warning("The disk of DREAMINA_DATA_DIR cannot sync folders: power loss may take the newest files.")
        return store, FolderThumbnails(folder.given)
    if settings.media_serve != "proxy" and not (settings.bucket.key_id and settings.bucket.secret):
        raise SettingsError(f"DREAMINA_MEDIA_SERVE={settings.media_serve} signs URLs: it needs AWS_SECRET_ACCESS_KEY.")
    bucket = Bucket(settings.bucket)
    media = ObjectStore(bucket, folder.scratch)
    try:
        media.check_writable()
    except StorageError as exc:
        if isinstance(exc.__cause__, BucketError) and exc.__cause__.is_refusal:
            raise SettingsError(f"DREAMINA_MEDIA_URL: {bucket.name} takes no files: {exc.__cause__}") from None
        log.warning("The media store %s is not there now; nothing is sent until it is: %s", bucket.name, exc)
    return media, BucketThumbnails(bucket, folder.scratch)


def _input_store(settings: Settings, folder: DataDir, thumbnails: ThumbnailStore) -> InputStore:
    """Where given images are stored: beside the outputs."""
    if isinstance(thumbnails, BucketThumbnails):
        return BucketInputs(thumbnails.bucket, folder.scratch)
    return FolderInputs(folder.inputs, min_free_bytes=round(settings.min_free_gb * 1e9))


def _retention(
    settings: Settings,
    library: Library,
    ledger: Ledger,
    media: MediaStore,
    thumbnails: ThumbnailStore,
    job_services: JobServices,
    decoder: DecodeWorkers,
    input_images: InputImages,
) -> Retention:
    max_bytes = settings.max_library_gb * 1e9 if settings.max_library_gb else None
    sweep: Callable[[], object] | None = None
    if isinstance(media, ObjectStore) and isinstance(thumbnails, BucketThumbnails):
        sweep = SupersededFiles(ledger, media, thumbnails).remove
    return Retention(
        library,
        max_bytes=max_bytes,
        keep_days=settings.keep_days,
        sweep=sweep,
        each_round=[
            Erasure(ledger, library, input_images, job_services.clock).finish,
            LateColors(library, media, decoder).fill,
            input_images.remove_old,
        ],
        has_duty=job_services.has_duty,
    )


@dataclass(frozen=True)
class _OwnerApi:
    """The API that the owner's token is for: RunComfy, the sandbox in its place, or none.

    `trusted_origins` may be fetched from though they are not public.
    """

    client: RunComfy | None
    sandbox: Sandbox | None
    trusted_origins: tuple[str, ...]


def _owner_api(settings: Settings, folder: DataDir, models: Mapping[str, Model], calls: ApiCalls) -> _OwnerApi:
    if settings.uses_sandbox:
        token = secrets.token_urlsafe(16)
        sandbox = Sandbox(
            folder.sandbox,
            {**sample_models(), **models},
            token=token,
            queue_s=settings.sandbox_queue_s,
            run_s=settings.sandbox_run_s,
            parallel=settings.sandbox_parallel,
            paints_apart=True,
        )
        base_url = sandbox.start()
        client = RunComfy(base_url, token, account_url=base_url, on_call=calls.record)
        return _OwnerApi(client, sandbox, (settings.api_base_url, base_url))
    if settings.api_token is None:
        return _OwnerApi(None, None, (settings.api_base_url,))
    token = settings.api_token.get_secret_value()
    account_url = ACCOUNT_URL if settings.api_base_url == RUNCOMFY_URL else None
    client = RunComfy(settings.api_base_url, token, account_url=account_url, on_call=calls.record)
    return _OwnerApi(client, None, (settings.api_base_url,))


@dataclass(frozen=True)
class _GivenInputs:
    """The images that visitors give, the URLs by which the service gets them, and the check of files by URL."""

    links: SignedUrls
    images: InputImages
    files: InputFiles


def _given_inputs(
    settings: Settings,
    folder: DataDir,
    network: _Network,
    trusted_origins: Sequence[str],
    ledger: Ledger,
    thumbnails: ThumbnailStore,
    decoder: DecodeWorkers,
) -> _GivenInputs:
    """The allowed hosts are for results: what people give may lie anywhere that is public."""
    secret = _links_secret(settings, folder, ledger)
    links = SignedUrls(settings.public_url, secret, time.time)
    images = InputImages(ledger, _input_store(settings, folder, thumbnails), decoder, time.time)
    local = [origin for origin in trusted_origins if origin.startswith("http:")]
    files = InputFiles(
        thumbnails,
        UrlGuard(exempt_origin=local, named_hosts=settings.media_hosts),
        links,
        find_given=images.facts,
        certificates=network.certificates,
        proxy=network.proxy,
        secret=secret,
        decoder=decoder,
    )
    return _GivenInputs(links, images, files)


def _health(
    settings: Settings,
    folder: DataDir,
    network: _Network,
    ledger: Ledger,
    media: MediaStore,
    owner: RunComfy | None,
    calls: ApiCalls,
) -> Health:
    # Whether the API is there can be asked without a key that it takes.
    client = owner or RunComfy(settings.api_base_url, "no-key", on_call=calls.record)
    files = None if settings.uses_sandbox else network.reachability
    if files:
        files.start()
    probe = partial(client.price, settings.model_id, attempts=1)
    bucket = media if isinstance(media, ObjectStore) else None
    return Health(ledger, folder.path, calls, probe, files, check_bucket=bucket.check_writable if bucket else None)


@dataclass(frozen=True)
class _Network:
    """How files are fetched from other machines."""

    certificates: ssl.SSLContext
    proxy: Proxy | None
    reachability: Reachability


def _network(settings: Settings) -> _Network:
    certificates = trusted_certificates(str(settings.certificates) if settings.certificates else None)
    if settings.certificates:
        os.environ["REQUESTS_CA_BUNDLE"] = str(settings.certificates)  # the client of the API reads this name only
    proxy, unused_proxy = None, ""
    try:
        proxy = environment_proxy()
    except ValueError as exc:
        unused_proxy = str(exc)
        log.warning("%s; files are fetched without it. Use an http:// or a socks5:// proxy.", exc)
    reachability = Reachability(
        settings.api_base_url,
        media_hosts=settings.media_hosts,
        certificates=certificates,
        proxy=proxy,
        unused_proxy=unused_proxy,
    )
    return _Network(certificates, proxy, reachability)


def _fetcher(
    settings: Settings, network: _Network, media: MediaStore, trusted_origins: Sequence[str], decoder: DecodeWorkers
) -> OutputFetcher:
    hosts = settings.media_hosts
    guard = UrlGuard(exempt_origin=trusted_origins, allowed_hosts=hosts, named_hosts=hosts)
    return OutputFetcher(media, guard, certificates=network.certificates, proxy=network.proxy, decoder=decoder)


def build_job_services(settings: Settings, token: str, ledger: Ledger, media: MediaStore) -> JobServices:
    """What follows requests of the owner's account, for a program without a page and without visitors.

    Raises:
        SettingsError: a setting makes it impossible.
    """
    network = _network(settings)
    connect = partial(RunComfy, settings.api_base_url)
    return JobServices(
        accounts=Accounts(connect(token), settings.api_base_url, secret=b"", connect=connect),
        models=load_models(),
        ledger=ledger,
        media=media,
        fetcher=_fetcher(settings, network, media, [settings.api_base_url], DecodeWorkers()),
    )


def limits(settings: Settings) -> Limits:
    """The owner's limits: where strangers can reach the page, cautious ones for all that is not set.

    None where visitors pay for themselves.
    """
    if settings.require_own_key:
        return Limits()
    cautious = CAUTIOUS_IN_SANDBOX if settings.uses_sandbox else CAUTIOUS
    basis = cautious if settings.is_shared else Limits()
    chosen = {name: getattr(settings, name) for name in vars(basis) if getattr(settings, name) is not None}
    return replace(basis, **chosen)


def accounts(settings: Settings, owner: RunComfy | None, ledger: Ledger, calls: ApiCalls) -> Accounts:
    """The owner's account, and a place for visitors' keys, which are for RunComfy also where the owner has none."""
    return Accounts(
        owner,
        api_origin(settings),
        secret=ledger.secret("key_marks"),
        connect=partial(RunComfy, settings.api_base_url, on_call=calls.record),
        key_origin=settings.api_base_url,
        requires_own_key=settings.require_own_key,
    )


def api_origin(settings: Settings) -> str:
    """The name of the API in the ledger; a job is never asked of another one."""
    return SANDBOX_ORIGIN if settings.uses_sandbox else settings.api_base_url
