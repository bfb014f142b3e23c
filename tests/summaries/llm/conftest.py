from __future__ import annotations

import pytest

from summaries.llm import openai_connection, registry
from summaries.standins.openai import OpenAIStandIn


@pytest.fixture
def standin(settings):
    """A stand-in to which the settings lead."""
    with OpenAIStandIn(cached_share=0.5).running() as running:
        settings.OPENAI_API_KEY = running.key
        settings.OPENAI_BASE_URL = running.url
        yield running
        openai_connection.close()


@pytest.fixture
def make(standin):
    """Makes a model as the registry does; what is not said is as most models have it."""

    def made(name="gpt-6-luna", **options):
        usual = {
            "vendor": "openai",
            "supports_schema": True,
            "supports_batch": False,
            "context_tokens": 128_000,
            "max_output_tokens": 16_000,
        }
        return registry.make(name, **usual | options)

    return made
