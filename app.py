"""Starts the server, as `dreamina-ui serve` does. README.md has the details."""

from __future__ import annotations

from dreamina_ui.web.serve import serve

if __name__ == "__main__":
    serve()
