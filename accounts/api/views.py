from __future__ import annotations

from typing import cast

from django.http import Http404
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from rest_framework import status
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import keys, profile, tickets
from accounts.api.permissions import ChangedByPeople
from accounts.api.serializers import ApiKeySerializer, MeSerializer, MeWish
from accounts.credentials import Login
from accounts.models import ApiKey, User


@method_decorator(never_cache, name="dispatch")
class Me(APIView):
    def get(self, request: Request) -> Response:
        return Response(MeSerializer(_user(request)).data)

    def patch(self, request: Request) -> Response:
        wish = MeWish(data=request.data)
        wish.is_valid(raise_exception=True)
        if "time_zone" in wish.validated_data:
            profile.change_time_zone(_user(request), wish.validated_data["time_zone"])
        return self.get(request)


@method_decorator(never_cache, name="dispatch")
class ApiKeys(APIView):
    """The keys that are not revoked; the text of a new one is in the answer to its POST and nowhere else."""

    permission_classes = [IsAuthenticated, ChangedByPeople]

    def get(self, request: Request) -> Response:
        rows = _user(request).api_keys.unrevoked()
        return Response({"results": ApiKeySerializer(rows, many=True).data, "next": None})

    def post(self, request: Request) -> Response:
        wish = ApiKeySerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        made = keys.make_key(_user(request), wish.validated_data["name"])
        return Response({**ApiKeySerializer(made.row).data, "key": made.text}, status.HTTP_201_CREATED)


class OneApiKey(APIView):
    permission_classes = [IsAuthenticated, ChangedByPeople]

    def delete(self, request: Request, key_id: int) -> Response:
        try:
            keys.revoke(_user(request), key_id)
        except ApiKey.DoesNotExist:
            raise Http404("You have no such API key.") from None
        return Response(status=status.HTTP_204_NO_CONTENT)


@method_decorator(never_cache, name="dispatch")
class StreamTickets(APIView):
    """A ticket opens one live connection within a minute, in the name of who is asking and as long as that lasts."""

    def post(self, request: Request) -> Response:
        ticket = tickets.issue(_login(request))
        return Response({"ticket": ticket, "expires_in": tickets.LIFETIME_S}, status.HTTP_201_CREATED)


def _user(request: Request) -> User:
    return cast(User, request.user)


def _login(request: Request) -> Login:
    if isinstance(request.auth, Login):
        return request.auth
    user = _user(request)
    return Login(user.pk, user.tier, session_key=request.session.session_key or "")
