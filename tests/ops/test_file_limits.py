"""A crowd of connections must not keep the program from its own files."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import resource
from dreamina_ui.ops.file_limits import MAX_OPEN_FILES, allow_many
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (256, most))
allow_many()
now = resource.getrlimit(resource.RLIMIT_NOFILE)
assert now == (MAX_OPEN_FILES if most == resource.RLIM_INFINITY else min(MAX_OPEN_FILES, most), most), now
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_as_many_files_as_the_system_allows() -> None:
    """Two hundred and fifty-six are gone with the first hundred visitors."""
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, timeout=60)
