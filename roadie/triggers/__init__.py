"""Triggers: alerts, pushes, people and clocks start runs, each exactly once.

Still being built; see events.py, config.py.
"""
