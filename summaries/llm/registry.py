"""Which models there are to ask. Which one is asked, and whether, is decided by `modelbook` and `spending`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from summaries.llm.base import LanguageModel
from summaries.llm.extractive import ExtractiveModel

OPENAI_URL = "https://api.openai.com/v1"
EXTRACTIVE_MODEL: LanguageModel = ExtractiveModel()
_overrides: dict[str, LanguageModel] = {}


def is_configured() -> bool:
    """Whether a real model may be asked: there is a key, or a server of one's own, which may want none."""
    elsewhere = settings.OPENAI_BASE_URL.rstrip("/") != OPENAI_URL
    return bool(_overrides or settings.OPENAI_API_KEY or elsewhere)


def make(
    name: str,
    *,
    vendor: str,
    supports_schema: bool,
    supports_batch: bool,
    context_tokens: int,
    max_output_tokens: int,
) -> LanguageModel:
    """The model of that name; one that `supports_batch` is a `BatchModel`. Cheap: the connection is shared."""
    if name in _overrides:
        return _overrides[name]
    from summaries.llm.openai import OpenAIModel  # noqa: PLC0415 -- most processes ask no model
    from summaries.llm.openai_batches import OpenAIBatchModel  # noqa: PLC0415 -- likewise

    kind = OpenAIBatchModel if supports_batch else OpenAIModel
    return kind(name, vendor, supports_schema, context_tokens, max_output_tokens)


@contextmanager
def override(*models: LanguageModel) -> Iterator[None]:
    """Within it these are the models of their names, and models count as configured. For tests."""
    before = dict(_overrides)
    _overrides.update({model.name: model for model in models})
    try:
        yield
    finally:
        _overrides.clear()
        _overrides.update(before)
