"""Every URL of Onetape starts here: health, API, accounts, administration, pages."""

from __future__ import annotations

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

from core import views

admin.site.site_header = admin.site.site_title = "Onetape administration"
admin.site.index_title = "What Onetape holds"
# The administration has no limit on guesses of its own; the page that has one logs staff in as well.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

urlpatterns = [
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("metrics", views.metrics_page, name="metrics"),
    path("sw.js", views.service_worker, name="service_worker"),
    path("admin/", admin.site.urls),
    # Asked for by pages that are not ours, such as the administration's.
    path("favicon.ico", RedirectView.as_view(url=static("img/favicon.svg"), permanent=True)),
    path("api/v1/", include("config.api_urls")),
    path("compat/", include("subscriptions.compat.urls")),
    path("account/", include("accounts.urls")),
    path("account/", include("allauth.account.urls")),
    path("", include("dashboard.urls")),
]

handler400 = views.bad_request
handler403 = views.permission_denied
handler404 = views.not_found
handler500 = views.server_error
