"""Where a request comes from."""

from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str | None:
    """Right-most hop that is none of our own TRUSTED_PROXIES proxies; None if it is no IP address."""
    hops = [request.META.get("REMOTE_ADDR", "")]
    if settings.TRUSTED_PROXIES:
        forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
        hops = [hop.strip() for hop in forwarded.split(",") if hop.strip()] + hops
    hop = hops[max(0, len(hops) - 1 - settings.TRUSTED_PROXIES)]
    try:
        return str(ip_address(hop))
    except ValueError:
        return None
