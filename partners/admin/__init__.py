"""The console's pages for partners, payees and payee groups."""

from partners.admin import partners, payee_groups, payees

__all__ = ["partners", "payee_groups", "payees"]
