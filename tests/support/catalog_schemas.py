"""Input schemas as the services of image models write them, one for each habit that was seen."""

from __future__ import annotations

from typing import Any

URL = "https://files.example/a.png"
PROMPT: dict[str, Any] = {"type": "string", "default": ""}
RATIO: dict[str, Any] = {"type": "string", "default": "auto", "enum": ["auto", "16:9", "1:1", "9:16"]}
IMAGES: dict[str, Any] = {"type": "array", "format": "image_uris", "minItems": 1, "maxItems": 10}
IMAGE: dict[str, Any] = {"type": "string", "format": "image_uri"}
RULES: list[dict[str, Any]] = [
    {"validation_rule": "file_size_mb<", "validation_value": 30, "validation_error": "Less than 30 MB."},
    {"validation_rule": "width/height>", "validation_value": 0.0625, "validation_error": "From 1:16 to 16:1."},
    {"validation_rule": "width/height<", "validation_value": 16, "validation_error": "From 1:16 to 16:1."},
    {"validation_rule": "width_pixels>", "validation_value": 14, "validation_error": "More than 14 pixels."},
    {"validation_rule": "height_pixels>", "validation_value": 14, "validation_error": "More than 14 pixels."},
]


def of(required: list[str] | None = None, /, **inputs: Any) -> dict[str, Any]:
    """A schema with these inputs."""
    return {"type": "object", "properties": {"prompt": PROMPT, **inputs}, "required": required or ["prompt"]}


def optional(kind: str, **more: Any) -> dict[str, Any]:
    """An optional input as a Python library writes it."""
    return {"anyOf": [{"type": kind, **more}, {"type": "null"}], "default": None}


