"""A job as JSON: the object that programs get, and the card that the page shows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import quote

from dreamina_ui.jobs.service import Studio
from dreamina_ui.ledger.job import SANDBOX_ORIGIN, Job, Output, iso
from dreamina_ui.library.library import Entry
from dreamina_ui.library.naming import file_name, prompt_of
from dreamina_ui.media.input_files import InputFiles, given_urls
from dreamina_ui.web.i18n.translate import file_size, message, number, state_text, translate
from dreamina_ui.web.paths import FILES, PREFIX, THUMBNAILS, WITH_SETTINGS


def job_object(studio: Studio, job: Job, root: str, now: float) -> dict[str, Any]:
    """The object that `/generate`, `/job` and `/cancel` give; its keys are stable.

    Args:
        root: the address of the page, without a slash at the end; file addresses begin with it.
        now: the time, in seconds since 1970.

    Returns:
        `{"job_id": str, ..., "images": [{"index": int, "original_url": str, ...}], "videos": [...]}`;
        times are ISO 8601 in UTC, `elapsed_s` seconds, sizes pixels and bytes. Only files that are kept are listed.
    """
    return {
        "job_id": job.job_id,
        "request_id": job.request_id,
        "model_id": job.model_id,
        "inputs": dict(job.inputs),
        "state": job.state,
        "status": job.status,
        "queue_position": job.queue_position,
        "message": " ".join(filter(None, (state_text(job, "en") + ".", _message(studio, job, "en"), job.detail))),
        "created_at": iso(job.created_at),
        "updated_at": iso(job.updated_at),
        "elapsed_s": round(job.elapsed_s(now), 3),
        "cost_usd": job.cost_usd,
        "images": [_file_object(job, output, root) for output in job.outputs if _is_kept(output, "image")],
        "videos": [_file_object(job, output, root) for output in job.outputs if _is_kept(output, "video")],
    }


def job_card(studio: Studio, job: Job, language: str, now: float) -> dict[str, Any]:
    """What the page shows of a job: words in the visitor's language, addresses relative to `/dreamina/`."""
    prompt = prompt_of(job)
    active = studio.is_active(job)
    run_s = max(0.0, now - job.started_at) if job.state == "running" and job.started_at else None
    fields = studio.models[job.model_id].fields if job.model_id in studio.models else ()
    return {
        "job_id": job.job_id,
        "version": job.version,
        "state": job.state,
        "active": active,
        "created_at": job.created_at,
        "prompt": prompt,
        "model_id": job.model_id,
        "model": model_name(studio, job),
        "parameters": {field.parameter: job.inputs[field.key] for field in fields if field.key in job.inputs},
        "settings": settings_of(studio, job, language),
        "given": given_thumbnails(studio, job),
        "state_text": state_text(job, language),
        "message": _message(studio, job, language),
        "detail": job.detail or "",
        "elapsed_s": job.elapsed_s(now),
        "run_s": run_s,
        "expected_s": studio.law(job).expected_total_s(run_s) if run_s is not None else None,
        "can_cancel": active and job.state in ("submitting", "queued", "running"),
        "cancelling": bool(job.cancel_requested_at and not job.cancel_outcome),
        "can_fetch_again": job.state == "failed" and job.request_id is not None and studio.accounts.is_ours(job),
        "request_id": job.request_id,
        "cost_usd": job.cost_usd,
        "cost_is_unknown": job.cost_is_unknown,
        "is_play": job.api_origin == SANDBOX_ORIGIN,
        "own_key": job.key_fingerprint is not None,
        "put_aside": job.archived_at is not None,
        "is_unclear": job.state == "submit_unclear" and studio.accounts.is_ours(job),
        "outputs": [
            _output_card(job, output, prompt, language)
            for output in job.outputs
            if output.state != "deleted" and output.deleted_at is None
        ],
    }


def job_details(studio: Studio, job: Job, language: str) -> dict[str, Any]:
    """A card with the job's times besides."""
    times = {name: getattr(job, name) for name in ("accepted_at", "started_at", "completed_at", "finished_at")}
    return job_card(studio, job, language, studio.now()) | times


def settings_object(job: Job) -> dict[str, Any]:
    """What a copy "with settings" carries, and what the page reads back from it."""
    return {
        "app": "Dreamina UI",
        "model_id": job.model_id,
        "request_id": job.request_id,
        "inputs": dict(job.inputs),
        "created_at": iso(job.created_at),
    }


