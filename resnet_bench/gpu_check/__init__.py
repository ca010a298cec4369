"""Whether this GPU gives the numbers it must, and which setting is fastest on it."""
