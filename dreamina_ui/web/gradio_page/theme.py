"""The theme of Gradio's components: names of the colors of `static/colors.css`, and the system's fonts."""

from __future__ import annotations

import gradio as gr
from gradio.themes.utils.colors import Color

_STEPS = ("c50", "c100", "c200", "c300", "c400", "c500", "c600", "c700", "c800", "c900", "c950")
_TEAL = "e9f6f3 cdebe4 9fd8cc 6cc3b2 3ea998 1f8d7d 127266 0e5c53 0d4a43 0b3d38 062622"
_STONE = "f6f7f5 eef0ed dde2de c9cfca 98a29d 6d7873 535e59 3c4642 272f2c 191f1d 101413"

_COLORS = {
    "body_text_color_subdued": "soft",
    "background_fill_primary": "card",
    "background_fill_secondary": "sunken",
    "border_color_accent": "accent",
    "border_color_primary": "line",
    "link_text_color": "link",
    "link_text_color_active": "link",
    "link_text_color_hover": "link",
    "link_text_color_visited": "link",
    "block_background_fill": "card",
    "block_border_color": "line",
    "block_info_text_color": "soft",
    "block_title_text_color": "text",
    "checkbox_background_color": "card",
    "checkbox_border_color": "edge",
    "checkbox_label_background_fill": "card",
    "error_background_fill": "bad-ground",
    "error_border_color": "bad",
    "error_icon_color": "bad",
    "error_text_color": "bad",
    "input_background_fill": "card",
    "input_background_fill_focus": "card",
    "input_border_color": "edge",
    "input_border_color_focus": "accent",
    "input_placeholder_color": "soft",
    "slider_color": "accent",
    "button_primary_background_fill": "accent",
    "button_primary_background_fill_hover": "accent-strong",
    "button_primary_border_color": "accent",
    "button_primary_text_color": "on-accent",
    "button_secondary_background_fill": "card",
    "button_secondary_background_fill_hover": "sunken",
    "button_secondary_border_color": "line",
    "button_secondary_text_color": "text",
}
"""Our color for each of Gradio's variables, in light and dark."""


def build_theme() -> gr.themes.Base:
    """The theme; the page's own style sheet gives the colors their values."""
    both = {name + suffix: f"var(--{color})" for name, color in _COLORS.items() for suffix in ("", "_dark")}
    theme = gr.themes.Base(
        primary_hue=_hue(_TEAL),
        secondary_hue=_hue(_TEAL),
        neutral_hue=_hue(_STONE),
        radius_size=gr.themes.sizes.radius_lg,
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    ).set(
        # Not by name: these two are in the page itself, before any style sheet has come.
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        body_text_color="*neutral_900",
        body_text_color_dark="*neutral_100",
        block_border_width="0px",
        block_border_width_dark="0px",
        block_shadow="none",
        block_shadow_dark="none",
        block_padding="*spacing_sm 0",
        block_title_text_weight="600",
        checkbox_background_color_selected_dark="*primary_600",  # Gradio's tick is white
        checkbox_border_color_selected_dark="*primary_400",
        form_gap_width="0px",
        input_border_width="1px",
        input_border_width_dark="1px",
        button_primary_shadow="none",
        button_secondary_shadow="none",
        **both,
    )
    return theme


def _hue(codes: str) -> Color:
    return Color(**{step: f"#{code}" for step, code in zip(_STEPS, codes.split(), strict=True)})
