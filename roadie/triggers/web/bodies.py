"""Bodies on their way: how much may be in memory at once, of senders that have shown their token and of others.

GitHub and Gitea sign the body, so that it has to be read before anybody knows whose it is. The two kinds have rooms of
their own, and among strangers the body that has lain open for longest makes room for the next.
"""

from roadie.triggers.web.connections import Connection

# In times of the largest that one may have.
KNOWN, STRANGERS = 1.5, 1.0


class Bodies:
    """Counts the bytes of bodies that are being read.

    Args:
        largest: The largest that one body may have.
    """

    def __init__(self, largest: int) -> None:
        self._known, self._strangers = int(KNOWN * largest), int(STRANGERS * largest)
        self._open: dict[Connection, int] = {}

    def take(self, connection: Connection, size: int) -> bool:
        """Count `size` more bytes for the connection; whether they may be there."""
        if connection.known:
            self._known -= size
            return self._known >= 0
        self._open[connection] = self._open.get(connection, 0) + size
        while sum(self._open.values()) > self._strangers:
            oldest = next(iter(self._open))
            if oldest is connection:
                return False
            del self._open[oldest]
            oldest.abort()
        return True

    def known(self, connection: Connection) -> None:
        """The sender has shown that it has the secret."""
        self._known -= self._open.pop(connection, 0)
        connection.known = True

    def give_back(self, connection: Connection, size: int) -> None:
        """The body of `size` bytes is not needed any more."""
        if connection.known:
            self._known += size
        self._open.pop(connection, None)
