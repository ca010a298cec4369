"""Launchers: a sweep on other machines."""
