"""The Celery application. Celery only wakes workers: work to be done is a row in PostgreSQL."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "alliantra.settings")

app = Celery("alliantra")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
