"""Proof by killing: no press is lost and none is sent twice, whenever the program dies.

    python -m benchmarks.kill --kills 200 --seed 1

Jobs arrive all the time while the program is killed with SIGKILL and started again on the same data folder. In the
end the ledger, the disk and the sandbox's own count are laid side by side.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.audit import Audit, read_rows
from benchmarks.programs import App, BareStudio, SandboxProgram, Studio
from dreamina_ui.ledger.job import SETTLED

SLOWER_START_S = 2.0
"""How much longer a start after a kill may take than a normal one."""

SUBMIT_S = 0.04
"""How long after a press its submit is still under way now and then."""

STUCK_S = 60.0
"""Seconds without any change after which a job counts as forgotten."""


@dataclass
class Report:
    """What came of it.

    Attributes:
        figures: by label, in order; times in seconds.
        broken: one line for each broken promise; empty if all held.
    """

    figures: dict[str, int | float] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{label:<42}{value:>8}" for label, value in self.figures.items()]
        return "\n".join([*lines, "", *(self.broken or ["Every promise held."])])


def run(
    folder: Path,
    *,
    kills: int = 200,
    seed: int = 1,
    bare: bool = False,
    progress: Callable[[int], object] = lambda _kills: None,
) -> Report:
    """Kill the program so many times, then wait until all is at rest, and compare.

    Args:
        folder: an empty one; data, pictures and logs are left in it.
        seed: decides the moments of the kills, as far as a busy machine lets it.
        bare: kill the program without its page, which starts in a fraction of the time.
        progress: called with the number of kills so far.
    """
    with SandboxProgram(folder, queue_s=0.2, run_s=0.4, parallel=4) as sandbox:
        sandbox.start()
        sandbox.wait_ready()
        with BareStudio(folder, sandbox.url) if bare else App(folder, sandbox.url) as studio:
            return _Killer(folder, sandbox, studio, Random(seed), 0.8 if bare else 2.0).run(kills, progress)


class _Killer:
    def __init__(
        self, folder: Path, sandbox: SandboxProgram, studio: Studio, random: Random, longest_life_s: float
    ) -> None:
        self._data = folder / "data"
        self._sandbox = sandbox
        self._studio = studio
        self._random = random
        self._longest_life_s = longest_life_s
        self._presses = 0
        self._killed_at: list[float] = []
        self._moments: Counter[str] = Counter()
        self._normal_starts_s: list[float] = []
        self._starts_after_kill_s: list[float] = []
        self._painted: dict[str, str] = {}

    def run(self, kills: int, progress: Callable[[int], object]) -> Report:
        began_s = time.monotonic()
        self._studio.start()
        self._studio.wait_ready()  # not measured: the first start of all compiles the modules
        while len(self._killed_at) < kills:
            if len(self._killed_at) % max(2, kills // 20) == 0:
                self._restart_normally()
            self._press_for(self._random.uniform(0, self._longest_life_s))
            if self._random.random() < 0.5:
                self._press()
                time.sleep(self._random.uniform(0, SUBMIT_S))
                self._kill("just after a press")
            else:
                self._kill("at any moment")
            while len(self._killed_at) < kills and self._random.random() < 0.1:
                self._studio.start()
                time.sleep(self._random.uniform(0, statistics.median(self._normal_starts_s)))
                self._kill("while it starts")
            self._studio.start()
            self._starts_after_kill_s.append(self._studio.wait_ready())
            progress(len(self._killed_at))
        settled_s = self._wait_until_at_rest()
        self._restart_normally()  # what the last start does not clean up would stay for ever
        self._studio.stop()
        audit = Audit(self._data, self._sandbox.requests(), self._painted, self._studio.told)
        under_way = audit.states_at(self._killed_at)
        figures = {"kills": kills, **_indented(self._moments)}
        figures |= {"jobs under way at the kills": under_way.total(), **_indented(under_way)}
        figures |= {"presses": self._presses, **audit.figures()}
        figures |= self._start_figures() | {"from the last start to all at rest, s": round(settled_s, 2)}
        figures |= {"all of it, s": round(time.monotonic() - began_s)}
        return Report(figures, [*audit.broken(), *self._slow_starts()])

    def _restart_normally(self) -> None:
        self._studio.stop()
        self._studio.start()
        self._normal_starts_s.append(self._studio.wait_ready())

    def _kill(self, moment: str) -> None:
        self._killed_at.append(time.time())
        self._studio.kill()
        self._moments[moment] += 1
        self._note_painted()

    def _press_for(self, seconds: float) -> None:
        """Press at random moments, four times a second."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            pause_s = self._random.expovariate(4)
            time.sleep(min(pause_s, left_s))
            if pause_s < left_s:
                self._press()

    def _press(self) -> None:
        self._presses += 1
        inputs = {"prompt": f"press {self._presses}", "width×height": "1024x1024(1:1)", "scale": 0.5}
        self._studio.press(inputs | {"force_single": self._random.random() < 0.9})

    def _note_painted(self) -> None:
        # The sandbox drops old pictures, so their digests are taken as they come.
        for path in self._sandbox.pictures.glob("*.png"):
            if path.stem not in self._painted:
                with suppress(FileNotFoundError):
                    self._painted[path.stem] = hashlib.sha256(path.read_bytes()).hexdigest()

    def _wait_until_at_rest(self) -> float:
        """Wait for every job, or until those that are left have not changed for long; returns seconds."""
        began_s = changed_s = time.monotonic()
        before: Any = None
        while time.monotonic() - changed_s < STUCK_S:
            jobs = read_rows(self._data, "SELECT state, version FROM jobs")
            if all(job["state"] in SETTLED for job in jobs):
                break
            if jobs != before:
                before, changed_s = jobs, time.monotonic()
                self._note_painted()
            time.sleep(0.05)
        self._note_painted()
        return time.monotonic() - began_s

    def _start_figures(self) -> dict[str, float]:
        starts = {"normal start": self._normal_starts_s, "start after a kill": self._starts_after_kill_s}
        return {
            f"{kind}, {label}, s": round(measure(seconds), 2)
            for kind, seconds in starts.items()
            for label, measure in (("median", statistics.median), ("9 in 10 within", _ninth_decile), ("slowest", max))
        }

    def _slow_starts(self) -> list[str]:
        # Only the medians: on a busy machine single starts of either kind may take any time.
        later_s = statistics.median(self._starts_after_kill_s) - statistics.median(self._normal_starts_s)
        return (
            [f"Starts after a kill take {later_s:.1f} s longer than normal ones."] if later_s > SLOWER_START_S else []
        )


def _ninth_decile(values: list[float]) -> float:
    return sorted(values)[round(0.9 * (len(values) - 1))]


def _indented(numbers: Counter[str]) -> dict[str, int | float]:
    return {f"  {label}": number for label, number in numbers.items()}


def main() -> None:
    """Read the arguments, kill, print; exit 1 if a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kill", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--kills", type=int, default=200, help="how often the program is killed (default: 200)")
    parser.add_argument("--seed", type=int, default=1, help="decides the moments (default: 1)")
    parser.add_argument("--bare", action="store_true", help="kill the program without its page: many times faster")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    if options.kills < 1:
        parser.error("--kills must be at least 1")
    folder = Path(tempfile.mkdtemp(prefix="dreamina-kill-"))

    def progress(kills: int) -> None:
        print(f"\r{kills} of {options.kills} kills", end="", file=sys.stderr, flush=True)

    report = run(folder, kills=options.kills, seed=options.seed, bare=options.bare, progress=progress)
    print(file=sys.stderr)
    print(json.dumps({"figures": report.figures, "broken": report.broken}, indent=2) if options.json else report)
    if report.broken:
        sys.exit(f"Data, pictures and logs are left in {folder}.")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
