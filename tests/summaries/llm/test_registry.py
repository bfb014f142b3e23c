from __future__ import annotations

import os
import warnings

import pytest

from summaries.kinds import EXTRACTIVE
from summaries.llm import openai_connection, registry
from summaries.llm.extractive import ExtractiveModel
from summaries.llm.openai import OpenAIModel
from summaries.llm.openai_batches import OpenAIBatchModel

OPTIONS = {"vendor": "openai", "supports_schema": True, "context_tokens": 1000, "max_output_tokens": 100}


@pytest.mark.parametrize(("key", "url", "is_configured"), [
    ("", "https://api.openai.com/v1", False),
    ("", "https://api.openai.com/v1/", False),
    ("sk-1", "https://api.openai.com/v1", True),
    ("", "http://127.0.0.1:8000/v1", True),
])  # fmt: skip
def test_a_key_or_a_server_of_ones_own_makes_it_configured(settings, key, url, is_configured):
    settings.OPENAI_API_KEY, settings.OPENAI_BASE_URL = key, url

    assert registry.is_configured() is is_configured


def test_a_model_that_supports_batches_can_take_them():
    plain = registry.make("m", supports_batch=False, **OPTIONS)
    batch = registry.make("m", supports_batch=True, **OPTIONS)

    assert (type(plain), type(batch)) == (OpenAIModel, OpenAIBatchModel)
    assert (hasattr(plain, "submit"), hasattr(batch, "submit")) == (False, True)


def test_what_is_put_in_for_a_test_is_what_is_made(settings):
    settings.OPENAI_API_KEY = ""
    mine = ExtractiveModel()

    with registry.override(mine):
        assert registry.make(EXTRACTIVE, supports_batch=False, **OPTIONS) is mine
        assert registry.is_configured()
    assert not registry.is_configured()


def test_one_that_was_put_in_within_another_gives_it_back():
    outer, inner = ExtractiveModel(), ExtractiveModel()

    with registry.override(outer):
        with registry.override(inner):
            pass
        assert registry.make(EXTRACTIVE, supports_batch=False, **OPTIONS) is outer


def test_a_process_has_one_connection_for_each_server(settings):
    settings.OPENAI_BASE_URL = "http://127.0.0.1:9/v1"
    try:
        assert openai_connection.shared() is openai_connection.shared()
    finally:
        openai_connection.close()


def fork():
    with warnings.catch_warnings():
        # Newer versions of Python warn that threads are lost: that is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def test_a_forked_process_opens_its_own(settings):
    settings.OPENAI_BASE_URL = "http://127.0.0.1:9/v1"
    ours = openai_connection.shared()
    try:
        child = fork()
        if child == 0:
            has_own = False
            try:
                has_own = openai_connection.shared() is not ours
            finally:
                os._exit(0 if has_own else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        openai_connection.close()
