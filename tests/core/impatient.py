"""Our application under uvicorn, giving up soon on whoever stops reading: `python -m tests.core.impatient PORT`."""

from __future__ import annotations

import os
import sys

NAMES = [f"SYMBOL{number:03}" for number in range(100)]


def main(port: int) -> None:
    os.environ["DEMO_SYMBOLS"] = ",".join([*NAMES, "AAPL"])
    import uvicorn  # noqa: PLC0415 -- settings come first

    from config.asgi import application  # noqa: PLC0415 -- likewise
    from subscriptions import client, sockets  # noqa: PLC0415 -- likewise

    client.STUCK_S = sockets.CLOSE_WITHIN_S = 1.0
    uvicorn.run(application, host="127.0.0.1", port=port, log_level="warning", ws_per_message_deflate=False)


if __name__ == "__main__":
    main(int(sys.argv[1]))
