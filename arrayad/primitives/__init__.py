"""The rows of the table, by family.  Importing a family declares its rows."""
