"""What vendors' terms say that no figure of a plan tells. Pure."""

from __future__ import annotations

YAHOO = (
    "Yahoo's interface is unofficial and for personal use only; "
    "showing its prices to other people may break its terms."
)
