"""What the page is given of a job is what it shows, without reading texts."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

from PIL import Image

from dreamina_ui.library.library import Entry
from dreamina_ui.web.presenters import MAX_CARDS_CHARACTERS, library_entry
from tests.support.bad_server import ScriptedResponse
from tests.support.harness import Harness, ScriptedApi


def card_of(harness: Harness, **inputs: Any) -> dict[str, Any]:
    job = harness.wait(harness.generate(**inputs).job_id, lambda job: job.state != "submitting")
    return harness.presenter.card(job, "en", for_owner=True)


def test_as_many_slots_are_reserved_as_images_are_expected(harness: Harness) -> None:
    """Skeletons in the right number and shape: nothing jumps when the images come."""
    wide = {"width×height": "3024x1296(21:9)"}
    assert card_of(harness, **wide, force_single=False)["expected"] == {"files": 4, "width": 3024, "height": 1296}
    assert card_of(harness, **wide, force_single=True)["expected"] == {"files": 1, "width": 3024, "height": 1296}


def test_a_busy_service_says_when_to_try_again(harness: Harness, service: ScriptedApi) -> None:
    """Whoever tries at once is refused once more; the button counts down what the service asked for."""
    service.accept(ScriptedResponse(429, b'{"message": "busy"}', {"Retry-After": "20"}))
    card = card_of(harness)
    assert card["action"] == "try_again"
    assert 0 < card["retry_in_s"] <= 20
    harness.clock.advance(5)
    job = harness.reader.job(card["job_id"])
    assert harness.presenter.card(job, "en", for_owner=True)["retry_in_s"] <= 15
    harness.clock.advance(20)
    assert harness.presenter.card(job, "en", for_owner=True)["retry_in_s"] == 0


def test_an_image_that_browsers_cannot_show_is_a_file_with_a_picture(harness: Harness, service: ScriptedApi) -> None:
    """A TIFF in a page is a broken image; its copy can be seen, and the file itself can be downloaded."""
    content = io.BytesIO()
    Image.new("RGB", (64, 48), "tomato").save(content, "TIFF")
    service.completes(service.file("one.tif", ScriptedResponse(200, content.getvalue())), service.picture())
    harness.start()
    job = harness.wait(harness.generate().job_id, "done")
    tiff, png = harness.presenter.card(job, "en", for_owner=True)["outputs"]
    assert (tiff["kind"], png["kind"]) == ("file", "image")
    assert "/thumbnail/" in tiff["thumbnail"]
    assert tiff["original"].endswith(".tif")
    entry = library_entry(Entry(job, job.outputs[0]), "en")
    assert (entry["kind"], entry["facts"]) == ("file", tiff["facts"])
    assert "/thumbnail/" in entry["thumbnail"]


def test_the_cards_together_are_bounded(harness: Harness) -> None:
    """Old prompts of a megabyte each made one list of jobs 47 MB, for any stranger who asked for it again and again."""
    job = harness.generate()
    jobs = [replace(job, inputs={"prompt": f"{number} " + "x" * 19_000}) for number in range(50)]
    cards = harness.presenter.cards(jobs, "en", for_owner=False)
    whole = [card for card in cards if not card["prompt_cut"]]
    assert len(whole) == MAX_CARDS_CHARACTERS // 19_002
    assert cards[: len(whole)] == whole, "the newest are whole"
    assert len(json.dumps(cards)) < 500_000
    assert cards[-1]["prompt"].startswith("49 x")
    assert harness.presenter.details(jobs[-1], "en", for_owner=False)["prompt"] == jobs[-1].inputs["prompt"]
    old = replace(job, inputs={"prompt": "x" * 990_000})
    assert not harness.presenter.cards([old], "en", for_owner=False)[0]["prompt_cut"], "one alone is wanted whole"
    assert len(json.dumps(harness.presenter.cards([old] * 24, "en", for_owner=False))) < 100_000
