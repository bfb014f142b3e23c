from __future__ import annotations

from django.urls import path

from accounts import views

urlpatterns = [
    path("", views.account, name="account"),
    path("signup/", views.SignupView.as_view(), name="account_signup"),
    path("time-zone/", views.time_zone, name="time_zone"),
    path("api-keys/", views.api_key_make, name="api_key_make"),
    path("api-keys/<int:key_id>/revoke/", views.api_key_revoke, name="api_key_revoke"),
]
