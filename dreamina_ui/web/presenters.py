"""A job as JSON: the object that programs get, and the card that the page shows."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

from dreamina_ui.jobs.reader import JobReader
from dreamina_ui.ledger.job import SANDBOX_ORIGIN, Job, Output, input_key, iso
from dreamina_ui.library.library import Entry
from dreamina_ui.library.naming import file_name, prompt_of
from dreamina_ui.media.decoding.copies import tiers_of
from dreamina_ui.media.early_previews import EarlyPreviews
from dreamina_ui.media.formats import SHOWN_MEDIA_TYPES
from dreamina_ui.media.input_files import InputFiles, given_urls
from dreamina_ui.media.store import TIERS
from dreamina_ui.models.fields import Field
from dreamina_ui.models.schema import Model
from dreamina_ui.models.sizes import parse_size
from dreamina_ui.models.units import SINGLE_KEY, asked_files
from dreamina_ui.spending.accounts import Accounts
from dreamina_ui.spending.limits import MAX_FILES
from dreamina_ui.web.i18n.job_texts import action_of, message, state_text
from dreamina_ui.web.i18n.translate import field_texts, file_size, number, translate
from dreamina_ui.web.paths import FILES, PREFIX, THUMBNAILS, UPLOADS, WITH_SETTINGS

_ALT_KEYS = {"image": "picture_alt", "video": "video_label", "file": "file_label"}
MAX_CARDS_CHARACTERS = 100_000
MAX_CUT_CHARACTERS = 300
MAX_ALT_CHARACTERS = 1000
"""How much of the prompt describes each of a job's images: a card has the whole prompt once."""


