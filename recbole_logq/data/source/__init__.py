"""Where interactions come from: known datasets, tables of users, atomic files."""
