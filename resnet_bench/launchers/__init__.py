"""Launchers: the groups of a sweep on other machines."""
