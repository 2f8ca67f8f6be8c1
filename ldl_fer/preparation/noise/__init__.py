"""Labels made wrong on purpose, and a record of it."""
