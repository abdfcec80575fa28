"""Bare Celery on the same Redis: three tasks, each of which sends the next; nothing is committed anywhere."""

import os
import time

from celery import Celery

app = Celery("bare", broker=os.environ["REDIS_URL"])
app.conf.update(
    task_ignore_result=True,
    task_default_queue=f"bare.{os.environ.get('STEP', 'none')}",
    worker_hijack_root_logger=False,
)


@app.task(name="bare.step")  # type: ignore[untyped-decorator] # of Celery
def step(number: int, began: float) -> None:
    """Sends the next step; the last one writes how long all took, in seconds."""
    if number < 3:
        app.send_task("bare.step", args=(number + 1, began), queue=f"bare.{number + 1}")
    else:
        with app.connection_for_write() as connection:
            connection.default_channel.client.lpush("bare:took", time.time() - began)
