"""Browser sessions that repeat their requests in every way a browser or a network does: each intention is paid once.

    python -m benchmarks.repeated_requests [--sessions 1000] [--tabs 8] [--kills 20] [--seed 1] [--json]

`app.py` and a mock service run; sessions speak HTTP as the page does, each request with its own `press_id`. Held keys,
lost responses, reloads and proxies repeat it with the same id. Among them are tabs of a real Chromium, and meanwhile
the app is killed and restarted. At the end the requests that the service accepted are compared with the intentions.
"""

from __future__ import annotations

import argparse
import http.client
import json
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from uuid import UUID

from benchmarks.app_processes import GradioApp
from benchmarks.audit import read_rows
from benchmarks.mock_service import MockService
from benchmarks.repeated_tabs import TAB_BEHAVIORS, Tabs
from dreamina_ui.ledger.job import SETTLED

MODEL_ID = "bytedance/dreamina-4-0/text-to-image"
INPUTS = {"width×height": "1024x1024(1:1)", "scale": 0.5, "force_single": True}
BEHAVIORS = ("plain", "held key", "lost response", "reload", "repeat by a proxy")
TAB_INTENTIONS = 5
"""How many images the visitor of each tab wants, one with each behavior."""
WORKERS = 16
TIMEOUT_S = 120.0
MAX_PAUSE_S = 2.0


@dataclass
class Report:
    """The outcome.

    Attributes:
        figures: by label, in order.
        broken: one line for each violation; empty if there is none.
    """

    figures: dict[str, int | float] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{label:<52}{value:>8}" for label, value in self.figures.items()]
        return "\n".join([*lines, "", *(self.broken or ["No violation."])])


@dataclass(frozen=True)
class _Intention:
    """One wish for an image: the prompt names it, and the id is that of its request."""

    prompt: str
    press_id: str
    behavior: str