SCHEMAS: dict[str, dict[str, Any]] = {
    "prompt-only": of(),
    "ratio": of(aspect_ratio=RATIO),
    "edit-list": of(["prompt", "image_urls"], image_urls=IMAGES, aspect_ratio=RATIO),
    "edit-one": of(["prompt", "image_url"], image_url=IMAGE),
    "first-and-last": of(["prompt", "image_url"], image_url=IMAGE, end_image_url=IMAGE),
    "edit-validated": of(["prompt", "image"], image={**IMAGES, "validations": RULES}),
    "edit-one-validated": of(["prompt", "image"], image={**IMAGE, "validations": RULES}),
    "references": of(images={"type": "array", "format": "image_uris", "maxItems": 9}),
    "mask": of(["prompt", "image_url", "mask_url"], image_url=IMAGE, mask_url=IMAGE),
    "plain-uri": of(["prompt", "image_url"], image_url={"type": "string", "format": "uri"}),
    "url-by-name": of(["prompt", "image_urls"], image_urls={"type": "array", "items": {"type": "string"}}),
    "urls-in-items": of(reference_images={"type": "array", "items": {"type": "string", "format": "uri"}}),
    "resolution": of(resolution={"type": "string", "default": "2K", "enum": ["1K", "2K", "4K"]}),
    "output-format": of(output_format={"type": "string", "default": "png", "enum": ["png", "jpeg"]}),
    "numbers-to-choose": of(num_images={"type": "integer", "enum": [1, 2, 4], "default": 1}),
    "mixed-choices": of(quality={"enum": ["auto", 1, 2.5, True], "default": "auto"}),
    "choice-of-nothing": of(style={"type": ["string", "null"], "enum": ["photo", "drawing", None]}),
    "constant": of(mode={"const": "fast"}),
    "seed": of(seed={"type": "integer", "default": 0, "minimum": 0, "maximum": 2147483647}),
    "seed-without-bounds": of(seed={"type": "integer"}),
    "steps": of(num_inference_steps={"type": "integer", "default": 28, "minimum": 1, "maximum": 50}),
    "guidance": of(guidance_scale={"type": "float", "default": 3.5, "minimum": 0, "maximum": 20}),
    "exclusive": of(strength={"type": "number", "exclusiveMinimum": 0, "maximum": 1, "default": 0.8}),
    "exclusive-switch": of(strength={"type": "number", "minimum": 0, "exclusiveMinimum": True, "default": 0.8}),
    "multiples": of(width={"type": "integer", "minimum": 256, "maximum": 2048, "multipleOf": 16, "default": 1024}),
    "width-and-height": of(
        width={"type": "int", "default": 1024, "minimum": 64}, height={"type": "int", "default": 768, "minimum": 64}
    ),
    "switches": of(enable_safety_checker={"type": "boolean", "default": True}, sync_mode={"type": "bool"}),
    "count": of(num_images={"type": "integer", "default": 1, "minimum": 1, "maximum": 4}),
    "negative": of(negative_prompt={"type": "string", "default": "", "maxLength": 2500}),
    "short-prompt": of(prompt={"type": "string", "minLength": 1, "maxLength": 1500}),
    "pattern": of(color={"type": "string", "pattern": "^#[0-9a-fA-F]{6}$", "default": "#ffffff"}),
    "texts": of(style_names={"type": "array", "items": {"type": "string"}, "default": ["soft"], "maxItems": 4}),
    "palette": of(colors={"type": "array", "items": {"type": "object", "properties": {"rgb": {"type": "string"}}}}),
    "numbers": of(weights={"type": "array", "items": {"type": "number"}, "default": [0.5, 0.5]}),
    "size-object": of(
        image_size={
            "type": "object",
            "properties": {"width": {"type": "integer", "default": 512}, "height": {"type": "integer", "default": 512}},
        }
    ),
    "size-or-name": of(
        image_size={
            "anyOf": [
                {"type": "object", "properties": {"width": {"type": "integer"}, "height": {"type": "integer"}}},
                {"type": "string", "enum": ["square", "portrait"]},
            ],
            "default": "square",
        }
    ),
    "adapters": of(
        loras={
            "type": "array",
            "default": [],
            "items": {
                "type": "object",
                "required": ["path"],
                "properties": {"path": {"type": "string"}, "scale": {"type": "float", "default": 1.0}},
            },
        }
    ),
    "deep": of(
        camera={
            "type": "object",
            "properties": {
                "lens": {"type": "object", "properties": {"mm": {"type": "integer", "default": 35}}},
                "angle": {"type": "number", "default": 0},
            },
        }
    ),
    "optional-by-null": of(seed=optional("integer", minimum=0), style=optional("string")),
    "references-to-parts": {
        "type": "object",
        "required": ["prompt"],
        "properties": {"prompt": PROMPT, "size": {"allOf": [{"$ref": "#/$defs/Size"}], "default": "small"}},
        "$defs": {"Size": {"type": "string", "enum": ["small", "large"], "title": "Size"}},
    },
    "no-types": of(anything={"description": "whatever you like"}, more={"default": 3}),
    "odd-types": of(file={"type": "upload"}, options={"type": "dict", "properties": {"a": {"type": "str"}}}),
    "odd-names": of(**{name: {"type": "string"} for name in ("width×height", "class", "2nd-prompt")}),
    "nulls": of(seed={"type": "integer", "minimum": None, "maximum": None, "default": None, "enum": None}),
    "required-beside": {
        "properties": {"prompt": {"type": "string", "required": True}, "seed": {"type": "integer", "required": False}}
    },
    "broken-default": of(resolution={"type": "string", "enum": ["1K", "2K"], "default": "8K"}),
}  # fmt: skip

GIVEN: dict[str, Any] = {
    "image_url": URL,
    "image_urls": [URL],
    "mask_url": URL,
    "prompt": "a red fox",
}


def entry(name: str, schema: Any = None, **more: Any) -> dict[str, Any]:
    """A model of the catalog as the service lists it."""
    return {
        "model_id": f"example/{name}/text-to-image",
        "display_name": name.replace("-", " ").title(),
        "kind": "image",
        "categories": ["text-to-image"],
        "base_price_usd": 0.05,
        "price_unit": "output",
        "input_schema": SCHEMAS.get(name) if schema is None else schema,
        **more,
    }


def given_for(name: str) -> dict[str, Any]:
    """What a person gives such a model: its required inputs."""
    schema = SCHEMAS[name]
    inputs = schema["properties"]
    required = [*schema.get("required", ()), *(key for key, prop in inputs.items() if prop.get("required") is True)]
    image = [URL] if inputs.get("image", {}).get("type") == "array" else URL
    return {key: (GIVEN | {"image": image})[key] for key in required}
