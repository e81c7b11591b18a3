"""Compare the ledger, the files on disk and the requests that the service counted."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import closing
from pathlib import Path
from typing import Any

from dreamina_ui.ledger.job import SETTLED


class Audit:
    """Compares a data folder, after the app has stopped, with what the service accepted.

    Args:
        data: the data folder.
        accepted: every request the service accepted, with `request_id`, `inputs`, `status` and `count`.
        painted: SHA-256 of the files of the service by `request_id-index`, as far as known.
        reported: the ids of all jobs that were returned to a caller.
    """

    def __init__(
        self, data: Path, accepted: Sequence[Mapping[str, Any]], painted: Mapping[str, str], reported: Set[str]
    ) -> None:
        self._media = data / "media"
        self._accepted = accepted
        self._painted = painted
        self._reported = reported
        self._jobs = {job["job_id"]: job for job in read_rows(data, "SELECT * FROM jobs")}
        self._outputs: dict[str, list[dict[str, Any]]] = {job_id: [] for job_id in self._jobs}
        for output in read_rows(data, "SELECT * FROM outputs ORDER BY output_index"):
            self._outputs[output["job_id"]].append(output)
        self._moves = read_rows(data, "SELECT * FROM state_changes ORDER BY job_id, version")
        self._ledger_flaws = [row["integrity_check"] for row in read_rows(data, "PRAGMA integrity_check")]
        self._by_request = {job["request_id"]: job for job in self._jobs.values() if job["request_id"]}
        self._unclear = {_canonical(json.loads(job["inputs"])) for job in self._in("submit_unclear")}

    def figures(self) -> dict[str, int]:
        """Counts, by label."""
        stored = [output for outputs in self._outputs.values() for output in outputs if output["state"] == "kept"]
        return {
            "jobs in the ledger": len(self._jobs),
            **{
                f"  {state}": number
                for state, number in sorted(Counter(j["state"] for j in self._jobs.values()).items())
            },
            "requests accepted by the service": len(self._accepted),
            "  whose job is unclear": sum(_canonical(request["inputs"]) in self._unclear for request in self._accepted),
            "originals stored": len(stored),
            "  compared with the service's bytes": sum(
                self._painted_name(output) in self._painted for output in stored
            ),
        }

    def states_at(self, moments: Sequence[float]) -> Counter[str]:
        """Count jobs by state, without settled ones, summed over some moments (seconds since 1970)."""
        counts: Counter[str] = Counter()
        for move, following in zip(self._moves, [*self._moves[1:], None], strict=True):
            until = following["changed_at"] if following and following["job_id"] == move["job_id"] else float("inf")
            counts[move["state"]] += sum(move["changed_at"] <= moment < until for moment in moments)
        return Counter({state: number for state, number in counts.items() if state not in SETTLED})

    def broken(self) -> list[str]:
        """One line for each violation."""
        return [*self._wrong_rows(), *self._wrong_requests(), *self._wrong_files(), *self._leftovers()]

    def _wrong_rows(self) -> Iterator[str]:
        if self._ledger_flaws != ["ok"]:
            yield f"The ledger is damaged: {self._ledger_flaws}."
        for job in self._jobs.values():
            if job["state"] not in SETTLED:
                yield f"Job {job['job_id']} never settled: {job['state']}."
        for job_id in sorted(self._reported - set(self._jobs)):
            yield f"Job {job_id} was returned to a caller and is not in the ledger."
        known = {request["request_id"] for request in self._accepted}
        for request_id in sorted(set(self._by_request) - known):
            yield f"Request {request_id} is in the ledger, but unknown to the service."

    def _wrong_requests(self) -> Iterator[str]:
        for inputs, number in Counter(_canonical(request["inputs"]) for request in self._accepted).items():
            if number > 1:
                yield f"These inputs were submitted {number} times: {inputs}."
        for request in self._accepted:
            request_id, inputs = request["request_id"], _canonical(request["inputs"])
            job = self._by_request.get(request_id)
            if job is None and inputs not in self._unclear:
                yield f"Request {request_id} was accepted, but the ledger has neither its id nor its inputs."
            if job and _canonical(json.loads(job["inputs"])) != inputs:
                yield f"Request {request_id} has different inputs in the ledger."
            if job and (job["state"], request["status"]) != ("done", "completed"):
                yield f"Request {request_id} is {request['status']}, its job {job['state']}: {job['detail']}."
            stored = [output for output in self._outputs[job["job_id"]] if output["state"] == "kept"] if job else []
            if job and len(stored) != request["count"]:
                yield f"Request {request_id} made {request['count']} images, but {len(stored)} are stored."

    def _wrong_files(self) -> Iterator[str]:
        for job_id, outputs in self._outputs.items():
            for output in outputs:
                if output["state"] != "kept":
                    continue
                path = self._folder(job_id) / str(output["output_index"]) / output["file_name"]
                digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "nothing"
                if digest != output["sha256"]:
                    yield f"{path} has the digest {digest}, but its row says {output['sha256']}."
                if digest != self._painted.get(self._painted_name(output), digest):
                    yield f"{path} differs from the file of the service."

    def _leftovers(self) -> Iterator[str]:
        expected = {
            self._folder(job_id) / str(output["output_index"]) / name
            for job_id, outputs in self._outputs.items()
            for output in outputs
            if output["state"] == "kept"
            for name in (output["file_name"], "preview.webp", "thumbnail.webp")
        }
        # Small images have no large copy.
        counts = {path for path in self._media.rglob("*") if path.is_file() and path.name != "large.webp"}
        for path in sorted(expected - counts):
            yield f"{path} is missing."
        for path in sorted(counts - expected):
            yield f"{path} has no row."
        for path in sorted(self._media.glob("??/*")):
            if path.name not in self._jobs:
                yield f"{path} is a folder without a job."
        for path in sorted(self._media.rglob("*.partial-*")):
            yield f"{path} is a leftover partial file."

    def _in(self, state: str) -> list[dict[str, Any]]:
        return [job for job in self._jobs.values() if job["state"] == state]

    def _folder(self, job_id: str) -> Path:
        return self._media / job_id[:2] / job_id

    def _painted_name(self, output: Mapping[str, Any]) -> str:
        return f"{self._jobs[output['job_id']]['request_id']}-{output['output_index']}"


def read_rows(data: Path, query: str) -> list[dict[str, Any]]:
    """Query the ledger of a data folder read-only, also while the app writes."""
    with closing(sqlite3.connect(f"{(data / 'ledger.sqlite3').as_uri()}?mode=ro", uri=True, timeout=30)) as ledger:
        ledger.row_factory = sqlite3.Row
        return [dict(row) for row in ledger.execute(query)]


def _canonical(inputs: Mapping[str, Any]) -> str:
    """Serialize inputs so that equal inputs give equal text."""
    return json.dumps(inputs, sort_keys=True, ensure_ascii=False)
