"""The button that has analyses of a ticker made anew; a page with a script asks the API instead."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_POST

from accounts.models import User
from dashboard.analysis_page import wanted_words
from dashboard.moments import zone_of
from marketdata.errors import InvalidSymbol
from marketdata.models import Ticker
from marketdata.symbols import canonical
from summaries import refreshing
from summaries.errors import TooManyRefreshes


@require_POST
@login_required
def analyses_refresh(request: HttpRequest, symbol: str) -> HttpResponse:
    user = cast(User, request.user)  # behind login_required
    try:
        ticker = get_object_or_404(Ticker, symbol=canonical(symbol))
    except InvalidSymbol as error:
        raise Http404(str(error)) from error
    try:
        wanted = refreshing.want(user, ticker)
    except TooManyRefreshes as error:
        messages.error(request, str(error))
    else:
        messages.success(request, wanted_words(wanted, ticker.symbol, zone_of(user.time_zone)))
    return HttpResponseRedirect(f"{reverse('ticker', args=[ticker.symbol])}?tab=analyses")