def wall_entry(entry: Entry, language: str) -> dict[str, Any]:
    """One place on the library's wall; small, as a page has many."""
    job, output = entry.job, entry.output
    found: dict[str, Any] = {"job_id": job.job_id, "state": job.state, "prompt": prompt_of(job)[:120]}
    if output is None:
        return found | {"state_text": state_text(job, language), "put_aside": job.archived_at is not None}
    tier = "thumbnail" if output.kind == "image" else "original"
    key = "picture_alt" if output.kind == "image" else "video_label"
    return found | {
        "file_key": output.file_key,
        "index": output.index,
        "kind": output.kind,
        "address": _address(job, output, tier),
        "alt": translate(language, key, number=output.index + 1, prompt=prompt_of(job)[:120]),
        "favourite": output.favorite_at is not None,
        "width": output.width,
        "height": output.height,
    }


def settings_of(studio: Studio, job: Job, language: str) -> str:
    """The inputs other than the prompt in one line, such as `2048 × 2048 · 1:1 · 4 MP, Scale 0.5`."""
    model = studio.models.get(job.model_id)
    parts = []
    for field in model.fields if model else ():
        value = job.inputs.get(field.key)
        title = translate(language, f"field_{field.parameter}_title") or field.title
        parts.append(field.kind.describe(field, value, title, partial(number, language)))
    return ", ".join(filter(None, parts))


def _message(studio: Studio, job: Job, language: str) -> str:
    return message(job, studio.accounts.origin_of(job), language)


def model_name(studio: Studio, job: Job) -> str:
    """What to call a job's model where there are several; "" where there is one only, or nobody knows."""
    model = studio.models.get(job.model_id)
    if model is None:
        return job.model_id
    return model.title if len(studio.models) > 1 else ""


def was_given_files(studio: Studio, job: Job) -> bool:
    """Whether a job was given files; then its card looks for their copies on the disk."""
    return next(_given(studio, job), None) is not None


def given_thumbnails(studio: Studio, job: Job) -> list[str]:
    """Addresses of small copies of the files that a job was given, relative to `/dreamina/`."""
    found = (given_thumbnail(given, url) for given, url in _given(studio, job))
    return [address for address in found if address]


def _given(studio: Studio, job: Job) -> Iterator[tuple[InputFiles, str]]:
    """The addresses that a job was given, each with who knows their files."""
    model, given = studio.models.get(job.model_id), studio.given
    if model is not None and given is not None:
        yield from ((given, url) for _, _, url in given_urls(model, job.inputs))


def given_thumbnail(given: InputFiles, url: str) -> str | None:
    """The address of a small copy of a given file, relative to `/dreamina/`; None if there is none."""
    shown = given.shown(url)
    if isinstance(shown, str):
        return f"{THUMBNAILS}/{shown}.webp"
    return _address(*shown, "thumbnail") if shown and shown[1].kind == "image" else None


def _is_kept(output: Output, kind: str) -> bool:
    return output.kind == kind and output.state == "kept" and output.deleted_at is None


def _address(job: Job, output: Output, tier: str) -> str:
    return f"{FILES}/{output.file_key}/{tier}/{quote(file_name(job, output, tier))}"


def _file_object(job: Job, output: Output, root: str) -> dict[str, Any]:
    preview = "preview" if output.kind == "image" else "original"
    return {
        "index": output.index,
        "original_url": f"{root}/{PREFIX}/{_address(job, output, 'original')}",
        "preview_url": f"{root}/{PREFIX}/{_address(job, output, preview)}",
        "width": output.width,
        "height": output.height,
        "format": output.format,
        "size_bytes": output.size_bytes,
        "sha256": output.sha256,
    }


def _output_card(job: Job, output: Output, prompt: str, language: str) -> dict[str, Any]:
    card: dict[str, Any] = {"index": output.index, "kind": output.kind, "state": output.state}
    card |= {"file_key": output.file_key, "favourite": output.favorite_at is not None, "sha256": output.sha256}
    place = output.index + 1
    if output.state == "kept":
        key = "picture_alt" if output.kind == "image" else "video_label"
        facts = [f"{output.width} × {output.height}"] if output.width else []
        facts += [str(output.format or ""), file_size(language, output.size_bytes or 0)]
        tiers = ("original", "preview", "thumbnail") if output.kind == "image" else ("original",)
        card |= {tier: _address(job, output, tier) for tier in tiers}
        if job.inputs and output.format in ("PNG", "JPEG", "WEBP"):
            card["with_settings"] = _address(job, output, WITH_SETTINGS)
        card |= {"alt": translate(language, key, number=place, prompt=prompt), "facts": " · ".join(filter(None, facts))}
        card |= {"width": output.width, "height": output.height}
    else:
        card["alt"] = translate(language, f"{output.state}_output", number=place)
        card["facts"] = output.note or ""
    return card
