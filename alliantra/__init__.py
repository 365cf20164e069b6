"""Alliantra: composition on top (settings, urls, celery), foundations below (money, errors, fields)."""

from alliantra.celery import app as celery_app

__all__ = ["celery_app"]
