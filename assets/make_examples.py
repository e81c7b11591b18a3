"""Make the pictures of the example prompts: `python -m assets.make_examples`, from the sandbox through its API.

What they are is written in `examples/examples.json`, in the order of the page: a prompt, the inputs besides, and the
file. The page shows the prompt of the words `example_1` and so on, where its language has them.
"""

from __future__ import annotations

import io
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import requests
from PIL import Image

from dreamina_ui.api.client import RunComfy
from dreamina_ui.models.schema import Model, load_models
from dreamina_ui.sandbox.server import Sandbox

FOLDER = Path(__file__).parent / "examples"
MODEL_ID = "bytedance/dreamina-4-0/text-to-image"
SIDE_PX = 360
QUALITY = 45
TOKEN = "sandbox"  # noqa: S105 - it opens nothing but this sandbox


def main() -> None:
    """Paint every example anew and write it as a small WebP; says how large each became."""
    model = load_models()[MODEL_ID]
    with tempfile.TemporaryDirectory() as folder:
        sandbox = Sandbox(Path(folder), {MODEL_ID: model}, token=TOKEN, queue_s=0.0, run_s=0.0)
        client = RunComfy(sandbox.start(), TOKEN)
        for example in json.loads((FOLDER / "examples.json").read_text(encoding="utf-8")):
            picture = Image.open(io.BytesIO(_make(client, model, example)))
            picture.thumbnail((SIDE_PX, SIDE_PX))
            path = FOLDER / example["file"]
            picture.save(path, "WEBP", quality=QUALITY, method=6)
            print(f"{path.name}: {path.stat().st_size} bytes")
        sandbox.stop()


def _make(client: RunComfy, model: Model, example: dict[str, Any]) -> bytes:
    """One example's first file, as the service made it."""
    keys = {field.parameter: field.key for field in model.fields}
    inputs = {keys[name]: value for name, value in example["parameters"].items()}
    request_id = client.submit(MODEL_ID, inputs)
    while client.status(request_id).phase != "completed":
        time.sleep(0.1)
    url = client.result(request_id).files[0].url
    assert url is not None, "the sandbox delivers every file"
    return requests.get(url, timeout=30).content


if __name__ == "__main__":
    main()
