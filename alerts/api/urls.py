from __future__ import annotations

from django.urls import path

from alerts.api import alerts, channels, inbox

ACTS = [
    path(f"alerts/<int:alert_id>/{act}/", alerts.AlertAct.as_view(), {"act": act}, name=f"api_alert_{act}")
    for act in ("pause", "resume", "snooze", "duplicate", "restore")
]
urlpatterns = [
    path("alerts/", alerts.Alerts.as_view(), name="api_alerts"),
    path("alerts/bulk/", alerts.AlertsInBulk.as_view(), name="api_alerts_bulk"),
    path("alerts/backtest/", alerts.Backtest.as_view(), name="api_alerts_backtest"),
    path("alerts/<int:alert_id>/", alerts.OneAlert.as_view(), name="api_alert"),
    *ACTS,
    path("alerts/<int:alert_id>/triggers/", alerts.Triggers.as_view(), name="api_alert_triggers"),
    path("notifications/", inbox.Notifications.as_view(), name="api_notifications"),
    path("notifications/read-all/", inbox.ReadNotifications.as_view(), name="api_notifications_read"),
    path("notifications/<int:notification_id>/", inbox.OneNotification.as_view(), name="api_notification"),
    path(
        "notifications/<int:notification_id>/read/",
        inbox.ReadNotification.as_view(),
        name="api_notification_read",
    ),
    path("channels/", channels.Channels.as_view(), name="api_channels"),
    path("channels/<int:channel_id>/", channels.OneChannel.as_view(), name="api_channel"),
    path("channels/<int:channel_id>/test/", channels.TestChannel.as_view(), name="api_channel_test"),
    path(
        "channels/<int:channel_id>/confirmation/",
        channels.ConfirmChannel.as_view(),
        name="api_channel_confirmation",
    ),
    path("channels/<int:channel_id>/secret/", channels.ChannelSecret.as_view(), name="api_channel_secret"),
]
