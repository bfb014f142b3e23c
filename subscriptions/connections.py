"""How many live connections a user has, over all processes: a set per user in Redis, exact under concurrency.

A member names its process, and a process says every two seconds that it is there; members of a process that has
died count for nobody. Redis may forget everything: a process that finds its own sign of life gone writes its
connections down again. While Redis is away only the connections of this process are counted.
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
# Written down in one go; in between others have their turn.
WRITTEN_AT_ONCE = 500

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
        self._left: dict[str, uuid.UUID] = {}  # Redis was away when they went
        self._number = 0

    @property
    def count(self) -> int:
        return len(self._mine)

    async def enter(self, asked: Sequence[tuple[uuid.UUID, int]]) -> list[str | None]:
        """For each user and limit the member that stands for the new connection; None over the limit."""
        counts = Counter(self._mine.values())
        members: list[str | None] = []
        for user, limit in asked:
            counts[user] += 1
            members.append(self._next() if counts[user] <= limit else None)
        candidates = [
            (member, user, limit) for member, (user, limit) in zip(members, asked, strict=True) if member
        ]
        let_in = set(await self._ask(candidates))
        self._mine |= {member: user for member, user, _ in candidates if member in let_in}
        return [member if member in let_in else None for member in members]

    def _next(self) -> str:
        self._number += 1
        return f"{self.process}:{self._number}"

    async def _ask(self, candidates: Sequence[tuple[str, uuid.UUID, int]]) -> list[str]:
        """Those for whom there is room over all processes."""
        everybody = [member for member, _, _ in candidates]
        if not candidates:
            return []
        keys = [key_of(user) for _, user, _ in candidates]
        arguments = [part for member, _, limit in candidates for part in (member, limit)]
        redis = async_client()
        try:
            await redis.set(alive_key(self.process), 1, ex=PROCESS_LIVES_S)
            answers = await redis.eval(ENTER, len(keys), *keys, *arguments)
        except RedisError:
            metrics.redis_failures.labels(used_by="connections").inc()
            return everybody
        return [member for member, inside in zip(everybody, answers, strict=True) if inside]

    async def leave(self, members: Collection[str]) -> None:
        left = {member: user for member in members if (user := self._mine.pop(member, None))}
        try:
            await self._strike_out(left)
        except RedisError:
            metrics.redis_failures.labels(used_by="connections").inc()

    async def beat(self) -> None:
        """This process is there, and so are its connections. Raises RedisError."""
        known = await async_client().set(alive_key(self.process), 1, ex=PROCESS_LIVES_S, get=True)
        left, self._left = self._left, {}
        await self._strike_out(left)
        if known is None:  # Redis has forgotten us, or others hold us for dead
            await self.write_down()

    async def _strike_out(self, left: dict[str, uuid.UUID]) -> None:
        """Raises RedisError, and is tried again with the next beat."""
        if not left:
            return
        pipe = async_client().pipeline(transaction=False)
        for member, user in left.items():
            pipe.srem(key_of(user), member)
        try:
            await pipe.execute()
        except RedisError:
            self._left |= left
            raise

    async def write_down(self) -> None:
        """All of them again: what lies in Redis runs out. Raises RedisError."""
        mine = list(self._mine.items())
        for start in range(0, len(mine), WRITTEN_AT_ONCE):
            some = dict(mine[start : start + WRITTEN_AT_ONCE])
            pipe = async_client().pipeline(transaction=False)
            for member, user in some.items():
                pipe.sadd(key_of(user), member)
                pipe.expire(key_of(user), FORGOTTEN_AFTER_S)
            await pipe.execute()
            # Who went meanwhile may have been struck out before he was written down.
            await self._strike_out({one: user for one, user in some.items() if one not in self._mine})


def key_of(user: uuid.UUID) -> str:
    return f"hub:connections:{user}"


def alive_key(process: str) -> str:
    return f"hub:alive:{process}"
