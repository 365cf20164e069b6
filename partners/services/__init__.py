"""Use cases of partners: what people set up, what partners cost, and what jobs find out about them."""

from partners.services.configuration import (
    MEMBERS_LIMIT,
    MemberValues,
    create_partner,
    create_payee,
    create_payee_group,
    update_partner,
    update_payee,
    update_payee_group,
)

__all__ = [
    "MEMBERS_LIMIT",
    "MemberValues",
    "create_partner",
    "create_payee",
    "create_payee_group",
    "update_partner",
    "update_payee",
    "update_payee_group",
]
