"""An empty Gradio page, as a baseline: the cost of Gradio itself."""

from __future__ import annotations

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio as gr


def main() -> None:
    """Serve it on the port of `GRADIO_SERVER_PORT` until the process is stopped."""
    with gr.Blocks(analytics_enabled=False) as page:
        pass
    page.launch(quiet=True, ssr_mode=False)


if __name__ == "__main__":
    main()
