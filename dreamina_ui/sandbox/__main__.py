"""The sandbox alone: `python -m dreamina_ui.sandbox`, to try the program or to test it from outside."""

from __future__ import annotations

import argparse
import signal
import threading
from pathlib import Path

from dreamina_ui.errors import DreaminaError
from dreamina_ui.models.schema import load_models
from dreamina_ui.sandbox.scenarios import SCENARIOS
from dreamina_ui.sandbox.server import Sandbox


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dreamina_ui.sandbox",
        description="A Model API of our own on 127.0.0.1: costs nothing, needs no key, paints its pictures itself.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=8788, help="port to listen on; 0 for any free one")
    parser.add_argument("--queue-s", type=float, default=2.0, help="least seconds that a request waits in the queue")
    parser.add_argument("--run-s", type=float, default=6.0, help="usual seconds that a request runs")
    parser.add_argument("--parallel", type=int, default=2, help="how many requests run at the same time")
    parser.add_argument("--data-dir", type=Path, default=Path("data/sandbox"), help="where requests and pictures lie")
    scenarios = "; ".join(f"{name}: {what}" for name, what in SCENARIOS.items())
    parser.add_argument(
        "--scenario",
        action="append",
        default=[],
        choices=SCENARIOS,
        help=f"what goes wrong with every request; may be repeated. A prompt asks for one by [name]. {scenarios}",
    )
    parser.add_argument("--token", default="sandbox", help="bearer token that callers must show")
    return parser


def main() -> None:
    """Serve until Ctrl+C or SIGTERM."""
    parser = _parser()
    options = parser.parse_args()
    if options.parallel < 1 or options.queue_s < 0 or options.run_s < 0:
        parser.error("--parallel must be at least 1, --queue-s and --run-s at least 0")

    leave = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: leave.set())
    try:
        sandbox = Sandbox(
            options.data_dir,
            load_models(),
            token=options.token,
            queue_s=options.queue_s,
            run_s=options.run_s,
            parallel=options.parallel,
            port=options.port,
            scenarios=options.scenario,
            paints_apart=True,
        )
        base_url = sandbox.start()
    except DreaminaError as exc:
        parser.exit(1, f"{exc}\n")
    print(f"The sandbox answers at {base_url}. Point the app at it with", flush=True)
    print(f"RUNCOMFY_API_BASE_URL={base_url} RUNCOMFY_API_TOKEN={options.token} python app.py", flush=True)
    leave.wait()
    sandbox.stop()


if __name__ == "__main__":
    main()
