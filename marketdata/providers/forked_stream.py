"""Several connections of one vendor as one stream: some serve shares and coins at different addresses.

The first branch opens with the stream and so proves the key; the others open with their first symbol. When one of
them is lost the whole stream is, and the owner opens it anew.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence

from marketdata.errors import ProviderDown
from marketdata.providers.vendor_stream import VendorStream
from marketdata.quotes import StreamEvent

MAX_QUEUED_BATCHES = 64


class ForkedStream:
    """`branches` make a stream by its name, `branch_of` names that of a symbol. Implements `providers.base.Stream`."""

    def __init__(
        self, name: str, branches: Mapping[str, Callable[[], VendorStream]], branch_of: Callable[[str], str]
    ) -> None:
        self.name = name
        self._makers, self._branch_of = branches, branch_of
        self._open: dict[str, VendorStream] = {}
        self._readers: list[asyncio.Task[None]] = []
        self._queue: asyncio.Queue[Sequence[StreamEvent] | Exception | None] = asyncio.Queue(
            MAX_QUEUED_BATCHES
        )
        self._is_closed = False

    async def open(self) -> None:
        """Raises ProviderError, and then nothing stays open."""
        await self._branch(next(iter(self._makers)))

    async def subscribe(self, symbols: Collection[str]) -> None:
        for name, group in self._grouped(symbols).items():
            await (await self._branch(name)).subscribe(group)

    async def unsubscribe(self, symbols: Collection[str]) -> None:
        for name, group in self._grouped(symbols).items():
            if name in self._open:
                await self._open[name].unsubscribe(group)

    async def batches(self) -> AsyncIterator[Sequence[StreamEvent]]:
        while not self._is_closed:
            found = await self._queue.get()
            if isinstance(found, Exception):
                raise found
            if found is not None:
                yield found

    async def close(self) -> None:
        self._is_closed = True
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        for stream in self._open.values():
            await stream.close()
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)  # wakes whoever waits in `batches`

    def _grouped(self, symbols: Collection[str]) -> Mapping[str, list[str]]:
        groups = defaultdict(list)
        for symbol in symbols:
            groups[self._branch_of(symbol)].append(symbol)
        return groups

    async def _branch(self, name: str) -> VendorStream:
        if self._is_closed:
            raise ProviderDown(f"{self.name}: the stream is closed")
        if name not in self._open:
            stream = self._makers[name]()
            await stream.open()
            self._open[name] = stream
            self._readers.append(asyncio.create_task(self._read(stream)))
        return self._open[name]

    async def _read(self, stream: VendorStream) -> None:
        try:
            async for batch in stream.batches():
                await self._queue.put(batch)
        except Exception as error:  # noqa: BLE001 -- raised again in `batches`, where somebody reads
            await self._queue.put(error)
