"""The journal: events, decisions, runs and letters in one SQLite file, stored before anybody is answered."""
