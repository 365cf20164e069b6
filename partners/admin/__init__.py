"""The console's pages for partners and their imports, payees, payee groups, what partners cost, and exchange rates."""

from partners.admin import costs, fx_rates, imports, partners, payee_groups, payees

__all__ = ["costs", "fx_rates", "imports", "partners", "payee_groups", "payees"]
