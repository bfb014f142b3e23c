from __future__ import annotations

from django.urls import path

from accounts.api import views

urlpatterns = [
    path("me/", views.Me.as_view(), name="api_me"),
    path("me/api-keys/", views.ApiKeys.as_view(), name="api_keys"),
    path("me/api-keys/<int:key_id>/", views.OneApiKey.as_view(), name="api_key"),
    path("me/stream-tickets/", views.StreamTickets.as_view(), name="api_stream_tickets"),
]
