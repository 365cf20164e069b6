"""The console's pages for partners, payees and payee groups, what partners cost, and exchange rates."""

from partners.admin import costs, fx_rates, partners, payee_groups, payees

__all__ = ["costs", "fx_rates", "partners", "payee_groups", "payees"]
