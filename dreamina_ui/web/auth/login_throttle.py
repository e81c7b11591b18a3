"""How often a password or an API key may be guessed."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from itertools import islice
from typing import TypeVar

import anyio.to_thread

from dreamina_ui.errors import LedgerError
from dreamina_ui.ledger.job import networks_of
from dreamina_ui.ledger.sharing.sign_ins import SignInStore

log = logging.getLogger(__name__)

_T = TypeVar("_T")
FREE_ATTEMPTS = 5
FIRST_DELAY_S = 5.0
MAX_DELAY_S = 300.0
MAX_NETWORK_DELAY_S = 1.0
"""The longest delay for the whole of a larger network: its other people must get through."""

NETWORK_FACTOR = 4
"""How many times as many attempts a larger network has as the next smaller one."""

ATTEMPT_TTL_S = 3600.0
MAX_CLIENTS = 20_000
"""How many clients are remembered; the one whose last attempt is oldest is forgotten first."""

MAX_FORGOTTEN = 100
"""How many clients are forgotten at once; an attempt adds three at most."""


class LoginThrottle:
    """Some failed attempts at once, then one after each delay, which grows to minutes.

    Each client is counted by itself, over all the names that it tries; of an IPv6 address its /64, and less strictly
    its /56 and /48, of which one person may have all. There is no limit for all clients together:
    strangers could use it up and lock the owner out. Source: OWASP, "Slow Down Online Guessing Attacks with Device
    Cookies".

    Args:
        clock: seconds.
        store: where several servers count together; None for a single one.
        purpose: what is guessed: attempts at something else are counted apart.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, store: SignInStore | None = None, purpose: str = ""
    ) -> None:
        self._clock = clock
        self._store = store
        self._purpose = purpose
        self._failures: dict[str, tuple[int, float]] = {}  # by client: number of attempts, start of the last one

    async def begin_attempt(self, client: str) -> float:
        """As `record_attempt`, counted by all servers together; by this one alone while the ledger is away."""
        return await self._at_all_servers(client, lambda throttle: throttle.record_attempt(client))

    async def forgive_attempt(self, client: str) -> None:
        """As `record_success`, at all servers."""
        await self._at_all_servers(client, lambda throttle: throttle.record_success(client))

    async def _at_all_servers(self, client: str, record: Callable[[LoginThrottle], _T]) -> _T:
        """Let a throttle that knows what all servers know of this client, and nothing else, record something."""
        if self._store is None:
            return record(self)
        store, mark = self._store, f"{self._purpose} "

        def change(failures: dict[str, tuple[int, float]], now: float) -> _T:
            throttle = LoginThrottle(lambda: now)
            throttle._failures = {name.removeprefix(mark): failure for name, failure in failures.items()}
            result = record(throttle)
            failures.clear()
            failures.update({mark + name: failure for name, failure in throttle._failures.items()})
            return result

        clients = [mark + network for network, _ in networks_of(client)]
        try:
            return await anyio.to_thread.run_sync(store.change_failures, clients, ATTEMPT_TTL_S, change)
        except LedgerError as exc:
            log.warning("Attempts to sign in are counted by this server alone now: %s", exc)
            return record(self)

    def record_attempt(self, client: str) -> float:
        """Count an attempt as failed until `record_success`, so that many at once are no way around.

        Args:
            client: a hashed IP address, or the name of a browser.

        Returns:
            Seconds to wait before an attempt may be made; 0 when this one may.
        """
        now = self._clock()
        networks = networks_of(client)
        wait_s = max(self._wait_s(network, step, now) for step, (network, _) in enumerate(networks))
        if wait_s > 0:
            return wait_s
        for network, _ in networks:
            failures, _ = self._recent_failures(network, now)
            self._failures.pop(network, None)  # the newest entry is the last one
            self._failures[network] = (failures + 1, now)
        self._forget_old(now)
        return 0.0

    def _wait_s(self, network: str, step: int, now: float) -> float:
        """The seconds to wait for a client's network; `step` is 0 for the client itself."""
        failures, last = self._recent_failures(network, now)
        excess = failures - FREE_ATTEMPTS * NETWORK_FACTOR**step
        if excess < 0:
            return 0.0
        doublings: int = min(excess, 20)
        delay_s = FIRST_DELAY_S * float(2**doublings)
        return max(0.0, last + min(delay_s, MAX_NETWORK_DELAY_S if step else MAX_DELAY_S) - now)

    def _recent_failures(self, network: str, now: float) -> tuple[int, float]:
        failures, last = self._failures.get(network, (0, -math.inf))
        return (0, -math.inf) if now - last > ATTEMPT_TTL_S else (failures, last)

    def record_success(self, client: str) -> None:
        """Do not count an attempt that was right; the failures before it still count.

        Otherwise a guesser could sign in with a login of their own after every few guesses at another.
        """
        for network, _ in networks_of(client):
            failures, last = self._failures.get(network, (0, 0.0))
            if failures > 1:
                self._failures[network] = (failures - 1, last)
            else:
                self._failures.pop(network, None)

    def _forget_old(self, now: float) -> None:
        for client, (_, last) in list(islice(self._failures.items(), MAX_FORGOTTEN)):
            if now - last <= ATTEMPT_TTL_S and len(self._failures) <= MAX_CLIENTS:
                return
            del self._failures[client]
