"""/account/channels/confirm/<token>/: where the link in a mail leads. Whoever reads the mail needs no login.

Programs that look for harm in mails follow links, so that following it only asks, and the button confirms.
"""

from __future__ import annotations

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from alerts import confirming
from alerts.errors import BadLink
from alerts.models import ChannelState

TEMPLATE = "dashboard/channel_confirm.html"


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def channel_confirm(request: HttpRequest, token: str) -> HttpResponse:
    found = confirming.confirm if request.method == "POST" else confirming.channel_of
    try:
        channel = found(token)
    except BadLink as error:
        return render(request, TEMPLATE, {"fault": str(error)}, status=HTTPStatus.NOT_FOUND)
    is_done = channel.state != ChannelState.UNCONFIRMED
    return render(request, TEMPLATE, {"channel": channel, "is_done": is_done})