class JobPresenter:
    """Makes JSON of jobs.

    Args:
        models: by model_id.
        input_files: knows the thumbnails of files that were given by URL; None if nobody does.
        clock: gives the time, in seconds since 1970.
        early_previews: knows the previews of images that are still arriving; None if nobody does.
    """

    def __init__(
        self,
        reader: JobReader,
        accounts: Accounts,
        models: Mapping[str, Model],
        input_files: InputFiles | None = None,
        clock: Callable[[], float] = time.time,
        early_previews: EarlyPreviews | None = None,
    ) -> None:
        self._reader = reader
        self._accounts = accounts
        self._models = models
        self._input_files = input_files
        self._clock = clock
        self._early_previews = early_previews

    def to_object(self, job: Job, root: str) -> dict[str, Any]:
        """The object that `/generate`, `/job` and `/cancel` give; its keys are stable.

        Args:
            root: the URL of the page, without a slash at the end; file URLs begin with it.

        Returns:
            `{"job_id": str, ..., "images": [{"index": int, "original_url": str, ...}], "videos": [...]}`;
            times are ISO 8601 in UTC, `elapsed_s` seconds, sizes pixels and bytes. Only stored files are listed; what
            is no video stands among the images.
        """
        message = self._message(job, "en", for_owner=False)
        detail = job.detail if job.detail and job.detail not in message else ""
        return {
            "job_id": job.job_id,
            "request_id": job.request_id,
            "model_id": job.model_id,
            "inputs": dict(job.inputs),
            "state": job.state,
            "status": job.status,
            "queue_position": job.queue_position,
            "message": " ".join(filter(None, (f"{state_text(job, 'en')}.", message, detail))),
            "created_at": iso(job.created_at),
            "updated_at": iso(job.updated_at),
            "elapsed_s": round(job.elapsed_s(self._clock()), 3),
            "cost_usd": job.cost_usd,
            "images": [_file_object(job, output, root) for output in _stored(job, "image", "file")],
            "videos": [_file_object(job, output, root) for output in _stored(job, "video")],
        }

    def card(self, job: Job, language: str, *, for_owner: bool) -> dict[str, Any]:
        """What the page shows of a job: words in the reader's language, URLs relative to `/dreamina/`.

        Args:
            for_owner: whether the owner reads it, whose token pays; others are offered a key of their own.
        """
        now = self._clock()
        prompt = prompt_of(job)
        active = self._reader.is_active(job)
        is_ours = self._accounts.is_ours(job)
        action = action_of(job, for_owner=for_owner)
        run_s = max(0.0, now - job.started_at) if job.state == "running" and job.started_at else None
        run_times = self._reader.run_time_model(job)
        fields = self._models[job.model_id].fields if job.model_id in self._models else ()
        return {
            "job_id": job.job_id,
            "version": job.version,
            "state": job.state,
            "active": active,
            "created_at": job.created_at,
            "prompt": prompt,
            "prompt_cut": False,
            "model_id": job.model_id,
            "model": self._model_title(job),
            "parameters": {field.parameter: job.inputs[field.key] for field in fields if field.key in job.inputs},
            "settings": self.settings_text(job.model_id, job.inputs, language),
            "given": self._given_thumbnails(job),
            "state_text": state_text(job, language),
            "message": self._message(job, language, for_owner=for_owner),
            "action": action if is_ours else "none",
            "detail": job.detail or "",
            "elapsed_s": job.elapsed_s(now),
            "run_s": run_s,
            "expected_s": run_times.expected_total_s(run_s) if run_s is not None else None,
            "expected": _expected(fields, job.inputs),
            "retry_in_s": self._reader.retry_wait_s(job) if action == "try_again" else 0.0,
            "can_cancel": active and job.state in ("submitting", "queued", "running"),
            "cancelling": bool(job.cancel_requested_at and not job.cancel_outcome),
            "can_fetch_again": action == "retry_download" and is_ours,
            "request_id": job.request_id,
            "cost_usd": job.cost_usd,
            "cost_is_unknown": job.cost_is_unknown,
            "is_play": job.api_origin == SANDBOX_ORIGIN,
            "own_key": job.key_fingerprint is not None,
            "put_aside": job.archived_at is not None,
            "can_archive": self._reader.can_archive(job, now),
            "is_unclear": job.state == "submit_unclear" and is_ours,
            "outputs": self._output_cards(job, prompt[:MAX_ALT_CHARACTERS], language),
        }

    def cards(self, jobs: Sequence[Job], language: str, *, for_owner: bool) -> list[dict[str, Any]]:
        """The cards of some jobs, in their order; `for_owner` as for `card`.

        Together they have at most `MAX_CARDS_CHARACTERS` of inputs. Cards after that have the beginning of the prompt,
        `"prompt_cut": true` and no parameters; `details` has all of it.
        """
        cards, left = [], MAX_CARDS_CHARACTERS
        for job in jobs:
            left -= sum(len(str(value)) for value in job.inputs.values())
            card = self.card(job, language, for_owner=for_owner)
            cards.append(card if left >= 0 or len(jobs) == 1 else _shortened(card))
        return cards

    def details(self, job: Job, language: str, *, for_owner: bool) -> dict[str, Any]:
        """A card with the times of the job; `for_owner` as for `card`."""
        times = {name: getattr(job, name) for name in ("accepted_at", "started_at", "completed_at", "finished_at")}
        return self.card(job, language, for_owner=for_owner) | times

    def settings_text(self, model_id: str, inputs: Mapping[str, Any], language: str) -> str:
        """The inputs other than the prompt in one line, such as `2048 × 2048 · 1:1 · 4 MP, Scale 0.5`."""
        model = self._models.get(model_id)
        parts = []
        for field in model.fields if model else ():
            value = inputs.get(field.key)
            title, _ = field_texts(field, language)
            parts.append(field.kind.describe(field, value, title, partial(number, language)))
        return ", ".join(filter(None, parts))

    def has_given_files(self, job: Job) -> bool:
        """Whether a job was given files; then its card looks for their thumbnails on the disk."""
        return next(self._given_urls(job), None) is not None

    def given_thumbnail(self, url: str, visitor_id: str | None) -> str | None:
        """The URL of a thumbnail of a visitor's file, relative to `/dreamina/`; None if there is none."""
        if key := input_key(url):
            return f"{UPLOADS}/{key}.webp"
        shown = self._input_files.shown(url, visitor_id) if self._input_files else None
        return f"{THUMBNAILS}/{shown}.webp" if shown else None

    def _given_thumbnails(self, job: Job) -> list[str]:
        thumbnails = (self.given_thumbnail(url, job.visitor_id) for url in self._given_urls(job))
        return [thumbnail for thumbnail in thumbnails if thumbnail]

    def _given_urls(self, job: Job) -> Iterator[str]:
        model = self._models.get(job.model_id)
        if model is not None and self._input_files is not None:
            yield from (url for _, _, url in given_urls(model, job.inputs))

    def _output_cards(self, job: Job, alt: str, language: str) -> list[dict[str, Any]]:
        """The cards of all outputs that nobody deleted; of one that is still arriving, with its early preview."""
        shown = [output for output in job.outputs if output.state != "deleted" and output.deleted_at is None]
        return [_output_card(job, output, alt, language) | self._early_preview(job, output) for output in shown]

    def _early_preview(self, job: Job, output: Output) -> dict[str, str]:
        if self._early_previews is None or output.state != "pending":
            return {}
        preview = self._early_previews.find(job.job_id, output.index)
        return {"early_preview": f"data:image/webp;base64,{b64encode(preview).decode()}"} if preview else {}

    def _message(self, job: Job, language: str, *, for_owner: bool) -> str:
        return message(job, self._accounts.origin_of(job), language, for_owner=for_owner)

    def _model_title(self, job: Job) -> str:
        """What to call a job's model where there are several; "" where there is one only, or nobody knows."""
        model = self._models.get(job.model_id)
        if model is None:
            return job.model_id
        return model.title if len(self._models) > 1 else ""


