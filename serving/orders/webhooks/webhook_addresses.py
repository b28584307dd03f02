"""Addresses that messages may go to: parsed, brought into one form, and looked up before anything is sent.

An address comes from a party, so it is not trusted: it must not lead into the own network, and what it looks
like must be what is asked.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from serving.settings import Settings

LONGEST = 500
"""Characters of an address."""
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_PRINTABLE = re.compile(r"[\x21-\x7e]*")
_LONGEST_NAME = 253

Lookup = Callable[[str, int, float], list[str]]
"""Host, port and seconds to the addresses of a name; raises OSError where there are none."""


class AddressRefusedError(ValueError):
    """Nothing may be sent there; the message says why."""


@dataclass(frozen=True)
class AddressRules:
    """What an operator allows.

    Attributes:
        http: Addresses without TLS; personal data never go there.
        private: Addresses inside the own network (private, loopback, link-local and the like).
        lookup_s: Seconds that looking a name up may take.
    """

    http: bool = False
    private: bool = False
    lookup_s: float = 3.0


STRICT = AddressRules()
"""Only https, only outside of the own network."""


def address_rules(settings: Settings) -> AddressRules:
    """What the operator set."""
    return AddressRules(settings.webhook_http, settings.webhook_private)


@dataclass(frozen=True)
class Address:
    """An address in its one form.

    Attributes:
        secure: Whether it is https.
        host: Name in lower case (of other scripts in its ASCII form), or a bare IP address.
        port: Also where the address names none.
        target: Path and query, as sent.
    """

    secure: bool
    host: str
    port: int
    target: str

    def __str__(self) -> str:
        """The address as it is stored and shown."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == (443 if self.secure else 80) else f":{self.port}"
        return f"{'https' if self.secure else 'http'}://{host}{port}{self.target}"


def parse(url: str, rules: AddressRules) -> Address:
    """Read an address without asking anybody.

    Raises:
        AddressRefusedError: It is none, or not one that the rules allow.
    """
    if len(url) > LONGEST:
        raise AddressRefusedError(f"it has more than {LONGEST} characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise AddressRefusedError(f"it is no address: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise AddressRefusedError("only http and https addresses with a host are possible")
    secure = parts.scheme == "https"
    if not secure and not rules.http:
        raise AddressRefusedError("it must be https (an operator may allow http with MUYUN_WEBHOOK_HTTP)")
    if parts.username is not None or parts.password is not None:
        raise AddressRefusedError("a user name or a password does not belong into an address")
    if parts.fragment:
        raise AddressRefusedError("a fragment (#) is never sent; leave it out")
    if port == 0:
        raise AddressRefusedError("port 0 is none")
    target = _target(parts)
    if not _PRINTABLE.fullmatch(target):
        raise AddressRefusedError("path and query must be ASCII; percent-encode other characters")
    return Address(secure, _host(parts.hostname), port or (443 if secure else 80), target)


def resolve(address: Address, rules: AddressRules, lookup: Lookup | None = None) -> str:
    """The IP address to connect to; every one that the name stands for must be allowed.

    Args:
        address: A parsed address.
        rules: What is allowed.
        lookup: Looks names up; None asks the system.

    Raises:
        AddressRefusedError: The name is unknown, or an address lies inside the own network.
    """
    try:
        found = (lookup or look_up)(address.host, address.port, rules.lookup_s)
    except OSError as error:
        raise AddressRefusedError(f"{address.host} cannot be looked up: {error}") from error
    for one in found:
        if not rules.private and not _is_public(one):
            raise AddressRefusedError(f"{address.host} is inside the own network")
    return found[0]


def look_up(host: str, port: int, seconds: float) -> list[str]:
    """The addresses of a name, by the resolver of the system, which has no time limit of its own.

    Raises:
        OSError: There are none, or the answer took too long.
    """
    answer: list[list[str] | OSError] = []

    def ask() -> None:
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answer.append([str(row[4][0]) for row in rows])
        except (OSError, UnicodeError) as error:
            answer.append(error if isinstance(error, OSError) else OSError(str(error)))

    thread = threading.Thread(target=ask, name="webhook-lookup", daemon=True)
    thread.start()
    thread.join(seconds)
    if not answer:
        raise TimeoutError(f"no answer within {seconds:g} s")
    if isinstance(answer[0], OSError):
        raise answer[0]
    return answer[0]


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _host(hostname: str) -> str:
    try:
        return str(ipaddress.ip_address(hostname))
    except ValueError:
        pass
    name = hostname.rstrip(".").lower()
    try:
        name = name.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise AddressRefusedError(f"the host {hostname!r} is no name: {error}") from error
    labels = name.split(".")
    if len(name) > _LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressRefusedError(f"the host {hostname!r} is no name")
    if labels[-1].isdigit() or labels[-1].startswith("0x"):
        raise AddressRefusedError(f"the host {hostname!r} is neither a name nor an IP address")
    return name


def _is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.split("%", 1)[0])
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_global and not found.is_multicast
