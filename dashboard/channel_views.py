"""Where notifications go: the channels of one user, what each did last, and a test that says how it went."""

from __future__ import annotations

from http import HTTPStatus
from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import User
from alerts import channels, confirming
from alerts.deliveries.vapid import public_key
from alerts.errors import ChannelLimit, InvalidRule, TooManyConfirmations, TooManyTests, Unconfirmed
from alerts.models import Channel, ChannelKind, ChannelState
from core import clock
from dashboard.channel_form import ChannelForm, NewChannelForm
from dashboard.channel_page import ChannelRow
from dashboard.moments import zone_of


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def channels_page(request: HttpRequest) -> HttpResponse:
    """A new channel is answered with the page itself: a redirect would have to keep its secret on the way."""
    if request.method != "POST":
        return _channels(request, NewChannelForm())
    form = NewChannelForm(request.POST)
    if not form.is_valid():
        return _channels(request, form, HTTPStatus.BAD_REQUEST)
    try:
        made = channels.create(_user(request), form.fields_of_channel)
    except InvalidRule as error:
        form.refuse(error)
        return _channels(request, form, HTTPStatus.BAD_REQUEST)
    except ChannelLimit as limit:
        form.add_error(None, str(limit))
        return _channels(request, form, HTTPStatus.FORBIDDEN)
    if made.secret:
        return _channels(request, NewChannelForm(), HTTPStatus.CREATED, made)
    _say_added(request, made)
    return redirect("channels")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def channel_page(request: HttpRequest, channel_id: int) -> HttpResponse:
    channel = _channel_or_404(request, channel_id)
    others = [one for one in _user(request).channels.all() if one.pk != channel.pk]
    if request.method != "POST":
        return _channel(request, channel, ChannelForm(channel, others))
    form = ChannelForm(channel, others, request.POST)
    if not form.is_valid():
        return _channel(request, channel, form, HTTPStatus.BAD_REQUEST)
    try:
        channels.edit(channel, form.fields_of_channel)
    except InvalidRule as error:
        form.refuse(error)
        return _channel(request, channel, form, HTTPStatus.BAD_REQUEST)
    messages.success(request, f"{channel.name} saved")
    return redirect("channels")


@require_POST
@never_cache
@login_required
def channel_act(request: HttpRequest, channel_id: int) -> HttpResponse:
    channel = _channel_or_404(request, channel_id)
    act = request.POST.get("act", "")
    if act == "rotate" and channel.kind == ChannelKind.WEBHOOK:
        channels.rotate_secret(channel)
        return _channels(request, NewChannelForm(), HTTPStatus.OK, channel)
    if act in TRIES:
        TRIES[act](request, channel)
    elif act == "enable":
        channels.enable(channel)
        messages.success(request, f"{channel.name} is switched on")
    elif act == "disable":
        channels.disable(channel)
        messages.success(request, f"{channel.name} is switched off")
    else:
        return HttpResponseBadRequest("What is to be done is missing.", content_type="text/plain")
    return redirect("channels")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def channel_remove(request: HttpRequest, channel_id: int) -> HttpResponse:
    """GET asks, POST does: what was sent to it goes with it, so there is no undo."""
    channel = _channel_or_404(request, channel_id)
    if request.method != "POST":
        return render(request, "dashboard/channel_remove.html", {"channel": channel})
    channels.remove(channel)
    messages.success(request, f"{channel.name} removed")
    return redirect("channels")


def _test(request: HttpRequest, channel: Channel) -> None:
    try:
        outcome = channels.test(channel)
    except (TooManyTests, Unconfirmed) as refusal:
        messages.error(request, str(refusal))
        return
    if outcome.is_sent:
        messages.success(request, f"Test sent to {channel.name}. See that it arrives.")
    else:
        messages.error(request, f"The test of {channel.name} failed: {outcome.error}")


def _ask(request: HttpRequest, channel: Channel) -> None:
    try:
        outcome = confirming.ask(channel)
    except TooManyConfirmations as limit:
        messages.error(request, str(limit))
        return
    if outcome.is_sent:
        messages.success(request, f"A mail with a link was sent to {channel.label}.")
    else:
        messages.error(request, f"No mail was sent. {outcome.error}")


TRIES = {"test": _test, "confirm": _ask}


def _say_added(request: HttpRequest, made: Channel) -> None:
    if made.state != ChannelState.UNCONFIRMED:
        messages.success(request, f"{made.name} added. Send a test to see that it arrives.")
    elif made.last_error:
        messages.error(request, f"{made.name} added, but not confirmed. {made.last_error}")
    else:
        messages.success(
            request, f"{made.name} added. Follow the link in the mail that was sent to {made.label}."
        )


def _channels(
    request: HttpRequest,
    form: NewChannelForm,
    status: HTTPStatus = HTTPStatus.OK,
    made: Channel | None = None,
) -> HttpResponse:
    user, now = _user(request), clock.now()
    zone = zone_of(user.time_zone)
    rows = [ChannelRow(one, now, zone) for one in user.channels.select_related("failover").order_by("pk")]
    context = {
        "form": form,
        "rows": rows,
        "limit": user.limits.max_channels,
        "made": made,
        "push_key": public_key(),
    }
    return render(request, "dashboard/channels.html", context, status=status)


def _channel(
    request: HttpRequest, channel: Channel, form: ChannelForm, status: HTTPStatus = HTTPStatus.OK
) -> HttpResponse:
    user = _user(request)
    row = ChannelRow(channel, clock.now(), zone_of(user.time_zone))
    context = {"row": row, "channel": channel, "form": form, "zone": user.time_zone.replace("_", " ")}
    return render(request, "dashboard/channel.html", context, status=status)


def _channel_or_404(request: HttpRequest, channel_id: int) -> Channel:
    return get_object_or_404(Channel.objects.select_related("failover"), pk=channel_id, user=_user(request))


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)  # behind login_required
