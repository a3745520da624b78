"""The page for people: rows to views to one HTML document without script."""