class _Session:
    """One browser: a cookie, and requests that are repeated until there is a response."""

    def __init__(self, port: int, random: Random) -> None:
        self._port = port
        self._random = random
        self._cookie = ""
        self.sent = 0
        self.job_ids: dict[_Intention, set[str]] = defaultdict(set)
        self.refused: dict[_Intention, str] = {}

    def run(self, intentions: list[_Intention]) -> None:
        for intention in intentions:
            while not self._open_page() and not self._cookie:
                time.sleep(0.1)
            self._act(intention)
            self._repeat_until_known(intention)

    def _act(self, intention: _Intention) -> None:
        if intention.behavior == "held key":
            for _ in range(self._random.randint(2, 6)):
                self._send(intention)
        elif intention.behavior == "lost response":
            self._send(intention, lose_after_s=self._random.uniform(0, 0.1))
        elif intention.behavior == "reload":
            self._send(intention, lose_after_s=self._random.uniform(0, 0.1))
            self._open_page()
        elif intention.behavior == "repeat by a proxy":
            threads = [threading.Thread(target=self._send, args=(intention,)) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    def _repeat_until_known(self, intention: _Intention) -> None:
        pause_s, deadline_s = 0.05, time.monotonic() + TIMEOUT_S
        while not self.job_ids[intention] and intention not in self.refused:
            if time.monotonic() > deadline_s:
                self.refused[intention] = "no response"
            elif not self._send(intention):
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, MAX_PAUSE_S)

    def _send(self, intention: _Intention, *, lose_after_s: float | None = None) -> bool:
        """Send the request once; returns whether its outcome is known.

        Args:
            lose_after_s: close the connection after so many seconds and drop the response.
        """
        body = {"model_id": MODEL_ID, "inputs": INPUTS | {"prompt": intention.prompt}, "press_id": intention.press_id}
        self.sent += 1
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            headers = {"Content-Type": "application/json", "Cookie": self._cookie}
            connection.request("POST", "/dreamina/generate", json.dumps(body), headers)
            if lose_after_s is not None:
                time.sleep(lose_after_s)
                return False
            response = connection.getresponse()
            facts = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError):
            return False
        finally:
            connection.close()
        if "job_id" in facts:
            self.job_ids[intention].add(facts["job_id"])
        elif response.status != 429 and response.status < 500:
            self.refused[intention] = f"HTTP {response.status}: {facts}"
        return "job_id" in facts

    def _open_page(self) -> bool:
        """Open or reload the page; returns whether it came."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request("GET", "/", headers={"Cookie": self._cookie})
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        cookie = response.getheader("Set-Cookie")
        self._cookie = cookie.partition(";")[0] if cookie else self._cookie
        return True


def run(
    folder: Path,
    *,
    sessions: int = 1000,
    tabs: int = 0,
    kills: int = 20,
    seed: int = 1,
    progress: Callable[[int], object] = lambda _sessions: None,
) -> Report:
    """Run the sessions, some at a time, and compare.

    Args:
        folder: an empty folder; data and logs stay in it.
        tabs: how many real tabs there are among them at most, one after the other; none is opened after the sessions.
        seed: for what each session does and for the moments of the kills.
        progress: called with the number of ended sessions.
    """
    random = Random(seed)
    plans = [[_intention(random, number, part) for part in range(random.randint(1, 3))] for number in range(sessions)]
    tab_plans = [_tab_intentions(random, number) for number in range(tabs)]
    started_s = time.monotonic()
    with MockService() as service, GradioApp(folder, service.url) as app:
        app.start()
        app.wait_ready()
        everybody = [_Session(app.port, Random(random.random())) for _ in plans]
        ended = 0
        tab_acts = [[(intention.prompt, intention.behavior) for intention in plan] for plan in tab_plans]
        in_tabs = Tabs(f"http://127.0.0.1:{app.port}/", tab_acts, Random(random.random()))
        if tabs:
            in_tabs.start()
        with ThreadPoolExecutor(WORKERS) as pool:
            running = [pool.submit(session.run, plan) for session, plan in zip(everybody, plans, strict=True)]
            kill_at = sorted(random.randrange(sessions) for _ in range(kills))
            while (done := sum(future.done() for future in running)) < sessions:
                if kill_at and done >= kill_at[0]:
                    kill_at.pop(0)
                    time.sleep(random.uniform(0, 0.2))
                    app.kill()
                    app.start()
                    app.wait_ready()
                if done != ended:
                    ended = done
                    progress(done)
                time.sleep(0.01)
            for future in running:
                future.result()
        in_tabs.end()
        _wait_until_settled(folder / "data")
        report = _compare(folder / "data", service, [*plans, *tab_plans[: in_tabs.ended]], everybody)
    report.broken += [f"{prompt} did not appear on the page: {reason}" for prompt, reason in in_tabs.refused.items()]
    report.figures |= {"tabs": in_tabs.ended, "kills": kills, "total, s": round(time.monotonic() - started_s)}
    return report


def _intention(random: Random, session: int, part: int) -> _Intention:
    press_id = UUID(int=random.getrandbits(128), version=4)
    return _Intention(f"session {session}, image {part}", str(press_id), random.choice(BEHAVIORS))


def _tab_intentions(random: Random, tab: int) -> list[_Intention]:
    """The page makes the ids by itself."""
    behaviors = random.sample(TAB_BEHAVIORS, TAB_INTENTIONS)
    return [_Intention(f"tab {tab}, image {part}", "", behavior) for part, behavior in enumerate(behaviors)]


def _wait_until_settled(data: Path) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline_s:
        if all(row["state"] in SETTLED for row in read_rows(data, "SELECT state FROM jobs")):
            return
        time.sleep(0.1)


def _compare(data: Path, service: MockService, plans: list[list[_Intention]], everybody: list[_Session]) -> Report:
    submits = Counter(inputs["prompt"] for inputs in service.accepted.values())
    jobs: dict[str, list[str]] = defaultdict(list)
    for row in read_rows(data, "SELECT inputs, state FROM jobs"):
        jobs[json.loads(row["inputs"])["prompt"]].append(row["state"])
    intentions = [intention for plan in plans for intention in plan]
    unclear = [intention for intention in intentions if jobs[intention.prompt] == ["submit_unclear"]]
    never_sent = [intention for intention in unclear if not submits[intention.prompt]]
    report = Report(
        {
            "sessions": len(everybody),
            "intentions": len(intentions),
            **{
                f"  {name}": sum(intention.behavior == name for intention in intentions)
                for name in (*BEHAVIORS, *TAB_BEHAVIORS)
            },
            "HTTP requests": sum(session.sent for session in everybody),
            "jobs in the ledger": sum(map(len, jobs.values())),
            "submits": submits.total(),
            "jobs in submit_unclear after a kill": len(unclear),
            "  of these, the service never got the submit": len(never_sent),
            "submits + never sent - intentions": submits.total() + len(never_sent) - len(intentions),
        }
    )
    for session in everybody:
        for intention, reason in session.refused.items():
            report.broken.append(f"{intention.prompt} ({intention.behavior}) was refused: {reason}")
        for intention, job_ids in session.job_ids.items():
            if len(job_ids) > 1:
                report.broken.append(f"{intention.prompt} ({intention.behavior}) got {len(job_ids)} jobs.")
    for intention in intentions:
        count, states = submits[intention.prompt], jobs[intention.prompt]
        if count != 1 and not (count == 0 and states == ["submit_unclear"]):
            report.broken.append(f"{intention.prompt} ({intention.behavior}) was submitted {count} times: {states}.")
        elif len(states) != 1 or states[0] not in ("done", "submit_unclear"):
            report.broken.append(f"{intention.prompt} ({intention.behavior}) has the jobs {states}.")
    return report


def main() -> None:
    """Parse arguments, run, print; exit with 1 on a violation."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.repeated_requests", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--sessions", type=int, default=1000, help="number of browser sessions (default: 1000)")
    parser.add_argument("--tabs", type=int, default=8, help="number of real tabs among them at most (default: 8)")
    parser.add_argument("--kills", type=int, default=20, help="number of kills meanwhile (default: 20)")
    parser.add_argument("--seed", type=int, default=1, help="seed of everything random (default: 1)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="dreamina-repeats-"))

    def progress(sessions: int) -> None:
        print(f"\r{sessions} of {options.sessions} sessions", end="", file=sys.stderr, flush=True)

    report = run(
        folder, sessions=options.sessions, tabs=options.tabs, kills=options.kills, seed=options.seed, progress=progress
    )
    print(file=sys.stderr)
    print(json.dumps({"figures": report.figures, "broken": report.broken}, indent=2) if options.json else report)
    if report.broken:
        sys.exit(f"Data and logs stay in {folder}.")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
