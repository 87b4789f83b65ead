"""Whose alerts are of the sites that somebody sees? Those of their pumps where these are now, and of the sites."""


def of_sites(parameter: str, alert: str = "a") -> str:
    """The condition on a row of `alert`; the parameter is an array of sites, NULL: all, and what is of no site."""
    site = f"coalesce((SELECT pump.site FROM pump WHERE pump.pump = {alert}.pump), {alert}.site)"
    return f"({parameter}::text[] IS NULL OR {site} = ANY ({parameter}))"
