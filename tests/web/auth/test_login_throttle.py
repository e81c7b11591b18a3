"""How often a password may be guessed, from one place and from many."""

from __future__ import annotations

from dreamina_ui.web.auth import login_throttle
from dreamina_ui.web.auth.login_throttle import FREE_ATTEMPTS, NETWORK_FACTOR, LoginThrottle
from dreamina_ui.web.http import client_ip_hash


class _Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def _attempts(throttle: LoginThrottle, hosts: list[str]) -> int:
    return sum(throttle.record_attempt(client_ip_hash(host)) == 0 for host in hosts)


def test_a_homes_networks_give_few_more_attempts() -> None:
    """A provider gives each customer 256 or 65,536 IPv6 networks of the size that counts as one client."""
    throttle = LoginThrottle(_Clock())
    assert _attempts(throttle, [f"2001:db8:1:{number:x}::1" for number in range(256)]) == FREE_ATTEMPTS * NETWORK_FACTOR
    hosts = [f"2001:db8:1:{number * 256:x}::1" for number in range(1, 256)]
    assert _attempts(throttle, hosts) == FREE_ATTEMPTS * NETWORK_FACTOR * (NETWORK_FACTOR - 1)
    assert _attempts(throttle, [f"10.0.0.{number}" for number in range(250)]) == 250, "IPv4 addresses are alone"


def test_the_others_of_a_large_network_get_through() -> None:
    """A neighbor who guesses delays them by a second, not by minutes."""
    clock = _Clock()
    throttle = LoginThrottle(clock)
    _attempts(throttle, [f"2001:db8:1:{number:x}::1" for number in range(65_536)][:2000])
    clock.now_s = 1.0
    assert throttle.record_attempt(client_ip_hash("2001:db8:1:ffff::1")) == 0


def test_clients_are_forgotten_in_the_end() -> None:
    """A stranger with many IP addresses must not fill the memory."""
    throttle = LoginThrottle(_Clock())
    for number in range(login_throttle.MAX_CLIENTS + 500):
        throttle.record_attempt(f"client {number}")
    assert len(throttle._failures) <= login_throttle.MAX_CLIENTS + 1
