"""Fixtures that tests of several packages share: the made-up pool of forge/."""

pytest_plugins = ["forge.testing"]
