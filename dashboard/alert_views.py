"""The list of alerts, and the form that makes and changes one, beside what the past says of it."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts.models import User
from alerts import rules
from alerts.errors import AlertError, AlertLimit, InvalidRule
from alerts.models import Alert
from core import clock
from dashboard.alert_form import AlertForm, first_values, initial_of
from dashboard.alert_list import Wish, channels_of, list_of
from dashboard.alert_page import TickerLine, history_of, places_words, quote_of, sent_to_words
from dashboard.alert_rows import AlertRow
from dashboard.backtest_page import BacktestView, backtest_of, rule_of
from dashboard.inbox_views import place_of
from dashboard.moments import zone_of
from marketdata.errors import InvalidSymbol
from marketdata.models import Ticker
from marketdata.symbols import canonical

REFUSALS = (InvalidRule, AlertError, InvalidSymbol)


@require_safe
@never_cache
@login_required
def alerts_page(request: HttpRequest) -> HttpResponse:
    found = list_of(_user(request), Wish.of(request.GET.dict()), clock.now())
    # An open page asks for what it shows again, without taking the messages of another.
    template = "dashboard/alerts_part.html" if "X-Fragment" in request.headers else "dashboard/alerts.html"
    return render(request, template, {"list": found, "back": request.get_full_path()})


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def alert_new(request: HttpRequest) -> HttpResponse:
    user = _user(request)
    if request.method != "POST":
        return _page(request, AlertForm(initial=_first(request.GET)))
    form = AlertForm(request.POST)
    if not form.is_valid():
        return _page(request, form, status=HTTPStatus.BAD_REQUEST)
    try:
        alert = rules.create(user, form.fields_of_rule(zone_of(user.time_zone)))
    except REFUSALS as error:
        return _page(request, form, status=_refuse(form, error))
    messages.success(request, f"Alert on {alert.ticker.symbol} created")
    return redirect(place_of(request, reverse("alerts")))


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def alert_page(request: HttpRequest, alert_id: int) -> HttpResponse:
    alert = _alert_or_404(request, alert_id)
    if request.method != "POST":
        return _page(request, AlertForm(initial=initial_of(alert)), alert)
    form = AlertForm(request.POST, initial=initial_of(alert))
    if not form.is_valid():
        return _page(request, form, alert, status=HTTPStatus.BAD_REQUEST)
    try:
        rules.edit(alert, form.changes_of_rule(zone_of(alert.user.time_zone)))
    except REFUSALS as error:
        return _page(request, form, alert, status=_refuse(form, error))
    messages.success(request, f"Alert on {alert.ticker.symbol} saved")
    return redirect("alerts")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def alert_try(request: HttpRequest) -> HttpResponse:
    """The form again, not saved, with what the past says; `fragment` leaves out everything else."""
    if request.method != "POST":
        return redirect("alert_new")
    given = request.POST.copy()
    if band := given.get("use_band"):
        given["rearm_band"] = band
        given["mode"] = "repeat" if given.get("mode") == "once" else given.get("mode", "repeat")
    wish = given.get("alert", "")
    alert = (
        _alert_or_404(request, int(wish)) if wish.isascii() and wish.isdigit() and len(wish) < 19 else None
    )
    form = AlertForm(given)
    if "fragment" not in given:
        return _page(request, form, alert)
    context = _beside(form, _user(request), alert)
    return render(request, "dashboard/alert_try.html", {"form": form, "alert": alert, **context})


def _first(given: Mapping[str, str]) -> dict[str, Any]:
    ticker = _ticker(given.get("symbol", ""))
    quote = quote_of(ticker) if ticker else None
    symbol, price = ticker.symbol if ticker else "", quote.price if quote else None
    return dict(first_values(symbol, price, given.get("kind", ""), given.get("level", "")))


def _page(
    request: HttpRequest, form: AlertForm, alert: Alert | None = None, status: HTTPStatus = HTTPStatus.OK
) -> HttpResponse:
    user, now = _user(request), clock.now()
    zone = zone_of(user.time_zone)
    context: dict[str, Any] = {
        "form": form,
        "alert": alert,
        "places": places_words(user, now),
        **_beside(form, user, alert),
    }
    if alert is not None:
        context |= {"row": AlertRow(alert, None, now, zone), "history": history_of(alert, now, zone)}
    else:
        context |= {"list": list_of(user, Wish(), now), "back": reverse("alerts")}
    return render(request, "dashboard/alert.html", context, status=status)


def _beside(form: AlertForm, user: User, alert: Alert | None) -> dict[str, Any]:
    """What depends on what the form says: the ticker's price, whom it tells, the back-test."""
    ticker = alert.ticker if alert else _ticker(str(form["symbol"].value() or ""))
    line = TickerLine.of(ticker, quote_of(ticker), clock.now()) if ticker else None
    return {
        "ticker_line": line,
        "sent_to": sent_to_words(channels_of(user), str(form["priority"].value())),
        "backtest": _backtest(form, user, ticker) if ticker else None,
    }


def _backtest(form: AlertForm, user: User, ticker: Ticker) -> BacktestView | None:
    """None while the form does not say a rule yet. An unfinished form is no error here: it is being filled in."""
    zone = zone_of(user.time_zone)
    given = form if form.is_bound else AlertForm({**first_choices(), **form.initial})
    if not given.is_valid():
        return None
    try:
        rule = rule_of(given.fields_of_rule(zone), quote_of(ticker), user.time_zone)
    except InvalidRule:
        return None
    return backtest_of(ticker, rule, zone)


def first_choices() -> dict[str, Any]:
    """What an empty form has chosen."""
    return {name: field.initial for name, field in AlertForm.base_fields.items() if field.initial is not None}


def _refuse(form: AlertForm, error: Exception) -> HTTPStatus:
    """The status that goes with it; the form says why."""
    if isinstance(error, InvalidRule):
        form.refuse(error)
        return HTTPStatus.BAD_REQUEST
    if isinstance(error, AlertLimit):
        form.add_error(None, str(error))
        return HTTPStatus.FORBIDDEN
    form.add_error(None if form.data.get("alert") else "symbol", str(error))
    return HTTPStatus.BAD_REQUEST


def _ticker(text: str) -> Ticker | None:
    try:
        return Ticker.objects.filter(symbol=canonical(text)).first() if text else None
    except InvalidSymbol:
        return None


def _alert_or_404(request: HttpRequest, alert_id: int) -> Alert:
    """Of this user; what is deleted is gone."""
    rows = Alert.objects.filter(user=_user(request), deleted_at=None).select_related("ticker", "user")
    return get_object_or_404(rows, pk=alert_id)


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)  # behind login_required
