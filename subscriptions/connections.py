"""How many live connections a user has, over all processes: a set per user in Redis, exact under concurrency.

A member names its process, and a process says every two seconds that it is there; members of a process that has
died count for nobody. Redis may forget everything: each process writes its own down again with every beat. While
Redis is away only the connections of this process are counted.
"""

from __future__ import annotations

import secrets
import uuid
from collections import Counter
from collections.abc import Collection, Sequence

from redis.exceptions import RedisError

from core import metrics
from core.redis import async_client

PROCESS_LIVES_S = 6
BEAT_EVERY_S = 2.0
# Nothing of it need outlive the processes.
FORGOTTEN_AFTER_S = 60

# KEYS: the set of each user. ARGV: the member and the limit of each; 1 where it was let in.
ENTER = f"""
local answers = {{}}
for i = 1, #KEYS do
  local member, limit = ARGV[i * 2 - 1], tonumber(ARGV[i * 2])
  local members, alive = redis.call('SMEMBERS', KEYS[i]), 0
  for _, one in ipairs(members) do
    if redis.call('EXISTS', 'hub:alive:' .. string.match(one, '^[^:]*')) == 1 then
      if one ~= member then alive = alive + 1 end
    else
      redis.call('SREM', KEYS[i], one)
    end
  end
  if alive < limit then
    redis.call('SADD', KEYS[i], member)
    redis.call('EXPIRE', KEYS[i], {FORGOTTEN_AFTER_S})
    answers[i] = 1
  else
    answers[i] = 0
  end
end
return answers
"""


class Connections:
    """Those of this process."""

    def __init__(self) -> None:
        self.process = secrets.token_hex(6)
        self._mine: dict[str, uuid.UUID] = {}
        self._number = 0

    async def enter(self, asked: Sequence[tuple[uuid.UUID, int]]) -> list[str | None]:
        """For each user and limit the member that stands for the new connection; None over the limit."""
        members = [self._next() for _ in asked]
        counts = Counter(self._mine.values())
        allowed = []
        for user, limit in asked:
            counts[user] += 1
            allowed.append(counts[user] <= limit)
        inside = await self._ask(asked, members)
        found = []
        for (user, _), member, here, everywhere in zip(asked, members, allowed, inside, strict=True):
            if here and everywhere:
                self._mine[member] = user
            found.append(member if here and everywhere else None)
        return found

    def _next(self) -> str:
        self._number += 1
        return f"{self.process}:{self._number}"

    async def _ask(self, asked: Sequence[tuple[uuid.UUID, int]], members: Sequence[str]) -> list[bool]:
        keys = [key_of(user) for user, _ in asked]
        arguments = [
            part for (_, limit), member in zip(asked, members, strict=True) for part in (member, limit)
        ]
        redis = async_client()
        try:
            await redis.set(alive_key(self.process), 1, ex=PROCESS_LIVES_S)
            return [bool(one) for one in await redis.eval(ENTER, len(keys), *keys, *arguments)]
        except RedisError:
            metrics.redis_failures.labels(used_by="connections").inc()
            return [True] * len(asked)

    async def leave(self, members: Collection[str]) -> None:
        left = [(member, user) for member in members if (user := self._mine.pop(member, None))]
        if not left:
            return
        pipe = async_client().pipeline(transaction=False)
        for member, user in left:
            pipe.srem(key_of(user), member)
        try:
            await pipe.execute()
        except RedisError:  # the process no longer writes them down, so they run out
            metrics.redis_failures.labels(used_by="connections").inc()

    async def beat(self) -> None:
        """This process is there. Raises RedisError."""
        await async_client().set(alive_key(self.process), 1, ex=PROCESS_LIVES_S)

    async def write_down(self) -> None:
        """All of them again, for a Redis that may have forgotten. Raises RedisError."""
        pipe = async_client().pipeline(transaction=False)
        for member, user in self._mine.items():
            pipe.sadd(key_of(user), member)
            pipe.expire(key_of(user), FORGOTTEN_AFTER_S)
        await pipe.execute()


def key_of(user: uuid.UUID) -> str:
    return f"hub:connections:{user}"


def alive_key(process: str) -> str:
    return f"hub:alive:{process}"
