"""Roadie's push, called as the other tools' scripts call theirs; prints the digest.

argv: model directory, reference, and a similar image or nothing.
"""

import sys

from roadie.modelcar import push

directory, reference, *previous = sys.argv[1:]
print(push(directory, reference, previous="".join(previous)).digest)
