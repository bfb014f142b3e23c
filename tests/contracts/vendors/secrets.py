"""Looking for a key where no key may be."""

from __future__ import annotations

import traceback

from tests.contracts.vendors.case import KEY, SECRET


def assert_untold(*things):
    """No secret in the text, the repr, or, for errors, the whole chain of causes and contexts."""
    text = "\n".join(_text(thing) for thing in things)
    assert [secret for secret in (KEY, SECRET) if secret in text] == []


def _text(thing):
    chain = "".join(traceback.format_exception(thing)) if isinstance(thing, BaseException) else ""
    links = "".join(_links(thing)) if isinstance(thing, BaseException) else ""
    return f"{thing} {thing!r} {chain} {links}"


def _links(error):
    """Also the contexts that `from None` hides from a trace: they are still there to be logged."""
    seen = []
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one is None or one in seen:
            continue
        seen.append(one)
        waiting += [one.__cause__, one.__context__]
        yield f"{one} {one!r} {one.args!r}"