def _expected(fields: Sequence[Field], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """How many images a job is expected to bring, and in which size where its inputs say so.

    A model without a switch for a single image makes one.
    """
    has_switch = any(field.key == SINGLE_KEY for field in fields)
    size = next(filter(None, (parse_size(inputs.get(field.key)) for field in fields)), None)
    width, height = size or (None, None)
    files = asked_files(inputs) or (MAX_FILES if has_switch else 1)
    return {"files": files, "width": width, "height": height}


def _shortened(card: Mapping[str, Any]) -> dict[str, Any]:
    outputs = [{**output, "alt": output["alt"][:MAX_CUT_CHARACTERS]} for output in card["outputs"]]
    prompt = card["prompt"][:MAX_CUT_CHARACTERS]
    return {**card, "prompt": prompt, "prompt_cut": True, "parameters": {}, "outputs": outputs}


def settings_object(job: Job) -> dict[str, Any]:
    """What a copy "with settings" carries, and what the page reads back from it."""
    return {
        "app": "Dreamina UI",
        "model_id": job.model_id,
        "request_id": job.request_id,
        "inputs": dict(job.inputs),
        "created_at": iso(job.created_at),
    }


def library_entry(entry: Entry, language: str) -> dict[str, Any]:
    """One entry of the library; small, as a page has many."""
    job, output = entry.job, entry.output
    card: dict[str, Any] = {
        "job_id": job.job_id,
        "state": job.state,
        "prompt": prompt_of(job)[:120],
        "created_at": job.created_at,
    }
    if output is None:
        return card | {"state_text": state_text(job, language), "put_aside": job.archived_at is not None}
    kind = _shown_kind(output)
    facts = {"facts": _facts(output, language)} if kind == "file" else {}
    return (
        card
        | facts
        | {
            "file_key": output.file_key,
            "index": output.index,
            "kind": kind,
            **_library_urls(job, output),
            "alt": translate(language, _ALT_KEYS[kind], number=output.index + 1, prompt=prompt_of(job)[:120]),
            "favourite": output.favorite_at is not None,
            "deleted": output.deleted_at is not None,
            "rating": output.rating or 0,
            "width": output.width,
            "height": output.height,
        }
    )


def _library_urls(job: Job, output: Output) -> dict[str, str]:
    urls = _copy_urls(job, output, TIERS if output.kind == "image" else ("original",))
    if output.deleted_at is None:
        return urls
    return {tier: f"{url}?deleted=1" for tier, url in urls.items() if tier != "large"}


def _stored(job: Job, *kinds: str) -> list[Output]:
    return [
        output
        for output in job.outputs
        if output.kind in kinds and output.state == "kept" and output.deleted_at is None
    ]


def _shown_kind(output: Output) -> str:
    """What the page shows an output as: an image that browsers cannot show, such as a TIFF, is a file."""
    is_shown = output.media_type is None or output.media_type in SHOWN_MEDIA_TYPES
    return output.kind if is_shown else "file"


def file_url(job: Job, output: Output, tier: str) -> str:
    """The URL of a tier of an output, relative to `/dreamina/`."""
    return f"{FILES}/{output.file_key}/{tier}/{quote(file_name(job, output, tier))}"


def _copy_urls(job: Job, output: Output, tiers: Iterable[str]) -> dict[str, str]:
    """URLs of an image by tier; a small image has no large copy, and its preview is as good."""
    existing = ("original", *tiers_of(output.width or 0, output.height or 0))
    return {tier: file_url(job, output, tier if tier in existing else "preview") for tier in tiers}


def _file_object(job: Job, output: Output, root: str) -> dict[str, Any]:
    copies = _copy_urls(job, output, ("large", "preview")) if output.kind == "image" else {}
    original = file_url(job, output, "original")
    return {
        "index": output.index,
        "original_url": f"{root}/{PREFIX}/{original}",
        "large_url": f"{root}/{PREFIX}/{copies.get('large', original)}",
        "preview_url": f"{root}/{PREFIX}/{copies.get('preview', original)}",
        "width": output.width,
        "height": output.height,
        "format": output.format,
        "size_bytes": output.size_bytes,
        "sha256": output.sha256,
    }


def _output_card(job: Job, output: Output, prompt: str, language: str) -> dict[str, Any]:
    card = {
        "index": output.index,
        "kind": _shown_kind(output),
        "state": output.state,
        "file_key": output.file_key,
        "favourite": output.favorite_at is not None,
        "rating": output.rating or 0,
        "sha256": output.sha256,
    }
    if output.state == "kept":
        return card | _stored_output_card(job, output, prompt, language)
    alt = translate(language, f"{output.state}_output", number=output.index + 1)
    facts = output.note or ""
    return card | {"alt": alt, "facts": file_size(language, int(facts)) if facts.isdecimal() else facts}


def _stored_output_card(job: Job, output: Output, prompt: str, language: str) -> dict[str, Any]:
    alt = translate(language, _ALT_KEYS[_shown_kind(output)], number=output.index + 1, prompt=prompt)
    urls = _copy_urls(job, output, TIERS if output.kind == "image" else ("original",))
    if job.inputs and output.format in ("PNG", "JPEG", "WEBP"):
        urls["with_settings"] = file_url(job, output, WITH_SETTINGS)
    sizes = {"width": output.width, "height": output.height}
    return {**urls, **sizes, "alt": alt, "facts": _facts(output, language)}


def _facts(output: Output, language: str) -> str:
    """What there is to know of a stored file, such as `2048 × 2048 · PNG · 5.4 MB`."""
    pixels = f"{output.width} × {output.height}" if output.width else ""
    parts = (pixels, str(output.format or ""), file_size(language, output.size_bytes or 0))
    return " · ".join(filter(None, parts))
