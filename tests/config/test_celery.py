from __future__ import annotations

import json

import pytest

from config.celery import app
from core.redis import client
from core.roles import later_roles

QUEUES = ("realtime", "default", "slow")


def queue_key(queue: str) -> str:
    return f"{app.conf.broker_transport_options['global_keyprefix']}{queue}"


@pytest.mark.parametrize("name", sorted(app.conf.beat_schedule))
def test_the_message_of_each_periodic_job_expires_by_the_time_the_next_is_sent(name):
    entry = app.conf.beat_schedule[name]
    app.autodiscover_tasks(force=True)
    task = app.tasks[entry["task"]]
    client().delete(*map(queue_key, QUEUES))

    task.apply_async()  # as beat does it

    (message,) = [raw for queue in QUEUES for raw in client().lrange(queue_key(queue), 0, -1)]
    client().delete(*map(queue_key, QUEUES))
    assert json.loads(message)["headers"]["expires"] is not None
    assert 0 < task.expires <= entry["schedule"]


def test_slow_tasks_run_in_a_process_that_a_time_limit_can_kill():
    (slow,) = [role for role in later_roles() if role.name == "slow"]

    assert slow.argv[slow.argv.index("-P") + 1] == "prefork"
    assert slow.argv[slow.argv.index("-c") + 1] == "1"
    assert app.conf.task_soft_time_limit < app.conf.task_time_limit
    assert app.conf.task_time_limit < app.conf.broker_transport_options["visibility_timeout"]


@pytest.mark.parametrize("name", ["send_overnight", "collect_overnight", "order_overnight", "check_models"])
def test_what_waits_for_a_server_of_models_holds_up_no_notification(name):
    route = app.amqp.router.route({}, f"summaries.{name}")

    assert route["queue"].name == "slow"
