"""`<path:symbol>` because the spelling BRK/A is as good as BRK.A."""

from __future__ import annotations

from django.urls import path

from summaries.api import views

urlpatterns = [
    path("news/", views.NewsList.as_view(), name="api_news"),
    path("news/<int:article_id>/", views.NewsDetail.as_view(), name="api_article"),
    path("earnings/", views.Earnings.as_view(), name="api_earnings"),
    path("analyses/<path:symbol>/refresh/", views.RefreshAnalyses.as_view(), name="api_analyses_refresh"),
    path("analyses/<path:symbol>/", views.Analyses.as_view(), name="api_analyses"),
]
