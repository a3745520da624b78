"""The steps' image: a Python base, the distributions of a lock and the code of steps, from what is installed here.

`push_steps` makes it without a daemon or a builder: what is installed is checked against the lock and against what the
installer wrote down, and put as one layer on a base; the code is a second, small layer. The same inputs give the same
image, and after a change of the code alone only the small layer is sent. A team's own steps go the same way, by their
own lock and folders.

lock.py reads pins, installed.py and sources.py collect files, machine.py says what packages are built for, bases.py
finds the base and holding.py what is in it, push.py puts it together.
"""

from roadie.modelcar.steps.push import CODE, LOCK, StepsImage, code_digest, push_steps, shipped_code, shipped_lock

__all__ = ["CODE", "LOCK", "StepsImage", "code_digest", "push_steps", "shipped_code", "shipped_lock"]
