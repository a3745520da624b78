"""The same by Roadie; arguments: URL, file, key, value."""

import sys

from roadie.gitops import Edit, bump

url, file, key, value = sys.argv[1:]
done = bump(url, [Edit(file, key, value)], trailers={"Roadie-Run": value, "Roadie-Started": "2026-01-01T00:00:00Z"})
assert done.changed, done.reason
