"""The page of providers in the administration: order, capabilities, quotas, breakers, what the chain did and why."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST
from redis.exceptions import RedisError

from core import http
from core.database import in_thread
from marketdata import diagnosis, health
from marketdata.providers import attempts, breakers, registry
from marketdata.providers.attempts import Attempt
from marketdata.providers.base import Provider
from marketdata.providers.chain import breaker_name
from marketdata.providers.registry import Purpose

PAGE = "admin:marketdata_providers"


class ProvidersPage(admin.ModelAdmin):  # type: ignore[type-arg]
    """Mixed into the admin of upstreams, below whose address the page lies."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("providers/", wrap(self.providers_page), name="marketdata_providers"),
            path(
                "providers/<str:name>/test/",
                wrap(require_POST(self.test_call)),
                name="marketdata_provider_test",
            ),
            path(
                "providers/<str:name>/close/",
                wrap(require_POST(self.close_breakers)),
                name="marketdata_provider_close",
            ),
            *super().get_urls(),
        ]

    def providers_page(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": "Providers",
            "opts": self.opts,
            "may_act": may_act(request),
            **_found(),
        }
        return render(request, "admin/marketdata/providers.html", context)

    def test_call(self, request: HttpRequest, name: str) -> HttpResponseRedirect:
        """One metered request, past nothing: quota and breaker decide as for everybody."""
        provider = _named(request, name)
        if provider is not None:
            _tell(request, asyncio.run(_asked(provider)))
        return redirect(PAGE)

    def close_breakers(self, request: HttpRequest, name: str) -> HttpResponseRedirect:
        """For a key that was put right: ask again at once."""
        provider = _named(request, name)
        if provider is not None:
            for purpose in Purpose:
                breakers.reset(breaker_name(provider, purpose))
            messages.success(request, f"{provider.capabilities.label} is asked again.")
        return redirect(PAGE)


def may_act(request: HttpRequest) -> bool:
    """A test call costs money and a closed breaker may: only for who may change upstreams."""
    return request.user.has_perm("marketdata.change_upstream")


def _named(request: HttpRequest, name: str) -> Provider | None:
    if not may_act(request):
        raise PermissionDenied
    try:
        return registry.provider(name)
    except KeyError:
        messages.error(request, "This provider is not configured.")
        return None


async def _asked(provider: Provider) -> Attempt:
    try:
        symbols = await in_thread(diagnosis.symbols_to_compare)
        _, account = await diagnosis.test_call(provider, symbols)
    finally:
        await http.close_client()
    return account


def _tell(request: HttpRequest, account: Attempt) -> None:
    if account.fine:
        took = f"{account.took_s * 1000:.0f} ms"
        messages.success(request, f"{account.provider} answered for {account.symbols} symbols in {took}.")
    else:
        outcome = (account.kind or account.skip or "no answer").replace("_", " ")
        messages.warning(request, f"{account.provider}: {outcome}. {account.detail}")


def _found() -> dict[str, Any]:
    try:
        runs = [{**run, "at": datetime.fromisoformat(run["at"])} for run in attempts.recent()]
        return {"providers": health.providers(), "runs": runs, "away": False}
    except RedisError:
        return {"providers": [], "runs": [], "away": True}
