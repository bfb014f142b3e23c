"""Whether a price that does not stream is older than it should be.

One rule for the live stream, the API and the pages, so that they agree. It is about how old the knowledge is and not
how old the trade is: a price that is polled is good while the polls come in their rhythm, one that streamed is good
for a moment after its stream ended. While the market is closed nothing moves, and a lost stream makes nothing wrong.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from marketdata import freshness
from marketdata.quotes import Quote, Session

# A stream that is back so soon has left no hole worth telling. With the second until its end is said, and the two
# until a hub looks again, clients are told within five.
BACK_WITHIN = timedelta(seconds=1.5)
# What was published so soon after the end of a stream had come out of it.
STILL_STREAMED = timedelta(seconds=0.5)
# Clients are to be told before twice the time to live has passed, and a hub looks every two seconds.
LOOK_ROOM = timedelta(seconds=4)


def is_stale(quote: Quote, now: datetime, lost_at: datetime | None) -> bool:
    """Of a quote that does not stream now; `lost_at` is when its stream ended, None if it was not streamed."""
    if lost_at is not None and quote.received_at > lost_at + STILL_STREAMED:
        lost_at = None  # somebody else has supplied it since
    provider = freshness.provider_named(quote.provider)
    if lost_at is not None:
        if freshness.session_from(provider, quote.symbol, now) is not Session.CLOSED:
            return now >= lost_at + BACK_WITHIN
    elif now < quote.expires_at:
        return False
    # By what is true now: after the close it is asked more seldom than was right when it was received.
    ttl = freshness.ttl_from(provider, quote.symbol, now)
    known_at = max(quote.received_at, lost_at or quote.received_at)
    return now >= max(quote.expires_at, known_at + ttl) + ttl - LOOK_ROOM
