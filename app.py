"""Starts the server, as `dreamina-ui serve` does. README.md has the details."""

from __future__ import annotations

import sys

from dreamina_ui.web.serve import serve

if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit("app.py takes no arguments: all settings are environment variables (docs/settings.md).")
    serve()
