"""What language models cost, as lines for the price book: from the published lists that a package carries, or nothing
for a server of one's own.

The lists are those of the package as it is installed; nobody is asked over the network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import ROUND_UP, Decimal
from importlib.metadata import version
from ipaddress import ip_address
from urllib.parse import urlsplit

from marketdata.models import Price
from marketdata.pricebook import EVER, noted
from marketdata.providers.base import Unit

PACKAGE = "genai-prices"
# Overnight batches are told apart from other calls by this endpoint.
BATCH = "batch"
OWN_SERVER = "a server of our own, nobody bills it"
# As the price book writes amounts.
_NINE = Decimal("1e-9")
_OWN_NAMES = (".local", ".internal", ".lan", ".home.arpa", ".localhost")


def is_own_server(url: str) -> bool:
    """Whether it stands on this machine or in its network: by its name or address, nobody is asked."""
    host = (urlsplit(url).hostname or "").lower().removesuffix(".")
    try:
        return ip_address(host).is_private
    except ValueError:
        return bool(host) and ("." not in host or host.endswith(_OWN_NAMES))


def free_lines(vendor: str) -> Iterator[Price]:
    """For every model of a server that nobody bills."""
    for unit in (Unit.INPUT, Unit.CACHED, Unit.OUTPUT):
        yield _line(vendor, "", "", unit, Decimal(0), OWN_SERVER)


def listed_lines(vendor: str, model: str, now: datetime) -> list[Price]:
    """The published prices of a model; none where the lists do not have it."""
    plain = _published(vendor, model, now, {})
    batch = _published(vendor, model, now, {"processing": BATCH})
    source = f"{PACKAGE} {version(PACKAGE)}"
    lines = [_line(vendor, model, "", unit, usd, source) for unit, usd in plain.items()]
    if batch != plain:
        lines += [_line(vendor, model, BATCH, unit, usd, source) for unit, usd in batch.items()]
    return lines


def is_listed_vendor(vendor: str) -> bool:
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 -- as below

    return any(one.id == vendor for one in get_snapshot().providers)


def _published(vendor: str, model: str, now: datetime, context: Mapping[str, str]) -> dict[Unit, Decimal]:
    """Of a thousand tokens each. Long contexts, which cost more at some, are never sent: entries say how much is."""
    from genai_prices import Usage, calc_price  # noqa: PLC0415 -- 0.3 s, and only who loads prices needs it

    def usd(**tokens: int) -> Decimal:
        found = calc_price(
            Usage(**tokens),
            model,
            provider_id=vendor,
            genai_request_timestamp=now,
            price_context=context,
        )
        return found.total_price.quantize(_NINE, ROUND_UP)

    try:
        return {
            # Where writing into the vendor's cache costs more, it is done with every longer question, unasked.
            Unit.INPUT: max(usd(input_tokens=1000), usd(input_tokens=1000, cache_write_tokens=1000)),
            Unit.CACHED: usd(input_tokens=1000, cache_read_tokens=1000),
            Unit.OUTPUT: usd(output_tokens=1000),
        }
    except LookupError:
        return {}


def _line(vendor: str, model: str, endpoint: str, unit: Unit, usd: Decimal, source: str) -> Price:
    return Price(
        provider=vendor,
        plan=model,
        endpoint=endpoint,
        unit=unit.value,
        usd=usd,
        valid_from=EVER,
        note=noted(source, usd),
    )


def lines_of(vendor: str, models: Iterable[str], url: str, now: datetime) -> tuple[list[Price], list[str]]:
    """The lines for these models at this server, and those that have to be entered by hand."""
    if not is_listed_vendor(vendor):
        return (list(free_lines(vendor)), []) if is_own_server(url) else ([], sorted(models))
    found = {model: listed_lines(vendor, model, now) for model in models}
    lines = [line for name in sorted(found) for line in found[name]]
    return lines, sorted(name for name, listed in found.items() if not listed)
