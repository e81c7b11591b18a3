"""The ledger, the disk and the service's own count, laid side by side."""

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
    """What is found in a data folder once nothing runs on it.

    Args:
        data: the data folder.
        accepted: every request the service accepted, with `request_id`, `inputs`, `status` and `count`.
        painted: SHA-256 of the service's files by `request_id-index`, as far as they were seen.
        told: the ids of the jobs that somebody was told.
    """

    def __init__(
        self, data: Path, accepted: Sequence[Mapping[str, Any]], painted: Mapping[str, str], told: Set[str]
    ) -> None:
        self._media = data / "media"
        self._accepted = accepted
        self._painted = painted
        self._told = told
        self._jobs = {job["job_id"]: job for job in read_rows(data, "SELECT * FROM jobs")}
        self._outputs: dict[str, list[dict[str, Any]]] = {job_id: [] for job_id in self._jobs}
        for output in read_rows(data, "SELECT * FROM outputs ORDER BY output_index"):
            self._outputs[output["job_id"]].append(output)
        self._moves = read_rows(data, "SELECT * FROM state_changes ORDER BY job_id, version")
        self._ledger_flaws = [row["integrity_check"] for row in read_rows(data, "PRAGMA integrity_check")]
        self._by_request = {job["request_id"]: job for job in self._jobs.values() if job["request_id"]}
        self._unclear = {_same(json.loads(job["inputs"])) for job in self._in("submit_unclear")}

    def figures(self) -> dict[str, int]:
        """How many there are of everything, by label."""
        kept = [output for outputs in self._outputs.values() for output in outputs if output["state"] == "kept"]
        return {
            "jobs in the ledger": len(self._jobs),
            **{
                f"  {state}": number
                for state, number in sorted(Counter(j["state"] for j in self._jobs.values()).items())
            },
            "requests accepted by the service": len(self._accepted),
            "  whose job is unclear": sum(_same(request["inputs"]) in self._unclear for request in self._accepted),
            "originals kept": len(kept),
            "  compared with the service's bytes": sum(self._painted_name(output) in self._painted for output in kept),
        }

    def states_at(self, moments: Sequence[float]) -> Counter[str]:
        """How many jobs were in each state that is not at rest, summed over some moments (seconds since 1970)."""
        found: Counter[str] = Counter()
        for move, following in zip(self._moves, [*self._moves[1:], None], strict=True):
            until = following["changed_at"] if following and following["job_id"] == move["job_id"] else float("inf")
            found[move["state"]] += sum(move["changed_at"] <= moment < until for moment in moments)
        return Counter({state: number for state, number in found.items() if state not in SETTLED})

    def broken(self) -> list[str]:
        """One line for each broken promise."""
        return [*self._wrong_rows(), *self._wrong_requests(), *self._wrong_files(), *self._leftovers()]

    def _wrong_rows(self) -> Iterator[str]:
        if self._ledger_flaws != ["ok"]:
            yield f"The ledger is damaged: {self._ledger_flaws}."
        for job in self._jobs.values():
            if job["state"] not in SETTLED:
                yield f"Job {job['job_id']} is forgotten: {job['state']}."
        for job_id in sorted(self._told - set(self._jobs)):
            yield f"Job {job_id} was told to somebody and is not in the ledger."
        known = {request["request_id"] for request in self._accepted}
        for request_id in sorted(set(self._by_request) - known):
            yield f"Request {request_id} is in the ledger, and the service does not know it."

    def _wrong_requests(self) -> Iterator[str]:
        for inputs, number in Counter(_same(request["inputs"]) for request in self._accepted).items():
            if number > 1:
                yield f"These inputs were submitted {number} times: {inputs}."
        for request in self._accepted:
            request_id, inputs = request["request_id"], _same(request["inputs"])
            job = self._by_request.get(request_id)
            if job is None and inputs not in self._unclear:
                yield f"Request {request_id} was accepted, and the ledger knows neither it nor its inputs."
            if job and _same(json.loads(job["inputs"])) != inputs:
                yield f"Request {request_id} has other inputs in the ledger."
            if job and (job["state"], request["status"]) != ("done", "completed"):
                yield f"Request {request_id} is {request['status']}, its job {job['state']}: {job['detail']}."
            kept = [output for output in self._outputs[job["job_id"]] if output["state"] == "kept"] if job else []
            if job and len(kept) != request["count"]:
                yield f"Request {request_id} made {request['count']} pictures, {len(kept)} are kept."

    def _wrong_files(self) -> Iterator[str]:
        for job_id, outputs in self._outputs.items():
            for output in outputs:
                if output["state"] != "kept":
                    continue
                path = self._folder(job_id) / str(output["output_index"]) / output["file_name"]
                digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "nothing"
                if digest != output["sha256"]:
                    yield f"{path} has the digest {digest}, its row {output['sha256']}."
                if digest != self._painted.get(self._painted_name(output), digest):
                    yield f"{path} is not what the service made."

    def _leftovers(self) -> Iterator[str]:
        expected = {
            self._folder(job_id) / str(output["output_index"]) / name
            for job_id, outputs in self._outputs.items()
            for output in outputs
            if output["state"] == "kept"
            for name in (output["file_name"], "preview.webp", "thumbnail.webp")
        }
        found = {path for path in self._media.rglob("*") if path.is_file()}
        for path in sorted(expected - found):
            yield f"{path} is missing."
        for path in sorted(found - expected):
            yield f"{path} belongs to nothing."
        for path in sorted(self._media.glob("??/*")):
            if path.name not in self._jobs:
                yield f"{path} is the folder of no job."
        for path in sorted(self._media.rglob("*.partial-*")):
            yield f"{path} was left half-made."

    def _in(self, state: str) -> list[dict[str, Any]]:
        return [job for job in self._jobs.values() if job["state"] == state]

    def _folder(self, job_id: str) -> Path:
        return self._media / job_id[:2] / job_id

    def _painted_name(self, output: Mapping[str, Any]) -> str:
        return f"{self._jobs[output['job_id']]['request_id']}-{output['output_index']}"


def read_rows(data: Path, query: str) -> list[dict[str, Any]]:
    """Read the ledger of a data folder without a change to it, also while a program writes."""
    with closing(sqlite3.connect(f"{(data / 'ledger.sqlite3').as_uri()}?mode=ro", uri=True, timeout=30)) as ledger:
        ledger.row_factory = sqlite3.Row
        return [dict(row) for row in ledger.execute(query)]


def _same(inputs: Mapping[str, Any]) -> str:
    """One text for equal inputs, whatever the order of their keys."""
    return json.dumps(inputs, sort_keys=True, ensure_ascii=False)
