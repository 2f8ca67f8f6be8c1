"""The paper's tables as commands: `tables.EXPERIMENTS`."""
