from __future__ import annotations

from django.urls import path

from dashboard.api import views

urlpatterns = [
    path("costs/", views.Costs.as_view(), name="api_costs"),
    path("costs/me/", views.MyCosts.as_view(), name="api_my_costs"),
]
