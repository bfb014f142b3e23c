"""What all our administration pages share: read-only ledgers, and lists that stay quick on big tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db import connection
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from core.models import Lease

__all__ = ["EstimatingPaginator", "ModelAdmin", "ReadOnlyAdmin", "estimated_rows"]

M = TypeVar("M", bound=Model)

# Nobody turns more pages than this; deeper pages would cost a scan each. Search and filters reach the rest.
MAX_PAGES = 100
# Below this an exact count is cheap and the estimate of an unanalysed table useless.
COUNT_EXACTLY_BELOW = 10_000

ESTIMATE = """
SELECT COALESCE(sum(reltuples), 0)::bigint
FROM pg_class
WHERE relkind = 'r' AND reltuples > 0
  AND (oid = %(table)s::regclass OR oid IN (SELECT relid FROM pg_partition_tree(%(table)s::regclass)))
"""


if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
else:

    class ModelAdmin(admin.ModelAdmin):
        """Django's own, which can be written with its model's type at run time too, and takes no NUL.

        PostgreSQL takes none, and no filter of Django's looks for one.
        """

        def __class_getitem__(cls, model: object) -> type:
            return cls

        def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
            if any("\0" in value for values in request.GET.lists() for value in values[1]):
                raise IncorrectLookupParameters
            return super().get_changelist_instance(request)


class ReadOnlyAdmin(ModelAdmin[M]):
    """Rows that a machine writes: to be looked at."""

    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False


class EstimatingPaginator(Paginator):  # type: ignore[type-arg]
    """Pages of a big table without counting it: the planner's estimate, and at most MAX_PAGES pages."""

    @cached_property
    def count(self) -> int:
        rows = cast(QuerySet[Model], self.object_list)
        counted = rows[: COUNT_EXACTLY_BELOW + 1].count()
        if counted <= COUNT_EXACTLY_BELOW or rows.query.where:
            return counted
        return max(counted, estimated_rows(rows.model))

    @cached_property
    def num_pages(self) -> int:
        return min(super().num_pages, MAX_PAGES)


def estimated_rows(model: type[Model]) -> int:
    """What the planner believes, over all partitions; 0 before the first ANALYZE."""
    with connection.cursor() as cursor:
        cursor.execute(ESTIMATE, {"table": connection.ops.quote_name(model._meta.db_table)})  # noqa: SLF001 -- Django's public name
        (rows,) = cursor.fetchone()
    return int(rows)


@admin.register(Lease)
class LeaseAdmin(ReadOnlyAdmin[Lease]):
    list_display = ["name", "holder", "epoch", "expires_at"]
    search_fields = ["name", "holder"]
