"""What `fork_server` imports once: the whole program."""

from __future__ import annotations

from importlib import import_module

from dreamina_ui.web.gradio_page.import_patch import skip_stub_files
from dreamina_ui.web.serve import prepare_environment

prepare_environment()
with skip_stub_files():
    import_module("dreamina_ui.web.app")
