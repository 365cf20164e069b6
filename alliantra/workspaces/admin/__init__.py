"""The console's pages for the workspace itself: settings, members, API keys, audit log."""

from alliantra.workspaces.admin import audit_log, keys, members, settings

__all__ = ["audit_log", "keys", "members", "settings"]
