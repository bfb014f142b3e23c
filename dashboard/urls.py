"""`<path:symbol>` because the spelling BRK/B is as good as BRK.B; it is redirected to the canonical one."""

from __future__ import annotations

from django.urls import path

from dashboard import (
    alert_acts,
    alert_views,
    analysis_views,
    channel_views,
    confirm_views,
    cost_views,
    inbox_views,
    news_views,
    status_views,
    views,
)

urlpatterns = [
    path("", views.landing, name="landing"),
    path("watchlist/", views.watchlist_page, name="watchlist"),
    path("watchlist/add/", views.watchlist_add, name="watchlist_add"),
    path("watchlist/sample/", views.watchlist_sample, name="watchlist_sample"),
    path("watchlist/<path:symbol>/remove/", views.watchlist_remove, name="watchlist_remove"),
    path("tickers/", views.tickers, name="tickers"),
    path("tickers/<path:symbol>/analyses/refresh/", analysis_views.analyses_refresh, name="analyses_refresh"),
    path("tickers/<path:symbol>/", views.ticker_page, name="ticker"),
    path("charts/<path:symbol>.svg", views.chart, name="chart"),
    path("news/", news_views.news_page, name="news"),
    path("alerts/", alert_views.alerts_page, name="alerts"),
    path("alerts/new/", alert_views.alert_new, name="alert_new"),
    path("alerts/try/", alert_views.alert_try, name="alert_try"),
    path("alerts/act/", alert_acts.alert_acts, name="alert_acts"),
    path("alerts/<int:alert_id>/", alert_views.alert_page, name="alert"),
    path("notifications/", inbox_views.inbox_page, name="notifications"),
    path("notifications/read/", inbox_views.mark_read, name="notifications_read"),
    path("notifications/<int:note_id>/", inbox_views.notification_page, name="notification"),
    path("account/channels/", channel_views.channels_page, name="channels"),
    path("account/channels/confirm/<str:token>/", confirm_views.channel_confirm, name="channel_confirm"),
    path("account/channels/<int:channel_id>/", channel_views.channel_page, name="channel"),
    path("account/channels/<int:channel_id>/act/", channel_views.channel_act, name="channel_act"),
    path("account/channels/<int:channel_id>/remove/", channel_views.channel_remove, name="channel_remove"),
    path("costs/", cost_views.costs_page, name="costs"),
    path("costs/me/", cost_views.my_costs_page, name="my_costs"),
    path("costs/what-if/", cost_views.whatif_page, name="whatif"),
    path("status/", status_views.status_page, name="status"),
    path("credits/", views.credits_page, name="credits"),
]
