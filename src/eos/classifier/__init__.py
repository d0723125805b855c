"""A classifier to take home: one folder with all that it needs, and what it says of new pictures."""
